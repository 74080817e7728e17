//! An answer of a shape: what has changed, and where to go on. A function of the answer (shape protocol, sections 1.3 to
//! 1.6).

use std::borrow::Cow;

use serde_json::value::RawValue;
use serde_json::{Value as Json, json};

use super::value::{Columns, row};
use crate::effect::Answer;
use crate::limits::{JSON_DEPTH, KEPT_ANSWER, SHAPE_COLUMNS, SHAPE_PAGE, SHAPE_TEXT};
use crate::stream::{depth, members, string};

/// What an answer amounts to.
#[derive(Debug)]
pub(super) enum Page {
    /// The log that was read is gone: there is another, and what changed meanwhile is not known.
    Gone,
    /// Nothing new, as an older server says it.
    Nothing,
    /// What comes next of the log.
    Next(Next),
}

/// What comes next of a shape's log.
#[derive(Debug)]
pub(super) struct Next {
    /// Which log.
    pub(super) handle: String,
    /// Where the next question goes on.
    pub(super) at: String,
    /// What the next live question sends along, for caches in between.
    pub(super) cache_key: Option<String>,
    /// The types of the columns, as JSON.
    pub(super) columns: Option<String>,
    /// Its messages, as they came.
    messages: Vec<Box<RawValue>>,
    /// Whether there is nothing more.
    pub(super) caught_up: bool,
}

/// Why an answer is none, and for how many seconds the shape asks to be left alone.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unusable {
    pub(super) why: String,
    pub(super) retry_after: Option<i64>,
}

/// The headers that a page needs.
pub(super) const HEADERS: &[&str] =
    &["electric-handle", "electric-offset", "electric-cursor", "electric-schema", "retry-after"];

impl Page {
    pub(super) fn of(answer: &Answer) -> Result<Self, Unusable> {
        let unusable = |why: String| Unusable { why, retry_after: None };
        match answer.status {
            200 => Self::ok(answer).map_err(unusable),
            204 => Ok(Self::Nothing),
            409 => Ok(Self::Gone),
            _ => Err(Unusable {
                why: format!("the shape answered {}", rejection(answer)),
                retry_after: answer.header("retry-after").and_then(|seconds| seconds.trim().parse().ok()),
            }),
        }
    }

    fn ok(answer: &Answer) -> Result<Self, String> {
        let header = |name: &str| answer.header(name).filter(|value| !value.is_empty() && value.len() <= SHAPE_TEXT);
        let needed = |name: &str| header(name).map(str::to_owned).ok_or_else(|| format!("its answer has no `{name}`"));
        let (handle, at) = (needed("electric-handle")?, needed("electric-offset")?);
        if !is_offset(&at) {
            return Err("its answer's `electric-offset` is no offset".to_owned());
        }
        let columns = answer.header("electric-schema").filter(|columns| !columns.is_empty());
        if columns.is_some_and(|columns| columns.len() > SHAPE_COLUMNS) {
            return Err(format!("its columns take more than {SHAPE_COLUMNS} bytes to describe"));
        }
        if answer.body.len() >= SHAPE_PAGE {
            return Err(format!("its answer is not shorter than {SHAPE_PAGE} bytes"));
        }
        let bad = |_| "its answer is not a JSON array of messages".to_owned();
        let messages: Vec<Box<RawValue>> = serde_json::from_slice(&answer.body).map_err(bad)?;
        let caught_up = messages.last().is_some_and(|last| control(last).as_deref() == Some("up-to-date"));
        if messages.iter().any(|message| control(message).as_deref() == Some("must-refetch")) {
            return Ok(Self::Gone);
        }
        let cache_key = header("electric-cursor").map(str::to_owned);
        Ok(Self::Next(Next { handle, at, cache_key, columns: columns.map(str::to_owned), messages, caught_up }))
    }
}

impl Next {
    /// The events that its changes are, in order, and how many messages were no changes that can be told.
    pub(super) fn events(&self, columns: &Columns) -> (Vec<String>, usize) {
        let (mut events, mut passed) = (Vec::new(), 0);
        for message in self.messages.iter().filter(|message| control(message).is_none()) {
            match event(columns, message.get()) {
                Some(event) => events.push(event),
                None => passed += 1,
            }
        }
        (events, passed)
    }
}

