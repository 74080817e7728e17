//! JSON Schema in the thirty keywords that a type may use (control plane, section 1.6): admitted when a type is
//! registered, so that whatever is stored can be used; checked when a value comes.
//!
//! Draft 7 as AJV reads it: keywords beside a `$ref` count, `nullable` widens the `type` beside it, numbers are equal by
//! value, lengths are code points. `format`, `$schema`, `$id` and the annotations say nothing here, and a `$ref` stays
//! within its own schema.

mod admit;
mod budget;
mod check;
#[cfg(all(test, not(target_arch = "wasm32")))]
mod oracle;
mod pattern;

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use serde_json::Value as Json;

pub(super) use admit::{Unfit, admit};
pub(super) use budget::Budget;
pub(super) use check::Schema;

/// Where in a value something is wrong, as a JSON pointer, and what.
pub(super) type Complaint = (String, String);

/// Reads JSON text for checking. Half a surrogate pair, which JavaScript leaves where it cuts a string in two, counts as
/// one character.
pub(super) fn read(text: &str) -> Result<Json, serde_json::Error> {
    serde_json::from_str(text).or_else(|_| serde_json::from_str(&mend(text)))
}

/// JSON text whose lone surrogates are replaced.
fn mend(text: &str) -> String {
    let mut mended = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, escape)) = rest.find('\\').and_then(|at| rest.split_at_checked(at)) {
        let (length, lone) = match (unit(escape), escape.get(6..).and_then(unit)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => (12, false),
            (Some(0xD800..=0xDFFF), _) => (6, true),
            (Some(_), _) => (6, false),
            (None, _) => (2, false),
        };
        let (kept, after) = escape.split_at_checked(length).unwrap_or((escape, ""));
        mended.push_str(before);
        mended.push_str(if lone { "\\ufffd" } else { kept });
        rest = after;
    }
    mended + rest
}

/// The code unit of an escape like `\u00e9` at the start of a text.
fn unit(escape: &str) -> Option<u16> {
    u16::from_str_radix(escape.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

/// What a `$ref` points to within its schema.
fn resolve<'s>(root: &'s Json, reference: &str) -> Option<&'s Json> {
    let pointer: Cow<'_, str> = percent_decode_str(reference.strip_prefix('#')?).decode_utf8().ok()?;
    root.pointer(&pointer).filter(|target| target.is_object() || target.is_boolean())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn half_a_surrogate_pair_is_one_character() {
        for (text, want) in [
            (r#""a\ud83d""#, json!("a\u{fffd}")),
            (r#""\ude00\ud83d\ude00\ud83d""#, json!("\u{fffd}😀\u{fffd}")),
            (r#"{"\ud83d":"\\ud83d\n\u00e9"}"#, json!({ "\u{fffd}": "\\ud83d\né" })),
        ] {
            assert_eq!(read(text).expect("readable"), want, "{text}");
        }
        assert!(read("1e999").is_err());
    }

    #[test]
    fn a_reference_leads_to_a_schema_or_nowhere() {
        let root = json!({ "$defs": { "a/b %": true, "n": 5 }, "anyOf": [{}] });
        for (reference, found) in [
            ("#", true),
            ("#/$defs/a~1b%20%25", true),
            ("#/%24defs/a~1b %", true),
            ("#/anyOf/0", true),
            ("#/anyOf/1", false),
            ("#/$defs/n", false),
            ("#n", false),
            ("", false),
            ("other.json#/$defs", false),
        ] {
            assert_eq!(resolve(&root, reference).is_some(), found, "{reference}");
        }
    }
}
