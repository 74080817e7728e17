//! What a worker does, as a function of its stream: it asks to be woken a moment later, and answers then. The moment is
//! a delayed message, which is a row on the server: nobody holds anything while it passes.

use serde_json::{Value as Json, json};

use crate::client::wake::{Row, row as new};

/// One thing to do in a wake.
#[derive(Debug, PartialEq)]
pub(super) enum Act {
    /// Ask to be woken, and say that the run has begun.
    Sleep {
        /// The message to itself.
        message: Json,
        /// What to append.
        write: Vec<Json>,
        /// How long.
        after_ms: u64,
    },
    /// Answer.
    Answer {
        /// What to append.
        write: Vec<Json>,
        /// The answer.
        say: String,
    },
}

/// Decides by all rows, and those of them that are new. `now_ms` is only remembered, to tell later how late a timer was.
pub(super) fn decide(rows: &[Row], fresh: &[&Row], now_ms: u64) -> Vec<Act> {
    let messages = fresh.iter().filter(|row| row.json["type"] == "inbox");
    messages
        .filter_map(|row| {
            if row.json["value"]["message_type"] == TIMER { answer(rows, row) } else { Some(sleep(row, now_ms)) }
        })
        .collect()
}

/// Of a new message: sleep over it.
fn sleep(row: &Row, now_ms: u64) -> Act {
    let payload = &row.json["value"]["payload"];
    let say = payload["say"].as_str().map_or_else(|| format!("You said: {}", text(payload)), str::to_owned);
    let after_ms = payload["after_ms"].as_u64().unwrap_or(700);
    let run = format!("run-{}", row.offset());
    let message = json!({
        "type": TIMER,
        "afterMs": after_ms,
        "payload": { "run": run, "say": say, "after_ms": after_ms, "due_ms": now_ms + after_ms },
    });
    let text = json!({ "status": "streaming", "run_id": run });
    let write = vec![
        new("run", &run, json!({ "status": "started" }), "insert"),
        new("text", &format!("{run}-text"), text, "insert"),
    ];
    Act::Sleep { message, write, after_ms }
}

/// Of a timer: answer, unless that was done.
fn answer(rows: &[Row], row: &Row) -> Option<Act> {
    let payload = &row.json["value"]["payload"];
    let (run, say) = (payload["run"].as_str()?, payload["say"].as_str()?);
    let done = rows
        .iter()
        .any(|row| row.json["type"] == "run" && row.json["key"] == run && row.json["headers"]["operation"] == "update");
    if done {
        return None;
    }
    let id = format!("{run}-text");
    let deltas = say.split_inclusive(' ').enumerate().map(|(n, delta)| {
        let value = json!({ "text_id": id, "run_id": run, "delta": delta });
        new("text_delta", &format!("{id}:{n}"), value, "insert")
    });
    let end = [
        new("text", &id, json!({ "status": "completed", "run_id": run }), "update"),
        new("run", run, json!({ "status": "completed", "finish_reason": "stop" }), "update"),
    ];
    Some(Act::Answer { write: deltas.chain(end).collect(), say: say.to_owned() })
}

fn text(payload: &Json) -> String {
    payload.as_str().map_or_else(|| payload.to_string(), str::to_owned)
}

/// The type of a worker's message to itself.
pub(super) const TIMER: &str = "timer";

#[cfg(test)]
mod tests {
    use super::*;

    fn inbox(offset: &str, value: Json) -> Row {
        Row::of(
            &json!({ "type": "inbox", "key": "m", "value": value, "headers": { "operation": "insert", "offset": offset } }),
        )
    }

    #[test]
    fn a_message_is_slept_over_and_answered_once() {
        let first = inbox("01", json!({ "payload": { "say": "It is done.", "after_ms": 1000 } }));
        let acts = decide(&[], &[&first], 5);
        let Some(Act::Sleep { message, write, after_ms: 1000 }) = acts.into_iter().next() else { panic!("it sleeps") };
        assert_eq!((&message["afterMs"], &message["payload"]["due_ms"]), (&json!(1000), &json!(1005)));
        let timer = inbox("02", json!({ "payload": message["payload"], "message_type": TIMER }));
        let mut rows: Vec<Row> = write.iter().map(Row::of).collect();
        let acts = decide(&rows, &[&timer], 9);
        let Some(Act::Answer { write, say }) = acts.into_iter().next() else { panic!("it answers") };
        let said: String = write.iter().filter_map(|row| row["value"]["delta"].as_str()).collect();
        assert_eq!((say.as_str(), said.as_str()), ("It is done.", "It is done."));
        rows.extend(write.iter().map(Row::of));
        assert!(decide(&rows, &[&timer], 9).is_empty(), "a second timer finds it answered");
    }

    #[test]
    fn any_message_gets_an_answer() {
        for (payload, said) in
            [(json!("hi"), "You said: hi"), (json!(null), "You said: null"), (json!([1]), "You said: [1]")]
        {
            let row = inbox("01", json!({ "payload": payload }));
            let acts = decide(&[], &[&row], 0);
            assert!(matches!(&acts[..], [Act::Sleep { message, .. }] if message["payload"]["say"] == said), "{acts:?}");
        }
    }
}
