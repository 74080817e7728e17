//! What an append carries: JSON messages, or bytes. Split and checked once; stored as it will be read.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::event::{Event, members};
use super::offset::Offset;
use crate::http::Refusal;
use crate::limits::{JSON_DEPTH, MESSAGES};

/// The content of one append.
#[derive(Clone, Debug)]
pub(crate) enum Content<'a> {
    /// JSON messages, each as its own text.
    Json(Vec<&'a str>),
    /// Bytes of any other content type.
    Bytes(&'a [u8]),
}

impl<'a> Content<'a> {
    /// Splits a body by the protocol's JSON mode (stream protocol, section 4.1): a top-level array is flattened one
    /// level, anything else is one message. The text of each message is kept as it was sent.
    pub(crate) fn parse(json: bool, body: &'a [u8]) -> Result<Self, Refusal> {
        if !json {
            return Ok(Self::Bytes(body));
        }
        let text = std::str::from_utf8(body).map_err(|_| refuse("the body is not UTF-8"))?;
        if depth(text) > JSON_DEPTH {
            return Err(refuse(&format!("the body nests deeper than {JSON_DEPTH}")));
        }
        let messages: Vec<&RawValue> = if text.trim_start().starts_with('[') {
            serde_json::from_str(text).map_err(|e| refuse(&format!("invalid JSON: {e}")))?
        } else {
            vec![serde_json::from_str(text).map_err(|e| refuse(&format!("invalid JSON: {e}")))?]
        };
        if messages.len() > MESSAGES {
            return Err(refuse(&format!("more than {MESSAGES} messages in one append")));
        }
        Ok(Self::Json(messages.into_iter().map(RawValue::get).collect()))
    }

    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Json(messages) => messages.is_empty(),
            Self::Bytes(bytes) => bytes.is_empty(),
        }
    }

    /// How far it moves the tail: its bytes, and one for the separator after each message.
    pub(crate) fn length(&self) -> usize {
        match self {
            Self::Json(messages) => messages.iter().map(|m| m.len() + 1).sum(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }

    /// How many messages it is.
    pub(crate) fn messages(&self) -> usize {
        match self {
            Self::Json(messages) => messages.len(),
            Self::Bytes(_) => 1,
        }
    }

    /// Its messages as events. Unless `all` matter, one that plainly is not to be stamped is not looked at.
    pub(crate) fn events(&self, all: bool) -> Vec<Event<'a>> {
        match self {
            Self::Json(messages) => messages
                .iter()
                .map(|m| if all || may_be_stamped(m) { Event::of(m) } else { Event::default() })
                .collect(),
            Self::Bytes(_) => Vec::new(),
        }
    }

    /// The bytes that every reader will get: JSON messages joined by commas, each event stamped with `end`.
    pub(crate) fn stored(&self, events: &[Event<'_>], end: Offset) -> Cow<'a, [u8]> {
        let messages = match self {
            Self::Bytes(bytes) => return Cow::Borrowed(bytes),
            Self::Json(messages) => messages,
        };
        let mut out = String::with_capacity(self.length() + messages.len() * 48);
        for (i, (message, event)) in messages.iter().zip(events).enumerate() {
            if i > 0 {
                out.push(',');
            }
            match event.stamped {
                Some(headers) => stamp(&mut out, message, headers, end),
                None => out.push_str(message),
            }
        }
        Cow::Owned(out.into_bytes())
    }
}

/// Writes `message` with `headers.offset` set: by text, so that names and numbers stay as they were sent. A stored offset is
/// replaced; the new one comes last.
fn stamp(out: &mut String, message: &str, headers: &RawValue, end: Offset) {
    let text = headers.get();
    let start = text.as_ptr().addr() - message.as_ptr().addr();
    out.push_str(&message[..start]);
    out.push('{');
    let mut seen = 1;
    for (name, value) in members(text) {
        let at = value.get().as_ptr().addr() - text.as_ptr().addr();
        let end = at + value.get().len();
        if name != "offset" {
            out.push_str(text[seen..end].trim_start_matches([',', ' ', '\t', '\r', '\n']));
            out.push(',');
        }
        seen = end;
    }
    out.push_str("\"offset\":\"");
    out.push_str(&end.to_string());
    out.push_str("\"}");
    out.push_str(&message[start + text.len()..]);
}

/// Whether an event could have headers: their name can only be spelt otherwise by an escape.
fn may_be_stamped(message: &str) -> bool {
    message.starts_with('{') && (message.contains("headers") || message.contains('\\'))
}

/// A value of ours as one message.
pub(crate) fn compact(value: &serde_json::Value) -> String {
    value.to_string()
}

/// How deep the brackets of a JSON text nest, brackets in strings left out.
pub(crate) fn depth(text: &str) -> usize {
    let (mut deep, mut deepest, mut quoted, mut escaped) = (0usize, 0, false, false);
    for byte in text.bytes() {
        match (quoted, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => quoted = !quoted,
            (false, b'[' | b'{') => {
                deep += 1;
                deepest = deepest.max(deep);
            }
            (false, b']' | b'}') => deep = deep.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

fn refuse(message: &str) -> Refusal {
    Refusal::plain(http::StatusCode::BAD_REQUEST, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn stored(body: &str, end: i64) -> String {
        let content = Content::parse(true, body.as_bytes()).expect("valid");
        String::from_utf8(content.stored(&content.events(false), Offset::at(end)).into_owned()).expect("text")
    }

    #[test]
    fn an_array_is_flattened_one_level() {
        for (body, messages) in [
            ("[1,2]", 2),
            ("[[1,2],[3,4]]", 2),
            ("[[[1,2,3]]]", 1),
            ("7", 1),
            ("null", 1),
            ("[]", 0),
            (" [ 1 , 2 ] ", 2),
        ] {
            assert_eq!(Content::parse(true, body.as_bytes()).expect("valid").messages(), messages, "{body}");
        }
    }

    #[test]
    fn events_are_stamped_and_nothing_else_is_touched() {
        let end = "0000000000000000_0000000000000099";
        for (body, want) in [
            (r#"{"a":1}"#, r#"{"a":1}"#.to_owned()),
            (
                r#"{"headers":{"operation":"insert"},"n":1.0}"#,
                format!(r#"{{"headers":{{"operation":"insert","offset":"{end}"}},"n":1.0}}"#),
            ),
            (
                r#"{"headers":{"offset":"x","control":"reset"}}"#,
                format!(r#"{{"headers":{{"control":"reset","offset":"{end}"}}}}"#),
            ),
            (
                r#"{"he\u0061ders":{"operation":"x"}}"#,
                format!(r#"{{"he\u0061ders":{{"operation":"x","offset":"{end}"}}}}"#),
            ),
            (
                r#"{"headers":{"\ud83d" : 1,"operation":"x"}}"#,
                format!(r#"{{"headers":{{"\ud83d" : 1,"operation":"x","offset":"{end}"}}}}"#),
            ),
            (r#"{"headers":{"operation":7}}"#, r#"{"headers":{"operation":7}}"#.to_owned()),
            (r#"[12345678901234567890,"é"]"#, r#"12345678901234567890,"é""#.to_owned()),
        ] {
            assert_eq!(stored(body, 99), want, "{body}");
        }
    }

    #[test]
    fn what_is_not_json_or_too_deep_is_refused() {
        for body in ["", "{", "[1,", "nope", "[1]]", "{\"a\":1}{\"b\":2}"] {
            assert!(Content::parse(true, body.as_bytes()).is_err(), "{body}");
        }
        let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(Content::parse(true, deep(128).as_bytes()).is_ok());
        assert!(Content::parse(true, deep(129).as_bytes()).is_err());
        assert!(Content::parse(true, deep(1_000_000).as_bytes()).is_err());
        assert_eq!(depth(r#"{"a":"[[[\"[["}"#), 1);
    }
}
