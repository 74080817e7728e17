//! Event streams, as a client reads them that was written from the WHATWG's rules and knows nothing of the server.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::check;
use crate::stream::probe::data;

/// An event as a client gets it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) kind: String,
    pub(super) data: String,
    pub(super) id: String,
    pub(super) retry: Option<String>,
}

/// Interprets an event stream (HTML standard, section 9.2.6).
pub(super) fn interpret(stream: &str) -> Vec<Event> {
    let stream = stream.strip_prefix('\u{feff}').unwrap_or(stream);
    // A line ends with CRLF, LF or CR; the last one counts only if it is ended.
    let mut lines = Vec::new();
    let (mut line, mut chars) = (String::new(), stream.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            '\r' | '\n' => {
                if c == '\r' {
                    chars.next_if_eq(&'\n');
                }
                lines.push(std::mem::take(&mut line));
            }
            c => line.push(c),
        }
    }
    let (mut events, mut kind, mut data, mut id, mut retry) =
        (Vec::new(), String::new(), String::new(), String::new(), None);
    for line in lines {
        if line.is_empty() {
            let kind = std::mem::take(&mut kind);
            let mut data = std::mem::take(&mut data);
            if !data.is_empty() {
                data.pop();
                events.push(Event { kind, data, id: id.clone(), retry: retry.take() });
            }
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => kind = value.to_owned(),
            "data" => data = data + value + "\n",
            "id" if !value.contains('\0') => id = value.to_owned(),
            "retry" => retry = Some(value.to_owned()),
            _ => {}
        }
    }
    events
}

/// Text with each line end as LF.
pub(super) fn normal(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<String>().prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..40),
        prop::collection::vec(
            prop_oneof![
                Just("\n"),
                Just("\r"),
                Just("\r\n"),
                Just(" "),
                Just(":"),
                Just("data:"),
                Just("data"),
                Just("event: control"),
                Just("id: 7"),
                Just("retry: 1"),
                Just("\u{feff}"),
                Just("\u{2028}"),
                Just("\0"),
                Just("x"),
                Just("é")
            ],
            0..12
        )
        .prop_map(|parts| parts.concat().into_bytes()),
    ]
}

/// A payload is one event of its own, and says nothing but itself: a space at the beginning of a line is kept too.
#[test]
fn text_arrives_with_its_lines_and_nothing_else() {
    check(4000, &(payload(), prop_oneof![Just("text/plain"), Just("TEXT/html; charset=utf-8")]), |(bytes, kind)| {
        let events = interpret(&data(kind, &bytes));
        prop_assert_eq!(events.len(), 1);
        let text = normal(&String::from_utf8_lossy(&bytes));
        let want = Event { kind: "data".to_owned(), data: text, id: String::new(), retry: None };
        prop_assert_eq!(&events[0], &want);
        Ok(())
    });
}

#[test]
fn anything_else_arrives_byte_for_byte() {
    let kinds = prop_oneof![Just("application/octet-stream"), Just("image/png"), Just("application/ndjson"), Just("")];
    check(2000, &(payload(), kinds), |(bytes, kind)| {
        let events = interpret(&data(kind, &bytes));
        prop_assert_eq!(events.len(), 1);
        prop_assert_eq!(STANDARD.decode(&events[0].data).expect("base64"), bytes);
        Ok(())
    });
}

#[test]
fn json_arrives_as_the_same_values() {
    check(2000, &super::json::document(4), |text| {
        let events = interpret(&data("application/json", text.as_bytes()));
        prop_assert_eq!(events.len(), 1);
        prop_assert_eq!(super::json::read(&events[0].data), super::json::read(&text));
        Ok(())
    });
}
