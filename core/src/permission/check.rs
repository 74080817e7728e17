//! Asking the store for the facts of a decision.

use super::{Facts, Permission, decide};
use crate::http::{Error, failure};
use crate::store::{EntityRow, Read, SqlError};
use crate::tenant::Principal;

failure! {
    /// The caller may not do this with that.
    NotAllowed { what: &'static str, whom: String } => UNAUTHORIZED "UNAUTHORIZED", "Principal is not allowed to {what} {whom}"
}

/// Refuses what `by` may not do with an entity.
pub(crate) fn check(read: &Read<'_>, by: &Principal, asked: Permission, entity: &EntityRow) -> Result<(), Error> {
    if may(read, by, asked, entity)? {
        Ok(())
    } else {
        Err(NotAllowed { what: asked.as_str(), whom: entity.url.clone() }.into())
    }
}

/// Whether `by` may do something with an entity. Grants are looked up only for those who need one.
pub(crate) fn may(read: &Read<'_>, by: &Principal, asked: Permission, entity: &EntityRow) -> Result<bool, SqlError> {
    let known = Facts { owner: Some(&entity.created_by), grants: &[], now: read.now };
    Ok(decide(by, asked, &known).allows())
}
