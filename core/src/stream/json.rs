//! JSON as JavaScript reads it, which leaves half a surrogate pair where it cuts a string in two.

use serde_json::Value as Json;

/// Reads JSON text. Half a surrogate pair counts as one character, U+FFFD.
///
/// # Errors
/// It is no JSON, a number in it is out of range, or it nests deeper than is safe.
pub(crate) fn parse(text: &str) -> Result<Json, serde_json::Error> {
    serde_json::from_str(text).or_else(|_| serde_json::from_str(&mend(text)))
}

/// The text of a JSON string that is not plain.
pub(super) fn mended(text: &str) -> Option<String> {
    serde_json::from_str(text).or_else(|_| serde_json::from_str(&mend(text))).ok()
}

/// Takes the half of a pair from the end of what stands between a string's quotes, for the string that goes on with the
/// other half.
pub(crate) fn take_half(escaped: &mut String) -> String {
    let at = escaped.len().saturating_sub(6);
    let is_half = escaped.get(at..).and_then(unit).is_some_and(|unit| (0xD800..=0xDBFF).contains(&unit));
    let slashes = escaped[..if is_half { at } else { 0 }].bytes().rev().take_while(|byte| *byte == b'\\').count();
    if is_half && slashes % 2 == 0 { escaped.split_off(at) } else { String::new() }
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
            assert_eq!(parse(text).expect("readable"), want, "{text}");
        }
        assert!(parse("1e999").is_err());
    }

    #[test]
    fn half_a_pair_goes_with_the_other_half() {
        for (text, left, half) in [
            (r"a\ud83d", "a", r"\ud83d"),
            (r"a\\ud83d", r"a\\ud83d", ""),
            (r"\\\ud83d", r"\\", r"\ud83d"),
            (r"a\ude00", r"a\ude00", ""),
            ("é", "é", ""),
            ("", "", ""),
        ] {
            let mut escaped = text.to_owned();
            assert_eq!((take_half(&mut escaped).as_str(), escaped.as_str()), (half, left), "{text}");
        }
    }
}
