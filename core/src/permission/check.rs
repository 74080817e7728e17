//! Asking the store for the facts of a decision. Grants are looked up only for those who need one.

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
    refuse_unless(may(read, by, asked, entity)?, asked, &entity.url)
}

/// Whether `by` may do something with an entity.
pub(crate) fn may(read: &Read<'_>, by: &Principal, asked: Permission, entity: &EntityRow) -> Result<bool, SqlError> {
    let known = Facts { owner: Some(&entity.created_by), grants: &[], now: read.now };
    if decide(by, asked, &known).allows() {
        return Ok(true);
    }
    let grants = read.entity_grants_for(entity.id, by)?;
    Ok(decide(by, asked, &Facts { grants: &grants, ..known }).allows())
}

/// Refuses what `by` may not do with a type.
pub(crate) fn check_type(read: &Read<'_>, by: &Principal, asked: Permission, kind: &str) -> Result<(), Error> {
    refuse_unless(may_type(read, by, asked, kind)?, asked, kind)
}

/// Whether `by` may do something with a type.
pub(crate) fn may_type(read: &Read<'_>, by: &Principal, asked: Permission, kind: &str) -> Result<bool, SqlError> {
    let known = Facts { owner: None, grants: &[], now: read.now };
    if decide(by, asked, &known).allows() {
        return Ok(true);
    }
    let grants = read.type_grants_for(kind, by)?;
    Ok(decide(by, asked, &Facts { grants: &grants, ..known }).allows())
}

fn refuse_unless(may: bool, asked: Permission, whom: &str) -> Result<(), Error> {
    if may { Ok(()) } else { Err(NotAllowed { what: asked.as_str(), whom: whom.to_owned() }.into()) }
}
