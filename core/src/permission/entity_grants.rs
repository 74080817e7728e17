//! `…/entities/{type}/{id}/grants`: who may do what with an entity (control plane, section 10.15).

use http::StatusCode;
use serde_json::json;

use super::grants::{GrantNotFound, View, id_of};
use super::spread::{check_room, end, give};
use super::{Asked, Permission, check};
use crate::engine::{Done, Reply};
use crate::entity::{find, find_to_write};
use crate::http::{Body, Call, Error, Response};
use crate::store::{Read, Tx};

/// The grants on an entity: 200 `{"grants"}`. Those that reach it from above stand where they were made.
pub(crate) fn list(call: &Call<'_, Read<'_>>) -> Result<Reply, Error> {
    let (read, by) = (call.store, call.by()?);
    let entity = find(call, read)?;
    check(read, by, Permission::Manage, &entity)?;
    let grants = read.grants_on_entity(entity.id)?;
    let views: Vec<View<'_>> = grants.iter().map(|grant| View::of_entity(&entity.url, grant)).collect();
    Ok(Reply::Whole(Response::json(StatusCode::OK, &json!({ "grants": views }))))
}

/// Gives a grant: 201.
pub(crate) fn create(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let (tx, by) = (call.store, call.by()?);
    let entity = find_to_write(call)?;
    let body = Body::of(call.request)?;
    let asked = Asked::one(&body, &Permission::ALL.map(Permission::as_str), &["propagation", "copy_to_children"]);
    body.check()?;
    check(tx, by, Permission::Manage, &entity)?;
    let Some(asked) = asked else { return Ok(Done::nothing()) };
    check_room(tx.grants_on_entity(entity.id)?.len(), 1, &entity.url)?;
    let grant = give(tx, by, &entity, &asked)?;
    Ok(Response::json(StatusCode::CREATED, &View::of_entity(&entity.url, &grant)).into())
}

/// Takes a grant away: 204. One that was made on another entity is not there.
pub(crate) fn delete(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let (tx, by) = (call.store, call.by()?);
    let entity = find_to_write(call)?;
    check(tx, by, Permission::Manage, &entity)?;
    let id = id_of(call.param("grant"))?;
    let grant = tx.entity_grant(id)?.filter(|grant| grant.entity == entity.id && !grant.ended);
    end(tx, &grant.ok_or(GrantNotFound)?)?;
    Ok(Done::nothing())
}
