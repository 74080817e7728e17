//! What a wake says of a finished child: its answer, from a bounded read that starts where the run began
//! (wake specification, section 1.8).

use serde::Serialize;
use serde_json::Value as Json;
use serde_json::value::RawValue;

use crate::limits::{RESPONSE, RESPONSE_READ};
use crate::store::{EntityRow, SqlError, Tx};
use crate::stream::json::{parse, take_half};
use crate::stream::{Event, Offset, messages};

/// A finished child, as a wake row carries it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct FinishedChild {
    url: String,
    r#type: String,
    run_status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// The response was longer than a wake carries, or its run than is read for it; the child's stream holds all of it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    response_truncated: bool,
}

/// The child without its answer.
pub(super) fn bare(child: &EntityRow, status: &str) -> FinishedChild {
    FinishedChild {
        url: child.url.clone(),
        r#type: child.kind.clone(),
        run_status: status.to_owned(),
        response: None,
        error: None,
        response_truncated: false,
    }
}

/// The child with the text of the run that began at `start`, and its errors when it failed.
pub(super) fn answered(
    tx: &Tx<'_>,
    child: &EntityRow,
    run: &str,
    status: &str,
    start: Offset,
) -> Result<FinishedChild, SqlError> {
    let (mut text, mut errors, mut truncated) = (Text::default(), Vec::new(), false);
    let Some(stream) = tx.stream_by_id(child.id)? else { return Ok(bare(child, status)) };
    let read = tx.entries(&stream, start, RESPONSE_READ, |_, entry| {
        for message in messages(entry) {
            let event = Event::of(&message);
            if event.value_str("run_id").as_deref() != Some(run) {
                continue;
            }
            match event.kind.as_deref() {
                Some("text_delta") if !truncated => {
                    truncated = !event.value_member("delta").is_none_or(|delta| text.push(delta))
                }
                Some("error") if errors.len() < 100 => {
                    errors.push(event.value_str("message").unwrap_or_default().chars().take(2000).collect::<String>())
                }
                _ => {}
            }
        }
    })?;
    let (text, truncated) = text.whole(truncated);
    Ok(FinishedChild {
        response: (!text.is_empty()).then_some(text),
        error: (status == "failed" && !errors.is_empty()).then(|| errors.join("\n")),
        response_truncated: truncated || read < stream.tail,
        ..bare(child, status)
    })
}

/// What a run has said, as far as a wake carries it.
#[derive(Default)]
struct Text {
    said: String,
    /// Half a surrogate pair, whose other half may come.
    half: String,
}

impl Text {
    /// Adds what fits of a JSON string; false when something did not.
    fn push(&mut self, delta: &RawValue) -> bool {
        let Some(inner) = delta.get().strip_prefix('"').and_then(|text| text.strip_suffix('"')) else { return true };
        let mut escaped = std::mem::take(&mut self.half) + inner;
        self.half = take_half(&mut escaped);
        self.add(&escaped)
    }

    fn add(&mut self, escaped: &str) -> bool {
        let more = parse(&format!("\"{escaped}\"")).ok();
        let more = more.as_ref().and_then(Json::as_str).unwrap_or_default();
        let room = RESPONSE - self.said.len();
        let cut = (0..=room.min(more.len())).rev().find(|at| more.is_char_boundary(*at)).unwrap_or(0);
        self.said.push_str(&more[..cut]);
        cut == more.len()
    }

    /// All of it, and whether something did not fit.
    fn whole(mut self, truncated: bool) -> (String, bool) {
        let half = std::mem::take(&mut self.half);
        let fits = truncated || self.add(&half);
        (self.said, truncated || !fits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn what_was_cut_in_two_is_whole_again() {
        let said = |deltas: &[&str]| {
            let mut text = Text::default();
            for delta in deltas {
                assert!(text.push(serde_json::from_str(delta).expect("JSON")));
            }
            text.whole(false).0
        };
        assert_eq!(said(&[r#""hi \ud83d""#, r#""\ude00 bye""#]), "hi 😀 bye");
        assert_eq!(said(&[r#""hi ""#, r#""\ud83d""#, r#"" more""#, "5"]), "hi \u{fffd} more");
        assert_eq!(said(&[r#""hi \\ud83d""#, r#""\ud83d""#]), "hi \\ud83d\u{fffd}");
    }

    #[test]
    fn a_long_answer_is_cut_between_characters() {
        let mut text = Text { said: "x".repeat(RESPONSE - 1), ..Text::default() };
        assert!(!text.add("é!"));
        assert_eq!(text.said.len(), RESPONSE - 1);
        assert!(text.add("y"));
    }
}
