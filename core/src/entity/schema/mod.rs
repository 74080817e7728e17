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

pub(super) use crate::stream::json::parse as read;

/// Where in a value something is wrong, as a JSON pointer, and what.
pub(super) type Complaint = (String, String);

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
