//! What a wake says of a finished child: its answer, from a bounded read that starts where the run began
//! (wake specification, section 1.8).

use serde::Serialize;

use crate::limits::{RESPONSE, RESPONSE_READ};
use crate::store::{EntityRow, SqlError, Tx};
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
    let (mut text, mut errors, mut truncated) = (String::new(), Vec::new(), false);
    let Some(stream) = tx.stream_by_id(child.id)? else { return Ok(bare(child, status)) };
    let read = tx.entries(&stream, start, RESPONSE_READ, |_, entry| {
        for message in messages(entry) {
            let event = Event::of(&message);
            if event.value_str("run_id").as_deref() != Some(run) {
                continue;
            }
            match event.kind.as_deref() {
                Some("text_delta") if !truncated => {
                    truncated = !push(&mut text, &event.value_str("delta").unwrap_or_default())
                }
                Some("error") if errors.len() < 100 => {
                    errors.push(event.value_str("message").unwrap_or_default().chars().take(2000).collect::<String>())
                }
                _ => {}
            }
        }
    })?;
    Ok(FinishedChild {
        response: (!text.is_empty()).then_some(text),
        error: (status == "failed" && !errors.is_empty()).then(|| errors.join("\n")),
        response_truncated: truncated || read < stream.tail,
        ..bare(child, status)
    })
}

/// Adds what fits; false when something did not.
fn push(text: &mut String, more: &str) -> bool {
    let room = RESPONSE - text.len();
    let cut = (0..=room.min(more.len())).rev().find(|at| more.is_char_boundary(*at)).unwrap_or(0);
    text.push_str(&more[..cut]);
    cut == more.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_long_answer_is_cut_between_characters() {
        let mut text = "x".repeat(RESPONSE - 1);
        assert!(!push(&mut text, "é!"));
        assert_eq!(text.len(), RESPONSE - 1);
        assert!(push(&mut text, "y"));
    }
}
