//! What a row of an entity's manifest stands for: a registration, a chain of ticks, a message to be sent. A function of
//! the row (wake specification, sections 1.9 and 3.5).

use serde_json::Value as Json;

use super::condition::{Condition, Op};
use crate::observe::webhook_sources::FilterName;
use crate::schedule::cron::{CronError, Spec};
use crate::stream::shared_state;
use crate::time::{Span, Time};

/// What a row stands for.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What it observes, if it observes anything.
    pub wake: Option<Wanted>,
    /// The ticks that it observes.
    pub cron: Option<Spec>,
    /// What becomes of the message that the row before may have scheduled.
    pub send: Send,
    /// The shared state that it names.
    pub state: Option<String>,
}

/// A registration that a row asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// An entity's URL, or a stream's path.
    pub source: String,
    /// When it matches.
    pub condition: Condition,
    /// Whether a finished child's answer comes with it.
    pub include_response: bool,
    /// How long it gathers.
    pub debounce: Span,
    /// When it gives up.
    pub timeout: Span,
    /// Which filter of a webhook source it stands behind.
    pub filter: Option<FilterName>,
    /// When it ends by itself.
    pub until: Option<Time>,
}

/// A message that a row schedules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Send {
    /// The row says nothing that can be understood: what was scheduled stays.
    Keep,
    /// There is none, or none any more.
    Cancel,
    /// This one, and no other.
    At(Scheduled),
}

/// A message and when it is to arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheduled {
    /// When.
    pub at: Time,
    /// The entity that it goes to.
    pub target: String,
    /// What it says, as JSON.
    pub payload: String,
    /// Its type.
    pub message_type: Option<String>,
    /// What makes it arrive once.
    pub producer: String,
}

/// A row of a manifest that cannot be meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRow {
    /// It names an expression or a zone that does not exist.
    #[error(transparent)]
    Cron(#[from] CronError),
    /// It is to end at a moment that is none.
    #[error("Invalid expires_at lifetime timestamp")]
    Lifetime,
}

/// Reads a row's value.
///
/// # Errors
/// When it cannot be meant: [`BadRow`].
pub fn manifest(value: &Json) -> Result<Entry, BadRow> {
    let text = |name: &str| value[name].as_str();
    let kind = (text("kind").unwrap_or(""), text("sourceType").or(text("scheduleType")).unwrap_or(""));
    let cron = match kind {
        ("source", "cron") => ticks(&value["config"])?,
        ("schedule", "cron") => ticks(value)?,
        _ => None,
    };
    let state = shared(kind, value);
    let source = match kind {
        ("child" | "observe", _) => text("entity_url").map(str::to_owned),
        ("shared-state", _) => state.as_deref().map(shared_state::path),
        _ if cron.is_some() => cron.as_ref().map(|spec| spec.path().to_owned()),
        ("source", kind) => source(kind, value),
        _ => None,
    };
    let mut wake = source.and_then(|source| wanted(source, &value["wake"], kind == ("schedule", "cron")));
    if let Some(wake) = wake.as_mut().filter(|_| kind == ("source", "webhook")) {
        let subscription = &value["config"]["webhookSource"];
        (wake.filter, wake.until) = (filter(subscription), until(&subscription["lifetime"])?);
    }
    let send = if kind == ("schedule", "future_send") { scheduled(value) } else { Send::Cancel };
    Ok(Entry { wake, cron, send, state })
}

/// The shared state that a row names.
fn shared(kind: (&str, &str), value: &Json) -> Option<String> {
    let text =
        |value: &Json| value.as_str().filter(|id| !id.is_empty() && id.len() <= LONGEST_STATE).map(str::to_owned);
    match kind {
        ("shared-state", _) => text(&value["id"]),
        ("source", "db") => text(&value["sourceRef"]).or_else(|| text(&value["config"]["id"])),
        _ => None,
    }
}

/// The filter of a subscription to a webhook source.
fn filter(subscription: &Json) -> Option<FilterName> {
    let text = |name: &str| subscription[name].as_str().map(str::to_owned);
    Some(FilterName { webhook: text("webhookKey")?, bucket: text("bucketKey"), filter: text("filterKey")? })
}

/// When a lifetime is over by itself.
fn until(lifetime: &Json) -> Result<Option<Time>, BadRow> {
    if lifetime["kind"] != "expires_at" {
        return Ok(None);
    }
    lifetime["at"].as_str().and_then(Time::parse_iso).map(Some).ok_or(BadRow::Lifetime)
}

