//! The steps of the journal, as they are kept and shown: when, what, and what belongs to it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

use crate::dispatch::{Policy, Target};
use crate::limits::KEPT_ANSWER;
use crate::store::{Kind, Link, SubscriptionRow, Tx};
use crate::stream::{Matched, Offset, Why};
use crate::time::Time;

/// One step: `n` orders it among all, `at` is when (ms), `what` its kind; the rest depends on that.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Step(Map<String, Json>);

impl Step {
    fn new(tx: &Tx<'_>, what: &str, more: Json) -> Self {
        let mut step = Map::new();
        step.insert("n".to_owned(), tx.next_id().into());
        step.insert("at".to_owned(), tx.now.as_millis().into());
        step.insert("what".to_owned(), what.into());
        if let Json::Object(more) = more {
            step.extend(more);
        }
        Self(step)
    }

    pub(super) fn is(&self, what: &str) -> bool {
        self.0.get("what").is_some_and(|w| w == what)
    }

    pub(super) fn number(&self) -> i64 {
        self.0.get("n").and_then(Json::as_i64).unwrap_or(0)
    }

    /// When it was.
    pub(super) fn at(&self) -> Time {
        Time::from_millis(self.0.get("at").and_then(Json::as_i64).unwrap_or(0))
    }

    /// The reason that it gives, or what it is.
    pub(super) fn why(&self) -> &str {
        let text = |name| self.0.get(name).and_then(Json::as_str);
        text("why").or_else(|| text("what")).unwrap_or("")
    }

    /// Whether it is of a kind that comes again and again, and the last was such a one.
    pub(super) fn repeats(&self, last: &Self) -> bool {
        let same = |name: &str| self.0.get(name) == last.0.get(name);
        let again = ["emitted", "retried", "slowed"].iter().any(|kind| self.is(kind));
        same("what") && (again || (self.is("fenced") && same("why")))
    }

    /// Remembers since when it comes again and again, and how often it has.
    pub(super) fn continues(&mut self, last: &Self) {
        let since = last.0.get("since").or_else(|| last.0.get("at")).cloned().unwrap_or(Json::Null);
        let times = last.0.get("times").and_then(Json::as_i64).unwrap_or(1) + 1;
        self.0.insert("since".to_owned(), since);
        self.0.insert("times".to_owned(), times.into());
    }

    /// The step as it is shown, of an entity and perhaps of a wake.
    pub(super) fn show(&self, entity: &str, wake: Option<(&str, i64)>) -> Json {
        let mut shown = Map::new();
        for (name, value) in &self.0 {
            let time = || value.as_i64().map(|at| Time::from_millis(at).iso());
            match name.as_str() {
                "n" => continue,
                "at" | "since" | "until" | "lease" => shown.insert(name.clone(), time().into()),
                _ => shown.insert(name.clone(), value.clone()),
            };
        }
        shown.insert("entity".to_owned(), entity.into());
        if let Some((wake, generation)) = wake {
            shown.insert("wake".to_owned(), wake.into());
            shown.insert("generation".to_owned(), generation.into());
        }
        Json::Object(shown)
    }
}

/// A condition matched an event.
pub(crate) fn evaluated(tx: &Tx<'_>, matched: &Matched<'_>) -> Step {
    let Matched { registration, source, position, collection, kind, key } = matched;
    let more = json!({
        "source": source,
        "position": position,
        "registration": registration,
        "collection": cut(collection),
        "kind": kind,
        "key": cut(key),
    });
    Step::new(tx, "evaluated", more)
}

/// It matched, and no wake row was written.
pub(crate) fn suppressed(tx: &Tx<'_>, why: &str) -> Step {
    Step::new(tx, "suppressed", json!({ "why": why }))
}

/// Something stands on the entity's stream, up to an offset.
pub(crate) fn appended(tx: &Tx<'_>, end: Offset, why: &Why<'_>) -> Step {
    let offset = end.to_string();
    let more = match why {
        Why::Append => json!({ "offset": offset, "cause": "append" }),
        Why::Message { from, key } => {
            json!({ "offset": offset, "cause": "message", "from": cut(from), "key": cut(key) })
        }
        Why::Signal(signal) => json!({ "offset": offset, "cause": "signal", "signal": signal }),
        Why::Wake(_) | Why::Waited => json!({ "offset": offset, "cause": "wake" }),
    };
    Step::new(tx, "appended", more)
}

