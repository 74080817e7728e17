//! Appends of JSON: what readers get is what was sent, but for the offsets that events are stamped with.

use proptest::prelude::*;

use super::check;
use super::json::{Value, document, read};
use crate::limits::JSON_DEPTH;
use crate::stream::probe::split;
use crate::stream::{Content, Offset, depth};

fn messages(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        one => vec![one],
    }
}

/// What a reader gets of a message (stream protocol, section 4.1): the last `headers`, if it is an object with a string
/// `operation` or `control`, has the offset as its last member.
fn stamped(mut message: Value, end: Offset) -> Value {
    let is_event = message.member("headers").is_some_and(|headers| {
        ["operation", "control"].iter().any(|name| headers.member(name).is_some_and(Value::is_string))
    });
    if is_event
        && let Value::Object(members) = &mut message
        && let Some((_, Value::Object(headers))) = members.iter_mut().rev().find(|(name, _)| name == "headers")
    {
        headers.retain(|(name, _)| name != "offset");
        headers.push(("offset".to_owned(), Value::Scalar(format!("\"{end}\""))));
    }
    message
}

fn stored(body: &str, end: Offset, all: bool) -> String {
    let content = Content::parse(true, body.as_bytes()).expect("valid");
    String::from_utf8(content.stored(&content.events(all), end).into_owned()).expect("text")
}

#[test]
fn what_is_read_is_what_was_sent_but_for_offsets() {
    check(3000, &(document(5), 0i64..9_999_999_999_999_999), |(body, end)| {
        let end = Offset::at(end);
        let sent = messages(read(&body));
        let text = stored(&body, end, false);
        let content = Content::parse(true, body.as_bytes()).expect("valid");
        prop_assert_eq!(content.messages(), sent.len());
        prop_assert_eq!(content.is_empty(), sent.is_empty());
        let want: Vec<Value> = sent.into_iter().map(|message| stamped(message, end)).collect();
        prop_assert_eq!(read(&format!("[{text}]")), Value::Array(want));
        // Looking at all of it changes nothing, and neither does writing it again.
        prop_assert_eq!(&stored(&body, end, true), &text);
        if !text.is_empty() {
            prop_assert_eq!(&stored(&format!("[{text}]"), end, false), &text);
        }
        Ok(())
    });
}

#[test]
fn splitting_undoes_joining() {
    check(3000, &prop::collection::vec(document(3), 0..5), |documents| {
        let array = format!("[{}]", documents.join(","));
        let content = Content::parse(true, array.as_bytes()).expect("valid");
        let Content::Json(messages) = &content else { panic!("JSON") };
        prop_assert_eq!(messages.len(), documents.len());
        let joined = messages.join(",");
        prop_assert_eq!(&split(&joined), messages);
        let text = stored(&array, Offset::at(7), false);
        prop_assert_eq!(split(&text).len(), documents.len());
        prop_assert_eq!(split(&text).join(","), text);
        Ok(())
    });
}

#[test]
fn depth_is_that_of_the_brackets_and_bounds_what_is_taken() {
    check(3000, &document(6), |text| {
        prop_assert_eq!(depth(&text), read(&text).depth());
        Ok(())
    });
    // The library counts alike: it goes one less deep than we do.
    check(200, &(1usize..200, "[\\[{]{200}"), |(deep, pattern)| {
        let open = pattern.bytes().take(deep);
        let text = open.clone().map(|b| if b == b'[' { "[" } else { "{\"[\":" }).collect::<String>()
            + "0"
            + &open.rev().map(|b| if b == b'[' { "]" } else { "}" }).collect::<String>();
        prop_assert_eq!(depth(&text), deep);
        prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), deep < JSON_DEPTH);
        prop_assert_eq!(Content::parse(true, text.as_bytes()).is_ok(), deep <= JSON_DEPTH);
        Ok(())
    });
}

/// Whether a body is JSON is not ours to decide: serde's parser of values is the judge.
#[test]
fn what_is_refused_is_not_json() {
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..20),
        "[\\[\\]{}\",:0-9a-z.\\\\ -]{0,16}".prop_map(String::into_bytes),
        // A valid one with a byte changed.
        (document(3), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(text, at, byte)| {
            let mut bytes = text.into_bytes();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes
        }),
    ];
    check(6000, &bytes, |bytes| {
        let valid =
            serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).is_ok() && std::str::from_utf8(&bytes).is_ok();
        let taken = Content::parse(true, &bytes);
        prop_assert_eq!(taken.is_ok(), valid);
        if let Ok(content) = taken {
            let _ = content.stored(&content.events(true), Offset::at(1));
        }
        Ok(())
    });
}