fn ticks(of: &Json) -> Result<Option<Spec>, BadRow> {
    let Some(expression) = of["expression"].as_str() else { return Ok(None) };
    Ok(Some(Spec::parse(expression, of["timezone"].as_str())?))
}

/// What a row of kind `source` observes.
fn source(kind: &str, value: &Json) -> Option<String> {
    let config = |name: &str| value["config"][name].as_str();
    let reference = value["sourceRef"].as_str();
    match kind {
        "entity" => config("entityUrl").or(reference).map(str::to_owned),
        "entities" => reference.map(|reference| format!("/_entities/{reference}")),
        "db" => reference.map(shared_state::path),
        "pgSync" => config("streamUrl").map(str::to_owned),
        "webhook" => config("streamUrl").map(str::to_owned).or_else(|| {
            let bucket = config("bucket").map_or(String::new(), |bucket| format!("/{bucket}"));
            config("endpointKey").map(|endpoint| format!("/_webhooks/{endpoint}{bucket}"))
        }),
        _ => None,
    }
}

fn wanted(source: String, wake: &Json, ticks: bool) -> Option<Wanted> {
    let plain = |condition| Wanted {
        source: source.clone(),
        condition,
        include_response: true,
        debounce: Span::ZERO,
        timeout: Span::ZERO,
        filter: None,
        until: None,
    };
    let any = Condition::Change { collections: Vec::new(), ops: Vec::new(), filter: None };
    if wake.is_null() {
        return ticks.then(|| plain(any));
    }
    if wake == "runFinished" {
        return Some(plain(Condition::RunFinished));
    }
    match wake["on"].as_str()? {
        "runFinished" => Some(Wanted {
            include_response: wake["includeResponse"].as_bool().unwrap_or(true),
            ..plain(Condition::RunFinished)
        }),
        "change" => Some(Wanted {
            debounce: millis(&wake["debounceMs"]),
            timeout: millis(&wake["timeoutMs"]),
            ..plain(change(wake))
        }),
        _ => None,
    }
}

/// A condition on changes, of those words that can be understood.
fn change(wake: &Json) -> Condition {
    let words = |name: &str| wake[name].as_array().into_iter().flatten().filter_map(Json::as_str);
    let mut collections: Vec<String> = words("collections").map(str::to_owned).collect();
    let mut ops: Vec<Op> = words("ops").filter_map(Op::parse).collect();
    collections.sort();
    collections.dedup();
    ops.sort();
    ops.dedup();
    Condition::Change { collections, ops, filter: None }
}

#[allow(clippy::cast_possible_truncation, reason = "saturating is what an absurd delay deserves")]
fn millis(value: &Json) -> Span {
    Span::millis((value.as_f64().unwrap_or(0.0).ceil() as i64).clamp(0, LONGEST.as_millis()))
}

fn scheduled(value: &Json) -> Send {
    let text = |name: &str| value[name].as_str().map(str::to_owned);
    if value["status"].as_str().is_some_and(|status| status != "pending") {
        return Send::Cancel;
    }
    let (Some(at), Some(target), Some(producer)) =
        (text("fireAt").and_then(|at| Time::parse_iso(&at)), text("targetUrl"), text("producerId"))
    else {
        return Send::Keep;
    };
    let payload = value["payload"].to_string();
    Send::At(Scheduled { at, target, payload, message_type: text("messageType"), producer })
}

/// The longest debounce or timeout.
const LONGEST: Span = Span::secs(365 * 86_400);

