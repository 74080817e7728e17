//! Why an event does not match a condition, in words. It asks [`evaluate`] again, so it cannot disagree with it.

use super::condition::{Condition, Op};
use super::evaluate::evaluate;
use crate::stream::{Class, Event};

/// What of a condition an event of a class does not meet; `None` when it matches.
#[must_use]
pub fn why_not(condition: &Condition, event: &Event<'_>, class: Class) -> Option<String> {
    if evaluate(condition, event, class).is_some() {
        return None;
    }
    let kind = event.kind.as_deref().unwrap_or("");
    let operation = event.operation.as_deref();
    Some(match condition {
        _ if class == Class::Never || kind == "wake" => "a wake row wakes nobody by itself".to_owned(),
        Condition::RunFinished => run_unfinished(event, kind, operation),
        Condition::Change { .. } if kind.is_empty() => "the event has no `type`, so no collection".to_owned(),
        Condition::Change { collections, .. } if !collections.is_empty() && !collections.iter().any(|c| c == kind) => {
            format!("its collection is `{kind}`, and the condition names {}", list(collections))
        }
        Condition::Change { collections, .. } if collections.is_empty() && class == Class::Named => {
            format!(
                "`{kind}` was written by the server, and such a row matches only a condition that names its collection"
            )
        }
        Condition::Change { ops, filter: Some(filter), .. } if ops.is_empty() || ops.contains(&Op::of(operation)) => {
            let kept_back = filter.complaints(event);
            let (path, what) = kept_back.first().map_or(("", "passes"), |(path, what)| (path.as_str(), what.as_str()));
            format!("the filter `{}` keeps it back: its value{path} {what}", filter.key)
        }
        Condition::Change { ops, .. } => {
            let op = Op::of(operation).as_str();
            let named: Vec<String> = ops.iter().map(|op| op.as_str().to_owned()).collect();
            format!("its operation is `{op}`, and the condition names {}", list(&named))
        }
    })
}

fn run_unfinished(event: &Event<'_>, kind: &str, operation: Option<&str>) -> String {
    if kind != "run" {
        return format!("its type is `{kind}`, and a run that finishes is a `run`");
    }
    if operation != Some("update") {
        let operation = operation.unwrap_or("insert");
        return format!("its operation is `{operation}`, and a run finishes by an `update`");
    }
    let status = event.value_str("status").unwrap_or_default();
    format!("the run's status is `{status}`, and a finished one is `completed` or `failed`")
}

fn list(words: &[String]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_part_that_does_not_match_is_named() {
        let run = |op: &str, status: &str| json!({ "type": "run", "key": "r", "value": { "status": status }, "headers": { "operation": op } });
        let note = |op: &str| json!({ "type": "note", "key": "n", "headers": { "operation": op } });
        let change = |more: Json| {
            let mut condition = json!({ "on": "change" });
            condition.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
            condition
        };
        for (condition, event, class, want) in [
            (json!("runFinished"), run("update", "failed"), Class::Any, None),
            (json!("runFinished"), run("insert", "failed"), Class::Any, Some("operation is `insert`")),
            (json!("runFinished"), run("update", "started"), Class::Any, Some("status is `started`")),
            (json!("runFinished"), note("update"), Class::Any, Some("type is `note`")),
            (change(json!({})), note("insert"), Class::Any, None),
            (change(json!({})), note("insert"), Class::Named, Some("written by the server")),
            (change(json!({})), json!({ "key": "n" }), Class::Any, Some("no `type`")),
            (change(json!({ "collections": ["a", "b"] })), note("insert"), Class::Any, Some("names `a`, `b`")),
            (change(json!({ "collections": ["note"] })), note("insert"), Class::Named, None),
            (change(json!({ "ops": ["delete"] })), note("upsert"), Class::Any, Some("operation is `insert`")),
            (change(json!({ "collections": ["wake"] })), json!({ "type": "wake" }), Class::Any, Some("wake row")),
        ] {
            let text = event.to_string();
            let parsed = Condition::parse(&condition).expect("a condition");
            let why = why_not(&parsed, &Event::of(&text), class);
            assert_eq!(why.is_some(), want.is_some(), "{condition} {event}: {why:?}");
            assert!(why.unwrap_or_default().contains(want.unwrap_or("")), "{condition} {event}");
        }
    }
}
