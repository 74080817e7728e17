//! Handles and offsets. A handle says which shape it is of and which log: `{shape}-{log}-{commit}-{moment}`, and in the
//! place of a refused one, something that was made of that: so none is ever given to who was refused with it.

use sha2::{Digest, Sha256};

use super::columns::Spec;
use super::{Scope, Shape};
use crate::store::{Read, SqlError};

/// Names a shape.
pub(super) fn hash(spec: &Spec, scope: &Scope, condition: &str, params: &[String], full: bool, log: &str) -> String {
    let identity = serde_json::json!([spec.name, scope.identity(), condition, params, full, log == "changes_only"]);
    hex(identity.to_string().as_bytes())
}

/// A new handle of a shape.
pub(super) fn fresh(read: &Read<'_>, shape: &Shape) -> Result<String, SqlError> {
    Ok(format!("{}-{}-{}-{:x}", shape.hash, log(read)?, read.commit()?, read.now.as_millis()))
}

/// A new handle in the place of one that was refused: never the same.
pub(super) fn instead(read: &Read<'_>, shape: &Shape, refused: &str) -> Result<String, SqlError> {
    Ok(format!("{}-{}", fresh(read, shape)?, hex(refused.as_bytes())))
}

/// Whether a handle is of a shape, and of this log of it.
pub(super) fn fits(read: &Read<'_>, shape: &Shape, handle: &str) -> Result<bool, SqlError> {
    let rest = handle.strip_prefix(&shape.hash).and_then(|rest| rest.strip_prefix('-'));
    let rest = rest.map(|rest| Ok(rest.strip_prefix(&log(read)?).is_some_and(|rest| rest.starts_with('-'))));
    rest.unwrap_or(Ok(false))
}

/// Names the log: another database has another.
fn log(read: &Read<'_>) -> Result<String, SqlError> {
    Ok(hex(format!("shapes of {}", read.incarnation()?).as_bytes()))
}

/// Reads an offset: a commit, and how far its snapshot has come.
pub(super) fn offset(text: &str) -> Option<(i64, i64)> {
    let (at, within) = text.split_once('_')?;
    let number = |text: &str| text.parse::<i64>().ok().filter(|n| *n >= 0 && text.bytes().all(|b| b.is_ascii_digit()));
    Some((number(at)?, if within == "inf" { 0 } else { number(within)? }))
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)[..6].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn offsets() {
        for (text, want) in [
            ("7_0", Some((7, 0))),
            ("7_12", Some((7, 12))),
            ("0_inf", Some((0, 0))),
            ("10", None),
            ("1_2_3", None),
            ("0_-1", None),
            ("-1_0", None),
            ("+1_0", None),
            ("99999999999999999999_0", None),
            ("", None),
        ] {
            assert_eq!(offset(text), want, "{text}");
        }
    }
}
