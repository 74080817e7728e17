//! Permissions: what a principal may do with an entity.
//!
//! An entity belongs to who created it; built-in system principals pass every check. Grants do not exist yet.

use http::StatusCode;

use super::Principal;
use crate::http::{Error, Refusal};
use crate::store::EntityRow;

/// What may be done with an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// See it and its stream.
    Read,
    /// Send to it, register its wakes.
    Write,
    /// Kill it.
    Delete,
    /// Make it the parent of another.
    Spawn,
    /// Say what it is to be told, and when.
    Schedule,
}

impl Permission {
    /// Its name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Delete => "delete",
            Self::Spawn => "spawn",
            Self::Schedule => "schedule",
        }
    }
}

/// Whether `by` may do something with an entity that `creator` (a principal URL) created.
#[must_use]
pub fn decide(by: &Principal, _permission: Permission, creator: &str) -> bool {
    by.is_system() || by.url() == creator
}

/// Refuses what [`decide`] does not allow.
pub(crate) fn check(by: &Principal, permission: Permission, entity: &EntityRow) -> Result<(), Error> {
    if decide(by, permission, &entity.created_by) {
        return Ok(());
    }
    let message = format!("Principal is not allowed to {} {}", permission.as_str(), entity.url);
    Err(Refusal::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", message).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn creators_and_the_system_may_and_others_may_not() {
        let who = |text| Principal::parse(text).expect("a principal");
        let creator = "/principal/user%3Aalice";
        for (by, may) in [
            ("user:alice", true),
            ("user:bob", false),
            ("agent:alice", false),
            ("system:dev-local", true),
            ("system:other", false),
        ] {
            assert_eq!(decide(&who(by), Permission::Write, creator), may, "{by}");
        }
    }
}
