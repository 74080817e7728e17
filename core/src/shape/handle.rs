//! Handles and offsets. A handle says which shape it is of and which log: `{shape}-{log}-{commit}-{moment}`, and in the
//! place of a refused one, something that was made of that: so none is ever given to who was refused with it.

use super::columns::Spec;
use super::{Scope, Shape};
use crate::entropy::sha16;
use crate::store::{Read, SqlError};

/// Names a shape.
pub(super) fn hash(spec: &Spec, scope: &Scope, condition: &str, params: &[String], full: bool, log: &str) -> String {
    let identity = serde_json::json!([spec.name, scope.identity(), condition, params, full, log == "changes_only"]);
    sha16(&identity.to_string())
}

/// A new handle of a shape.
pub(super) fn fresh(read: &Read<'_>, shape: &Shape) -> Result<String, SqlError> {
    Ok(format!("{}-{}-{}-{:x}", shape.hash, log(read)?, read.commit()?, read.now.as_millis()))
}

/// A new handle in the place of one that was refused: never the same.
pub(super) fn instead(read: &Read<'_>, shape: &Shape, refused: &str) -> Result<String, SqlError> {
    Ok(format!("{}-{}", fresh(read, shape)?, sha16(refused)))
}

/// Whether a handle is of a shape, and of this log of it.
pub(super) fn fits(read: &Read<'_>, shape: &Shape, handle: &str) -> Result<bool, SqlError> {
    let rest = handle.strip_prefix(&shape.hash).and_then(|rest| rest.strip_prefix('-'));
    let Some(rest) = rest.and_then(|rest| rest.split_once('-')) else { return Ok(false) };
    // A commit that has not been yet was in a database that this one is an older copy of.
    let commit = rest.1.split('-').next().and_then(|commit| commit.parse::<i64>().ok());
    Ok(rest.0 == log(read)? && commit.is_some_and(|commit| commit >= 0) && commit <= Some(read.commit()?))
}

/// Names the log: another database has another.
fn log(read: &Read<'_>) -> Result<String, SqlError> {
    Ok(sha16(&format!("shapes of {}", read.incarnation()?)))
}

/// Where a reader stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The commit up to which everything was told.
    pub(super) at: i64,
    /// How far the snapshot of that commit has come; 0 when it is complete.
    pub(super) within: i64,
    /// Some rows were told as they were later. What is told of them next does not rely on what they were.
    pub(super) loose: bool,
}

impl Place {
    /// Reads an offset: `{commit}_0`, `{commit}_{row}`, or `{commit}_inf`, which is loose.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (at, within) = text.split_once('_')?;
        let number =
            |text: &str| text.parse::<i64>().ok().filter(|n| *n >= 0 && text.bytes().all(|b| b.is_ascii_digit()));
        let (loose, within) = (within == "inf", if within == "inf" { 0 } else { number(within)? });
        Some(Self { at: number(at)?, within, loose })
    }

    pub(super) fn text(self) -> String {
        let Self { at, within, loose } = self;
        if loose { format!("{at}_inf") } else { format!("{at}_{within}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn offsets() {
        let place = |at, within, loose| Some(Place { at, within, loose });
        for (text, want) in [
            ("7_0", place(7, 0, false)),
            ("7_12", place(7, 12, false)),
            ("0_inf", place(0, 0, true)),
            ("10", None),
            ("1_2_3", None),
            ("0_-1", None),
            ("-1_0", None),
            ("+1_0", None),
            ("99999999999999999999_0", None),
            ("", None),
        ] {
            assert_eq!(Place::parse(text), want, "{text}");
            assert!(want.is_none_or(|place| place.text() == text), "{text}");
        }
    }
}
