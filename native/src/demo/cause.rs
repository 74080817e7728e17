//! Why an agent woke, and when that was, from the rows that woke it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::work::TIMER;
use crate::client::wake::Row;

/// What woke an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cause {
    /// In words, each row's.
    pub(super) why: Vec<String>,
    /// When the first of them happened.
    pub(super) at: Option<SystemTime>,
}

impl Cause {
    /// The cause in new rows.
    pub(super) fn of(fresh: &[&Row]) -> Self {
        Self { why: fresh.iter().map(|row| why(row)).collect(), at: fresh.iter().filter_map(|row| at(row)).min() }
    }
}

fn why(row: &Row) -> String {
    let value = &row.json["value"];
    let child = &value["finished_child"];
    if value["message_type"] == TIMER {
        return format!("its timer of {} ms", value["payload"]["after_ms"]);
    }
    match (row.json["type"].as_str(), child["url"].as_str()) {
        (Some("wake"), Some(url)) if child["run_status"] == "failed" => format!("{url} failed"),
        (Some("wake"), Some(url)) => format!("{url} finished"),
        (Some("wake"), None) => format!("a change of {}", value["source"].as_str().unwrap_or("?")),
        _ => match value["payload"].get("say") {
            Some(_) => "its first message".to_owned(),
            None => format!("the message {}", value["payload"]),
        },
    }
}

/// When a row was caused: a timer by its due time, anything else when it was written.
fn at(row: &Row) -> Option<SystemTime> {
    let value = &row.json["value"];
    let timer = value["payload"]["due_ms"].as_u64().filter(|_| value["message_type"] == TIMER);
    let ms = match timer {
        Some(due) => due,
        None => u64::try_from(value["timestamp"].as_str()?.parse::<jiff::Timestamp>().ok()?.as_millisecond()).ok()?,
    };
    Some(UNIX_EPOCH + Duration::from_millis(ms))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_cause_has_its_words_and_its_moment() {
        for (kind, value, why, ms) in [
            ("inbox", json!({ "payload": "hi", "timestamp": "1970-01-01T00:00:00.007Z" }), "the message \"hi\"", 7),
            (
                "inbox",
                json!({ "payload": { "say": "x" }, "timestamp": "1970-01-01T00:00:01.000Z" }),
                "its first message",
                1000,
            ),
            (
                "inbox",
                json!({ "payload": { "after_ms": 50, "due_ms": 60 }, "message_type": TIMER, "timestamp": "1970-01-01T00:00:09.000Z" }),
                "its timer of 50 ms",
                60,
            ),
            (
                "wake",
                json!({ "finished_child": { "url": "/w/a", "run_status": "completed" }, "timestamp": "1970-01-01T00:00:00.001Z" }),
                "/w/a finished",
                1,
            ),
            (
                "wake",
                json!({ "finished_child": { "url": "/w/a", "run_status": "failed" }, "timestamp": "1970-01-01T00:00:00.001Z" }),
                "/w/a failed",
                1,
            ),
            ("wake", json!({ "source": "/a/b", "timestamp": "1970-01-01T00:00:00.001Z" }), "a change of /a/b", 1),
        ] {
            let cause = Cause::of(&[&Row::of(&json!({ "type": kind, "value": value }))]);
            assert_eq!((cause.why[0].as_str(), cause.at), (why, Some(UNIX_EPOCH + Duration::from_millis(ms))));
        }
    }
}