/// An answer that is none, as its reader is told: the status, and how its body begins.
pub(super) fn rejection(answer: &Answer) -> String {
    let body = String::from_utf8_lossy(&answer.body);
    let body: String = body.trim().chars().take(KEPT_ANSWER).collect();
    if body.is_empty() { answer.status.to_string() } else { format!("{}: {body}", answer.status) }
}

/// Whether it names a place in a log: `-1`, or two numbers, the second of which may be the end of the first.
pub(super) fn is_offset(text: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text == "-1" || text.split_once('_').is_some_and(|(tx, op)| is_number(tx) && (is_number(op) || op == "inf"))
}

fn control(message: &RawValue) -> Option<Cow<'_, str>> {
    find(find_raw(message.get(), "headers")?.get(), "control")
}

fn find_raw<'a>(object: &'a str, name: &str) -> Option<&'a RawValue> {
    members(object).into_iter().rfind(|(n, _)| n == name).map(|(_, value)| value)
}

fn find<'a>(object: &'a str, name: &str) -> Option<Cow<'a, str>> {
    find_raw(object, name).and_then(string)
}

/// A change as an event of the stream; nothing when no reader could tell which row it is about, or what became of it.
fn event(columns: &Columns, message: &str) -> Option<String> {
    let headers = find_raw(message, "headers")?;
    let operation = find(headers.get(), "operation")?;
    if !matches!(&*operation, "insert" | "update" | "delete") || depth(message) > JSON_DEPTH / 2 {
        return None;
    }
    let read = |(name, value): (Cow<'_, str>, &RawValue)| {
        let value = if matches!(&*name, "value" | "old_value") { row(columns, value) } else { value.get().to_owned() };
        format!("{}:{value}", json!(name))
    };
    let value: Vec<String> = members(message).into_iter().map(read).collect();
    let value = format!("{{{}}}", value.join(","));
    let key = find(message, "key").filter(|key| !key.is_empty()).map(Cow::into_owned);
    let key = key.or_else(|| substitute(&value))?;
    let headers = headers.get();
    Some(format!(r#"{{"type":"pg_sync_change","key":{},"value":{value},"headers":{headers}}}"#, json!(key)))
}

/// What stands for the key of a change that has none.
fn substitute(message: &str) -> Option<String> {
    let message: Json = serde_json::from_str(message).ok()?;
    if let Some(key) = message["headers"]["key"].as_str() {
        return Some(key.to_owned());
    }
    let places = [
        ("headers", "key"),
        ("headers", "rowKey"),
        ("value", "id"),
        ("value", "key"),
        ("old_value", "id"),
        ("old_value", "key"),
    ];
    let found = places.into_iter().map(|(of, name)| &message[of][name]).find(|value| !value.is_null())?;
    Some(stable(found))
}

/// A value as JSON whose objects have their members sorted.
fn stable(value: &Json) -> String {
    match value {
        Json::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            let members: Vec<String> = members.iter().map(|(k, v)| format!("{}:{}", json!(k), stable(v))).collect();
            format!("{{{}}}", members.join(","))
        }
        Json::Array(all) => format!("[{}]", all.iter().map(stable).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Answer { status, headers, body: body.as_bytes().to_vec() }
    }

    const HEAD: [(&str, &str); 2] = [("electric-handle", "h-1"), ("electric-offset", "26800584_2")];
    const UP_TO_DATE: &str = r#"{"headers":{"control":"up-to-date","global_last_seen_lsn":"26800584"}}"#;

    fn next(body: &str) -> Next {
        match Page::of(&answer(200, &HEAD, body)) {
            Ok(Page::Next(next)) => next,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn offsets_are_two_numbers() {
        for (text, is) in [
            ("-1", true),
            ("0_0", true),
            ("0_inf", true),
            ("26800584_12", true),
            ("now", false),
            ("10", false),
            ("1_2_3", false),
            ("0_-1", false),
            ("_", false),
            ("", false),
        ] {
            assert_eq!(is_offset(text), is, "{text}");
        }
    }

    #[test]
    fn a_page_ends_where_its_headers_say() {
        let page = next(&format!("[{UP_TO_DATE}]"));
        assert_eq!((page.handle.as_str(), page.at.as_str(), page.caught_up), ("h-1", "26800584_2", true));
        assert!(!next("[]").caught_up);
        assert!(matches!(Page::of(&answer(409, &[], "[]")), Ok(Page::Gone)));
        let told = answer(200, &HEAD, r#"[{"headers":{"control":"must-refetch"}}]"#);
        assert!(matches!(Page::of(&told), Ok(Page::Gone)));
        assert!(matches!(Page::of(&answer(204, &[], "")), Ok(Page::Nothing)));
    }

    #[test]
    fn what_is_no_page_says_why() {
        for (answer, why) in [
            (answer(200, &HEAD[..1], "[]"), "no `electric-offset`"),
            (answer(200, &HEAD[1..], "[]"), "no `electric-handle`"),
            (answer(200, &[HEAD[0], ("electric-offset", "now")], "[]"), "is no offset"),
            (answer(200, &HEAD, "{}"), "not a JSON array"),
            (answer(200, &HEAD, "[1,"), "not a JSON array"),
            (answer(200, &HEAD, "[\"\\ud800\"]"), "nothing"),
            (answer(500, &[], " oops "), "answered 500: oops"),
            (answer(302, &[], ""), "answered 302"),
        ] {
            match Page::of(&answer) {
                Err(unusable) => assert!(unusable.why.contains(why), "{why}: {}", unusable.why),
                Ok(page) => assert_eq!(why, "nothing", "{page:?}"),
            }
        }
        let later = Page::of(&answer(503, &[("retry-after", "7")], "")).expect_err("busy");
        assert_eq!(later.retry_after, Some(7));
    }

    #[test]
    fn changes_become_events() {
        let columns: Columns =
            serde_json::from_str(r#"{"id":{"type":"int4"},"done":{"type":"bool"}}"#).expect("columns");
        let change = r#"{"key":"\"public\".\"todos\"/\"1\"","value":{"id":"1","done":"t"},"old_value":{"done":"f"},"headers":{"operation":"update","relation":["public","todos"],"txids":[9007199254740993],"lsn":"5","op_position":0}}"#;
        let (events, passed) = next(&format!("[{change},{UP_TO_DATE}]")).events(&columns);
        let want = r#"{"type":"pg_sync_change","key":"\"public\".\"todos\"/\"1\"","value":{"key":"\"public\".\"todos\"/\"1\"","value":{"id":1,"done":true},"old_value":{"done":false},"headers":{"operation":"update","relation":["public","todos"],"txids":[9007199254740993],"lsn":"5","op_position":0}},"headers":{"operation":"update","relation":["public","todos"],"txids":[9007199254740993],"lsn":"5","op_position":0}}"#;
        assert_eq!((events, passed), (vec![want.to_owned()], 0));
    }

    #[test]
    fn a_change_without_a_key_has_a_substitute_or_is_passed_over() {
        for (message, key) in [
            (json!({ "key": "k", "value": { "id": "1" } }), Some("k")),
            (json!({ "headers": { "key": "h" }, "value": { "id": "1" } }), Some("h")),
            (json!({ "headers": { "key": { "b": 1, "a": 2 } } }), Some(r#"{"a":2,"b":1}"#)),
            (json!({ "headers": { "rowKey": 7 } }), Some("7")),
            (json!({ "value": { "id": "1", "key": "x" } }), Some(r#""1""#)),
            (json!({ "value": { "key": "x" } }), Some(r#""x""#)),
            (json!({ "old_value": { "id": "1" } }), Some(r#""1""#)),
            (json!({ "value": { "name": "x" } }), None),
            (json!({ "key": "" }), None),
            (json!({ "key": "k", "headers": { "operation": "truncate" } }), None),
            (json!(7), None),
        ] {
            let mut message = message;
            if message.is_object() && message["headers"]["operation"].is_null() {
                message["headers"]["operation"] = "insert".into();
            }
            let (events, passed) = next(&format!("[{message}]")).events(&Columns::new());
            let found = events.first().map(|event| find(event, "key").expect("a key").into_owned());
            assert_eq!((found.as_deref(), passed), (key, usize::from(key.is_none())), "{message}");
        }
        let deep = format!(
            r#"{{"key":"k","value":{{"a":{}{}}},"headers":{{"operation":"insert"}}}}"#,
            "[".repeat(500),
            "]".repeat(500)
        );
        assert_eq!(next(&format!("[{deep}]")).events(&Columns::new()).1, 1);
    }
}