/// A dispatch begins with what came before.
pub(crate) fn pending(tx: &Tx<'_>, link: &Link, why: &str) -> Step {
    let from = link.acked.map_or_else(|| "-1".to_owned(), |acked| acked.to_string());
    Step::new(tx, "pending", json!({ "from": from, "to": link.tail.to_string(), "why": why }))
}

/// The budget of wakes is used up, or the chain of causes is too deep.
pub(crate) fn slowed(tx: &Tx<'_>, until: Time, why: &str) -> Step {
    Step::new(tx, "slowed", json!({ "until": until.as_millis(), "why": why }))
}

/// A row of a manifest asks for what cannot be.
pub(crate) fn refused(tx: &Tx<'_>, key: &str, why: &str) -> Step {
    Step::new(tx, "refused", json!({ "manifest_key": cut(key), "why": cut(why) }))
}

/// More may come that belongs to the same wake.
pub(crate) fn debounced(tx: &Tx<'_>, until: Time) -> Step {
    Step::new(tx, "debounced", json!({ "until": until.as_millis() }))
}

/// The wake was announced.
pub(crate) fn emitted(tx: &Tx<'_>, kind: &Kind, attempt: i64) -> Step {
    Step::new(tx, "emitted", json!({ "to": target(kind), "attempt": attempt }))
}

/// A delivery failed, and comes again.
pub(crate) fn retried(tx: &Tx<'_>, attempt: i64, error: &str, until: Time) -> Step {
    Step::new(tx, "retried", json!({ "attempt": attempt, "error": cut(error), "until": until.as_millis() }))
}

/// It has failed too often; `letter` says how.
pub(crate) fn dead_lettered(tx: &Tx<'_>, letter: &Json) -> Step {
    let mut more = letter.clone();
    for known in ["wake", "since"] {
        more.as_object_mut().map(|more| more.remove(known));
    }
    Step::new(tx, "dead-lettered", more)
}

/// Somebody took it back.
pub(crate) fn revived(tx: &Tx<'_>, by: &str) -> Step {
    Step::new(tx, "revived", json!({ "by": by }))
}

/// Somebody took the wake.
pub(crate) fn claimed(tx: &Tx<'_>, subscription: &SubscriptionRow) -> Step {
    let wake = subscription.wake.as_ref();
    let by = wake.and_then(|w| w.holder.as_deref()).unwrap_or("webhook");
    let lease = wake.and_then(|w| w.lease_until).map(Time::as_millis);
    Step::new(tx, "claimed", json!({ "by": by, "lease": lease }))
}

/// Somebody called under it when it was over.
pub(crate) fn fenced(tx: &Tx<'_>, asked: &str) -> Step {
    Step::new(tx, "fenced", json!({ "why": format!("{asked} came when the wake was over") }))
}

/// A step that needs no more than its kind.
pub(crate) fn plain(tx: &Tx<'_>, what: &'static str) -> Step {
    Step::new(tx, what, Json::Null)
}

/// The same with a reason.
pub(crate) fn because(tx: &Tx<'_>, what: &'static str, why: &str) -> Step {
    Step::new(tx, what, json!({ "why": why }))
}

/// Whoever held it gave no sign of life until its lease was over.
pub(crate) fn expired(tx: &Tx<'_>, lease: Time, holder: Option<&str>) -> Step {
    Step::new(tx, "expired", json!({ "lease": lease.as_millis(), "by": holder.unwrap_or("webhook") }))
}

/// The work is done; perhaps more of it began at once.
pub(crate) fn done(tx: &Tx<'_>, next: bool) -> Step {
    Step::new(tx, "done", json!({ "next": next }))
}

/// Where a subscription announces its wakes, as a policy names it.
pub(crate) fn target(kind: &Kind) -> Json {
    let target = match kind {
        Kind::Webhook { url } => Target::Webhook(url.clone()),
        Kind::Runner { runner } => Target::Runner(runner.clone()),
        Kind::Stream { path } => return json!({ "type": "stream", "path": path }),
    };
    Policy { target, subscription_id: None }.json()["targets"][0].take()
}

/// As much of a text as is kept.
pub(crate) fn cut(text: &str) -> &str {
    let end = (0..=KEPT_ANSWER.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    &text[..end]
}
