//! `…/entity-types/{name}/grants`: who may do what with a type (control plane, section 9.6).

use http::StatusCode;
use serde_json::json;

use super::grants::{GrantNotFound, View, id_of};
use super::{Asked, Permission, TooManyGrants, check_type};
use crate::engine::{Done, Reply};
use crate::entity::types::TypeNotFound;
use crate::http::{Body, Call, Error, Response};
use crate::limits::GRANTS;
use crate::store::{Read, TimerKind, Tx, TypeGrant};
use crate::tenant::Principal;

/// The grants on a type: 200 `{"grants"}`.
pub(crate) fn list(call: &Call<'_, Read<'_>>) -> Result<Reply, Error> {
    let (read, by) = (call.store, call.by()?);
    let kind = read.entity_type(call.param("name"))?.ok_or(TypeNotFound)?;
    check_type(read, by, Permission::Manage, &kind.name)?;
    let grants = read.grants_on_type(&kind.name)?;
    let views: Vec<View<'_>> = grants.iter().map(View::of_type).collect();
    Ok(Reply::Whole(Response::json(StatusCode::OK, &json!({ "grants": views }))))
}

/// Gives a grant: 201, also when there is the very same already.
pub(crate) fn create(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let (tx, by) = (call.store, call.by()?);
    let kind = tx.entity_type(call.param("name"))?.ok_or(TypeNotFound)?;
    let body = Body::of(call.request)?;
    let permissions = [Permission::Spawn, Permission::Manage].map(Permission::as_str);
    let asked = Asked::one(&body, &permissions, &[]);
    body.check()?;
    check_type(tx, by, Permission::Manage, &kind.name)?;
    let Some(asked) = asked else { return Ok(Done::nothing()) };
    let grant = give(tx, by, &kind.name, &asked, tx.grants_on_type(&kind.name)?.len())?;
    Ok(Response::json(StatusCode::CREATED, &View::of_type(&grant)).into())
}

/// Takes a grant away: 204. One that was made on another type is not there.
pub(crate) fn delete(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let (tx, by) = (call.store, call.by()?);
    let kind = tx.entity_type(call.param("name"))?.ok_or(TypeNotFound)?;
    check_type(tx, by, Permission::Manage, &kind.name)?;
    let id = id_of(call.param("grant"))?;
    let grant = tx.type_grant(id)?.filter(|grant| grant.kind == kind.name).ok_or(GrantNotFound)?;
    take(tx, &grant)?;
    Ok(Done::nothing())
}

/// Gives the grants of a registration, but for those that are there already.
pub(crate) fn register(tx: &Tx<'_>, by: &Principal, kind: &str, asked: &[Asked]) -> Result<(), Error> {
    if asked.is_empty() {
        return Ok(());
    }
    let mut there = tx.grants_on_type(kind)?;
    for asked in asked {
        let held = asked.held()?;
        if !there.iter().any(|grant| grant.held == held) {
            there.push(give(tx, by, kind, asked, there.len())?);
        }
    }
    Ok(())
}

/// A type is gone, and so is who might do what with it: whoever registers it anew says so again.
pub(crate) fn forget(tx: &Tx<'_>, kind: &str) -> Result<(), Error> {
    for grant in tx.grants_on_type(kind)? {
        take(tx, &grant)?;
    }
    Ok(())
}

fn give(tx: &Tx<'_>, by: &Principal, kind: &str, asked: &Asked, there: usize) -> Result<TypeGrant, Error> {
    let held = asked.held()?;
    if there >= GRANTS {
        return Err(TooManyGrants { what: kind.to_owned() }.into());
    }
    let (id, created_by) = (tx.next_id(), Some(by.url()));
    let grant = TypeGrant { id, kind: kind.to_owned(), held, created_by, created_at: tx.now };
    tx.insert_type_grant(&grant)?;
    if let Some(end) = grant.held.expires_at {
        tx.arm(end.max(tx.now), TimerKind::GrantEnds, grant.id)?;
    }
    Ok(grant)
}

fn take(tx: &Tx<'_>, grant: &TypeGrant) -> Result<(), Error> {
    tx.delete_type_grant(grant.id)?;
    if let Some(end) = grant.held.expires_at {
        tx.disarm(end.max(grant.created_at), TimerKind::GrantEnds, grant.id)?;
    }
    Ok(())
}
