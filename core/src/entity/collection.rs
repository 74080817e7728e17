//! Collections that others may write to: what a type may declare of them (control plane, section 9.1).

use serde_json::value::RawValue;

use super::schema::read;
use crate::http::{Refusal, failure};

failure! {
    /// `comments` is a name with a contract.
    ReservedForComments => BAD_REQUEST "INVALID_REQUEST",
    "The externally-writable collection name \"comments\" is reserved for the \"comments/v1\" contract"
}

failure! {
    /// The contract of comments is a contract with a name.
    MisnamedComments => BAD_REQUEST "INVALID_REQUEST",
    "The \"comments/v1\" contract must be registered under the collection name \"comments\""
}

/// The form that a body has to have. `principalColumn` is a relic that says nothing.
pub(super) const FORM: &str = r#"{"additionalProperties":{"type":"object","required":["type"],"additionalProperties":false,"properties":{
    "type":{"type":"string"},"contract":{"type":"string"},"principalColumn":{"type":"string"},
    "operations":{"type":"array","items":{"anyOf":[{"const":"insert"},{"const":"update"},{"const":"delete"}]}}}}}"#;

/// Checks that comments, and only they, go by their contract.
pub(super) fn check(collections: &RawValue) -> Result<(), Refusal> {
    let collections = read(collections.get()).unwrap_or_default();
    for (name, collection) in collections.as_object().into_iter().flatten() {
        match (name.as_str(), collection["contract"].as_str() == Some("comments/v1")) {
            ("comments", false) => return Err(ReservedForComments.into()),
            ("comments", true) | (_, false) => {}
            (_, true) => return Err(MisnamedComments.into()),
        }
    }
    Ok(())
}
