//! Shared states: streams that belong to the entities whose manifests name them (control plane, section 4.2).

use percent_encoding::{percent_decode_str, utf8_percent_encode};

use crate::http::{Error, Refusal, Request};
use crate::limits::STATE_OWNERS;
use crate::permission::{self, Decision, Permission, Resource, last_word};
use crate::store::{EntityRow, Read, SqlError, Tx};
use crate::tenant::Principal;
use crate::tenant::principal::COMPONENT;

/// The stream of a shared state, as a URL's path names it.
pub(crate) fn path(id: &str) -> String {
    format!("{PREFIX}{}", utf8_percent_encode(id, COMPONENT))
}

/// The id of the shared state whose stream has this path; what is malformed is taken as it stands.
pub(super) fn id_of(path: &str) -> Option<String> {
    let encoded = path.strip_prefix(PREFIX)?;
    let decoded = percent_decode_str(encoded).decode_utf8();
    Some(decoded.map_or_else(|_| encoded.to_owned(), |id| id.into_owned()))
}

/// Whether `by` may do something with a state: with any of its entities they may.
pub(crate) fn may(read: &Read<'_>, by: &Principal, asked: Permission, id: &str) -> Result<bool, SqlError> {
    let mut decision = if by.is_system() { Decision::System } else { Decision::Denied };
    for entity in read.owners_of_state(id, &by.url(), if decision.allows() { 0 } else { STATE_OWNERS })? {
        decision = permission::decision(read, by, asked, &entity)?;
        if decision.allows() {
            break;
        }
    }
    Ok(last_word(read, by, asked, Resource::SharedState(id), decision))
}

/// Lets `by` write to a state, or refuses it. A request may name an entity that the state is to belong to: the first of
/// them by that alone, if the caller may write to it.
pub(super) fn enter(tx: &Tx<'_>, by: &Principal, request: &Request, id: &str) -> Result<(), Error> {
    let named = request.header("electric-owner-entity").map(str::trim).filter(|url| !url.is_empty());
    let named = named.map(|url| tx.entity(url)).transpose()?.flatten();
    let theirs = match &named {
        Some(entity) => permission::may(tx, by, Permission::Write, entity)?,
        None => false,
    };
    let allowed = may(tx, by, Permission::Write, id)? || theirs && is_nobodys(tx, id)?;
    match named {
        _ if !allowed => Err(denied("write")),
        Some(_) if !theirs => Err(denied("write")),
        Some(entity) => Ok(tx.write_state(entity.id, &format!("shared-state:{id}"), id)?),
        None => Ok(()),
    }
}

/// A row of an entity's manifest names a state, or none: from now on that belongs to the entity, too, if it is nobody's or
/// its creator may write to it already. Gives the state for which the row stood until now, if it does not any more.
pub(crate) fn link(tx: &Tx<'_>, owner: &EntityRow, key: &str, id: Option<&str>) -> Result<Option<String>, SqlError> {
    let before = tx.state_under(owner.id, key)?;
    if before.as_deref() == id {
        return Ok(None);
    }
    match id {
        Some(id) if is_free_to(tx, owner, id)? => tx.write_state(owner.id, key, id)?,
        _ if before.is_some() => tx.delete_state(owner.id, key)?,
        _ => {}
    }
    Ok(before)
}

fn is_free_to(tx: &Tx<'_>, owner: &EntityRow, id: &str) -> Result<bool, SqlError> {
    let creator = Principal::parse(&owner.created_by);
    let theirs = creator.map(|creator| may(tx, &creator, Permission::Write, id)).transpose()? == Some(true);
    Ok(theirs || is_nobodys(tx, id)?)
}

/// Whether no entity has a state yet.
fn is_nobodys(read: &Read<'_>, id: &str) -> Result<bool, SqlError> {
    Ok(read.owners_of_state(id, "", 1)?.is_empty())
}

/// 401, without a word about whether it is there.
pub(super) fn denied(what: &str) -> Error {
    let message = format!("Principal is not allowed to {what} shared state");
    Refusal::new(http::StatusCode::UNAUTHORIZED, "UNAUTHORIZED", message).into()
}

const PREFIX: &str = "/_electric/shared-state/";
