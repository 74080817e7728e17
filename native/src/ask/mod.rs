//! Commands that ask a running server: why an entity is awake or asleep, and whether all is as it should be. Words for
//! people, JSON for programs.

mod check;
mod explain;
mod revive;

use std::process::ExitCode;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::client::Failure;

pub(crate) use self::check::{CHECK, Check, check};
pub(crate) use self::explain::{EXPLAIN, Explain, explain};
pub(crate) use self::revive::{REVIVE, Revive, revive};

/// The path of an entity, as a URL holds it: `/horton/a`, also without its slash.
fn entity(text: &str) -> Result<String, String> {
    let path = text.trim_end_matches('/');
    let segments: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
    match segments.as_slice() {
        [kind, id] | [kind, id, "main"] if !kind.is_empty() && !id.is_empty() => {
            Ok(format!("/{}/{}", encoded(kind), encoded(id)))
        }
        _ => Err("an entity such as /horton/a: its type and its id".to_owned()),
    }
}

/// A segment as a URL holds it; what is escaped already stays so.
fn encoded(segment: &str) -> String {
    utf8_percent_encode(segment, &SEGMENT).to_string()
}

/// What cannot stand in a path.
const SEGMENT: AsciiSet =
    CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'?').add(b'`').add(b'{').add(b'}');

fn failed(server: &str, failure: &Failure) -> ExitCode {
    crate::complain(&format!("{server}: {failure}"), crate::FAILURE)
}

fn refused(message: &str) -> ExitCode {
    crate::complain(message, crate::REFUSED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_is_a_type_and_an_id() {
        for given in ["/horton/a", "horton/a", "/horton/a/", "/horton/a/main"] {
            assert_eq!(entity(given), Ok("/horton/a".to_owned()));
        }
        assert_eq!(entity("/horton/main"), Ok("/horton/main".to_owned()));
        assert_eq!(entity("/horton/a b%20c"), Ok("/horton/a%20b%20c".to_owned()));
        for given in ["", "/", "horton", "/horton/", "/a/b/c", "//a"] {
            assert!(entity(given).is_err(), "{given}");
        }
    }
}