/// The longest id of a shared state that belongs to somebody.
const LONGEST_STATE: usize = 2048;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn what_each_kind_observes() {
        let cron = Spec::parse("0 9 * * *", None).expect("an expression").path().to_owned();
        for (row, source) in [
            (json!({ "kind": "child", "entity_url": "/w/b" }), Some("/w/b")),
            (json!({ "kind": "observe", "entity_url": "/w/b" }), Some("/w/b")),
            (json!({ "kind": "source", "sourceType": "entity", "config": { "entityUrl": "/w/b" } }), Some("/w/b")),
            (json!({ "kind": "source", "sourceType": "entity", "sourceRef": "/w/c" }), Some("/w/c")),
            (json!({ "kind": "source", "sourceType": "cron", "config": { "expression": "0 9 * * *" } }), Some(&*cron)),
            (json!({ "kind": "source", "sourceType": "cron", "sourceRef": "x" }), None),
            (json!({ "kind": "source", "sourceType": "entities", "sourceRef": "r" }), Some("/_entities/r")),
            (
                json!({ "kind": "source", "sourceType": "db", "sourceRef": "a b" }),
                Some("/_electric/shared-state/a%20b"),
            ),
            (json!({ "kind": "source", "sourceType": "pgSync", "config": { "streamUrl": "/p" } }), Some("/p")),
            (json!({ "kind": "source", "sourceType": "pgSync", "sourceRef": "p" }), None),
            (
                json!({ "kind": "source", "sourceType": "webhook", "config": { "endpointKey": "e", "bucket": "b" } }),
                Some("/_webhooks/e/b"),
            ),
            (
                json!({ "kind": "source", "sourceType": "webhook", "config": { "endpointKey": "e" } }),
                Some("/_webhooks/e"),
            ),
            (json!({ "kind": "source", "sourceType": "other", "sourceRef": "e" }), None),
            (json!({ "kind": "shared-state", "id": "s" }), Some("/_electric/shared-state/s")),
            (json!({ "kind": "schedule", "scheduleType": "cron", "expression": "0 9 * * *" }), Some(&*cron)),
            (json!({ "kind": "effect", "id": "s" }), None),
            (json!({ "kind": "goal" }), None),
            (json!("text"), None),
        ] {
            let mut row = row;
            if row.is_object() {
                row["wake"] = json!({ "on": "change" });
            }
            let entry = manifest(&row).expect("no bad expression");
            assert_eq!(entry.wake.map(|w| w.source).as_deref(), source, "{row}");
        }
    }

    #[test]
    fn what_each_wake_asks_for() {
        let of =
            |wake: Json| manifest(&json!({ "kind": "child", "entity_url": "/w/b", "wake": wake })).expect("valid").wake;
        let change = |collections: &[&str], ops: &[Op]| Condition::Change {
            collections: collections.iter().map(|c| (*c).to_owned()).collect(),
            ops: ops.to_vec(),
            filter: None,
        };
        let finished = of(json!("runFinished")).expect("wanted");
        assert_eq!((finished.condition, finished.include_response), (Condition::RunFinished, true));
        let bare = of(json!({ "on": "runFinished", "includeResponse": false, "debounceMs": 5 })).expect("wanted");
        assert_eq!((bare.include_response, bare.debounce), (false, Span::ZERO));
        let gathered = of(
            json!({ "on": "change", "collections": ["b", 7, "a"], "ops": ["insert", "upsert"], "debounceMs": 5.2, "timeoutMs": 9 }),
        );
        let gathered = gathered.expect("wanted");
        assert_eq!(gathered.condition, change(&["a", "b"], &[Op::Insert]));
        assert_eq!((gathered.debounce, gathered.timeout), (Span::millis(6), Span::millis(9)));
        for nothing in [Json::Null, json!("whenever"), json!({ "on": "other" }), json!(7)] {
            assert_eq!(of(nothing.clone()), None, "{nothing}");
        }
        let ticks = json!({ "kind": "schedule", "scheduleType": "cron", "expression": "* * * * *" });
        assert_eq!(manifest(&ticks).expect("valid").wake.expect("wanted").condition, change(&[], &[]));
        let bad = json!({ "kind": "schedule", "scheduleType": "cron", "expression": "60 * * * *" });
        assert!(manifest(&bad).is_err());
    }

    #[test]
    fn what_each_row_schedules() {
        let row = json!({ "kind": "schedule", "scheduleType": "future_send", "fireAt": "2027-01-15T08:00:05Z", "targetUrl": "/t/b", "producerId": "p", "payload": { "a": 1 } });
        let with = |name: &str, value: Json| {
            let mut row = row.clone();
            row[name] = value;
            manifest(&row).expect("valid").send
        };
        let Send::At(scheduled) = with("status", json!("pending")) else { panic!("scheduled") };
        assert_eq!(
            (scheduled.at.iso().as_str(), scheduled.payload.as_str()),
            ("2027-01-15T08:00:05.000Z", "{\"a\":1}")
        );
        assert_eq!(with("status", json!("sent")), Send::Cancel);
        assert_eq!(with("scheduleType", json!("other")), Send::Cancel);
        assert_eq!(with("fireAt", json!("tomorrow")), Send::Keep);
        assert_eq!(with("producerId", Json::Null), Send::Keep);
    }
}
