//! Whether an event matches a condition: a function of the two (wake specification, section 1.4; the third law).

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::condition::{Condition, Filter, Op};
use crate::entity::validate;
use crate::stream::{Class, Event, members, string};

/// A match: what the wake row says of the event.
#[derive(Debug)]
pub struct Match<'a> {
    /// The change, as the row carries it.
    pub change: Change<'a>,
    /// `completed` or `failed`, when a run has finished.
    pub run: Option<Cow<'a, str>>,
}

/// A change as a wake row carries it.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "the members of the wire's row")]
pub struct Change<'a> {
    pub collection: Cow<'a, str>,
    pub kind: &'static str,
    pub key: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<&'a RawValue>,
    #[serde(rename = "oldValue", skip_serializing_if = "Option::is_none")]
    pub old_value: Option<&'a RawValue>,
    #[serde(flatten)]
    pub inbox: Option<Inbox<'a>>,
}

/// What a change to an inbox carries besides.
#[derive(Debug, Default, Serialize)]
#[allow(missing_docs, reason = "the members of the wire's row")]
pub struct Inbox<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_principal: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_agent: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_type: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<&'a RawValue>,
}

/// Matches an event of a class against a condition.
#[must_use]
pub fn evaluate<'a>(condition: &Condition, event: &Event<'a>, class: Class) -> Option<Match<'a>> {
    evaluate_by(condition, event, class, |filter| filter.complaints(event).is_empty())
}

/// The same, where whoever asks knows what passes a filter.
pub(super) fn evaluate_by<'a>(
    condition: &Condition,
    event: &Event<'a>,
    class: Class,
    passes: impl FnOnce(&Filter) -> bool,
) -> Option<Match<'a>> {
    match condition {
        _ if class == Class::Never => None,
        Condition::RunFinished => run_finished(event).filter(|_| class == Class::Any),
        Condition::Change { collections, ops, filter } => {
            let kind = event.kind.clone().filter(|k| !k.is_empty() && k != "wake")?;
            let named = collections.iter().any(|c| *c == kind);
            let open = collections.is_empty() && class == Class::Any;
            let op = Op::of(event.operation.as_deref());
            let matches = (named || open) && (ops.is_empty() || ops.contains(&op));
            let passes = matches && filter.as_ref().is_none_or(passes);
            passes.then(|| Match { change: change(event, kind, op), run: None })
        }
    }
}

impl Filter {
    /// What keeps an event back, each with its place in the event's value.
    pub(super) fn complaints(&self, event: &Event<'_>) -> Vec<(String, String)> {
        validate::form(&self.schema, event.value.unwrap_or(RawValue::NULL))
    }
}

fn run_finished<'a>(event: &Event<'a>) -> Option<Match<'a>> {
    let run = event.run_finished()?;
    let key = event.key.clone().filter(|k| !k.is_empty()).unwrap_or(Cow::Borrowed("run"));
    let change =
        Change { collection: Cow::Borrowed("runs"), kind: "update", key, value: None, old_value: None, inbox: None };
    Some(Match { change, run: Some(run) })
}

fn change<'a>(event: &Event<'a>, collection: Cow<'a, str>, op: Op) -> Change<'a> {
    let value = event.value.map(|v| members(v.get())).unwrap_or_default();
    let find = |name: &str| value.iter().rfind(|(n, _)| n == name).map(|(_, v)| *v);
    let text = |name: &str| find(name).and_then(string);
    let inbox = (collection == "inbox").then(|| Inbox {
        from: text("from"),
        from_principal: text("from_principal"),
        from_agent: text("from_agent"),
        timestamp: text("timestamp"),
        message_type: text("message_type"),
        payload: find("payload"),
    });
    Change {
        kind: op.as_str(),
        key: event.key.clone().unwrap_or(Cow::Borrowed("")),
        value: find("value"),
        old_value: find("oldValue").or_else(|| find("old_value")),
        inbox,
        collection,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn ask(condition: &Json, event: &Json, class: Class) -> Option<Json> {
        let text = event.to_string();
        let event = Event::of(&text);
        let condition = Condition::parse(condition).expect("a condition");
        evaluate(&condition, &event, class).map(|m| serde_json::to_value(m.change).expect("serialises"))
    }

    #[test]
    fn runs_finish_by_an_update() {
        let run = |op: &str, status: &str| json!({ "type": "run", "key": "r1", "value": { "status": status }, "headers": { "operation": op } });
        let want = json!({ "collection": "runs", "kind": "update", "key": "r1" });
        assert_eq!(ask(&json!("runFinished"), &run("update", "completed"), Class::Any), Some(want.clone()));
        assert_eq!(ask(&json!("runFinished"), &run("update", "failed"), Class::Any), Some(want));
        assert_eq!(ask(&json!("runFinished"), &run("update", "started"), Class::Any), None);
        assert_eq!(ask(&json!("runFinished"), &run("insert", "completed"), Class::Any), None);
    }

    #[test]
    fn changes_match_by_collection_and_operation() {
        let event = |op: &str| json!({ "type": "state:todos", "key": "t", "value": { "value": 7, "old_value": 6 }, "headers": { "operation": op } });
        for (condition, op, matches) in [
            (json!({ "on": "change" }), "insert", true),
            (json!({ "on": "change", "collections": [] }), "delete", true),
            (json!({ "on": "change", "collections": ["state:todos"] }), "update", true),
            (json!({ "on": "change", "collections": ["todos"] }), "update", false),
            (json!({ "on": "change", "ops": ["delete"] }), "update", false),
            (json!({ "on": "change", "ops": ["insert"] }), "upsert", true),
        ] {
            assert_eq!(ask(&condition, &event(op), Class::Any).is_some(), matches, "{condition} {op}");
        }
        let change = ask(&json!({ "on": "change" }), &event("update"), Class::Any).expect("matches");
        assert_eq!(
            change,
            json!({ "collection": "state:todos", "kind": "update", "key": "t", "value": 7, "oldValue": 6 })
        );
    }

    #[test]
    fn what_the_server_writes_matches_only_when_named() {
        let inbox = json!({ "type": "inbox", "key": "m", "value": { "from": "a", "payload": null, "timestamp": 5 }, "headers": { "operation": "insert" } });
        assert_eq!(ask(&json!({ "on": "change" }), &inbox, Class::Named), None);
        let change = ask(&json!({ "on": "change", "collections": ["inbox"] }), &inbox, Class::Named).expect("named");
        assert_eq!(
            change,
            json!({ "collection": "inbox", "kind": "insert", "key": "m", "from": "a", "payload": null })
        );
        let wake = json!({ "type": "wake", "key": "w", "headers": { "operation": "insert" } });
        assert_eq!(ask(&json!({ "on": "change", "collections": ["wake"] }), &wake, Class::Any), None);
        assert_eq!(ask(&json!({ "on": "change" }), &json!({ "key": "no type" }), Class::Any), None);
    }
}
