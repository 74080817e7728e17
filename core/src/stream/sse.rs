//! Event streams: one data event, then one control event (stream protocol, section 6.4).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde_json::json;

use super::offset::Offset;
use crate::http::Response;
use crate::store::media_type;

/// The head of an event stream.
pub(super) fn head(content_type: &str) -> Response {
    let mut response = Response::empty(StatusCode::OK)
        .with("content-type", "text/event-stream")
        .with("cache-control", "no-cache")
        .with("connection", "close");
    if is_binary(content_type) {
        response.set("stream-sse-data-encoding", "base64");
    }
    response
}

/// A data event of a stream of this content type: each line of the payload on a line of its own, so that no payload can
/// forge a field or an event.
pub(crate) fn data(content_type: &str, bytes: &[u8]) -> String {
    if is_binary(content_type) { framed(&STANDARD.encode(bytes)) } else { framed(&String::from_utf8_lossy(bytes)) }
}

fn framed(text: &str) -> String {
    let mut event = String::with_capacity(text.len() + 32);
    event.push_str("event: data\n");
    for line in lines(text) {
        // A client takes one space after the colon away: a line that begins with one gets it back.
        event.push_str(if line.starts_with(' ') { "data: " } else { "data:" });
        event.push_str(line);
        event.push('\n');
    }
    event.push('\n');
    event
}

/// A control event: where the reader stands now.
pub(super) fn control(at: Offset, cursor: Option<&str>, up_to_date: bool, closed: bool) -> String {
    let mut control = json!({ "streamNextOffset": at });
    if let Some(cursor) = cursor {
        control["streamCursor"] = cursor.into();
    }
    if up_to_date {
        control["upToDate"] = true.into();
    }
    if closed {
        control["streamClosed"] = true.into();
    }
    format!("event: control\ndata:{control}\n\n")
}

/// Neither text nor JSON: sent as base64.
fn is_binary(content_type: &str) -> bool {
    let kind = media_type(content_type);
    !kind.starts_with("text/") && kind != "application/json"
}

/// Splits at CRLF, CR or LF.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(at) = text.find(['\r', '\n']) else {
            rest = None;
            return Some(text);
        };
        let after = if text[at..].starts_with("\r\n") { at + 2 } else { at + 1 };
        rest = Some(&text[after..]);
        Some(&text[..at])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// Clients take one space after the colon away: text that is indented lost its first column.
    #[test]
    fn a_space_at_the_beginning_of_a_line_is_not_the_protocols() {
        assert_eq!(framed("a\n b\n  c"), "event: data\ndata:a\ndata:  b\ndata:   c\n\n");
    }

    #[test]
    fn every_kind_of_line_end_splits_once() {
        assert_eq!(lines("a\r\nb\rc\nd").collect::<Vec<_>>(), ["a", "b", "c", "d"]);
        assert_eq!(lines("one\n\nevent: control").collect::<Vec<_>>(), ["one", "", "event: control"]);
        assert_eq!(lines("").collect::<Vec<_>>(), [""]);
    }
}
