//! Asking the store for the facts of a decision. Grants are looked up only for those who need one.

use super::{Decision, Facts, Permission, Resource, decide, last_word};
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
    let decision = decision(read, by, asked, entity)?;
    Ok(last_word(read, by, asked, Resource::Entity(&entity.url), decision))
}

/// The same by owners and grants alone: what lists, membership streams and shapes go by.
pub(crate) fn decision(
    read: &Read<'_>,
    by: &Principal,
    asked: Permission,
    entity: &EntityRow,
) -> Result<Decision, SqlError> {
    let known = Facts { owner: Some(&entity.created_by), grants: &[], now: read.now };
    let without = decide(by, asked, &known);
    if without.allows() {
        return Ok(without);
    }
    let grants = read.entity_grants_for(entity.id, by)?;
    Ok(decide(by, asked, &Facts { grants: &grants, ..known }))
}

/// Refuses what `by` may not do with a type.
pub(crate) fn check_type(read: &Read<'_>, by: &Principal, asked: Permission, kind: &str) -> Result<(), Error> {
    refuse_unless(may_type(read, by, asked, kind)?, asked, kind)
}

/// Whether `by` may do something with a type.
pub(crate) fn may_type(read: &Read<'_>, by: &Principal, asked: Permission, kind: &str) -> Result<bool, SqlError> {
    let decision = decision_on_type(read, by, asked, kind)?;
    Ok(last_word(read, by, asked, Resource::EntityType(kind), decision))
}

/// The same by grants alone: what shapes go by.
pub(crate) fn decision_on_type(
    read: &Read<'_>,
    by: &Principal,
    asked: Permission,
    kind: &str,
) -> Result<Decision, SqlError> {
    let known = Facts { owner: None, grants: &[], now: read.now };
    let without = decide(by, asked, &known);
    if without.allows() {
        return Ok(without);
    }
    let grants = read.type_grants_for(kind, by)?;
    Ok(decide(by, asked, &Facts { grants: &grants, ..known }))
}

fn refuse_unless(may: bool, asked: Permission, whom: &str) -> Result<(), Error> {
    if may { Ok(()) } else { Err(NotAllowed { what: asked.as_str(), whom: whom.to_owned() }.into()) }
}
