//! `GET` and `HEAD` on entities.

use http::StatusCode;

use super::principal;
use super::types::UnknownEntityType;
use super::view::View;
use crate::engine::Reply;
use crate::http::{Call, Error, Response, failure};
use crate::limits::LIST;
use crate::store::{EntityRow, Filter, Read, Tx};
use crate::tenant::{Permission, permission};

failure! {
    /// The type exists, the entity does not.
    EntityNotFound { url: String } => NOT_FOUND "NOT_FOUND", "Entity not found at {url}"
}

failure! {
    /// Not a number.
    BadLimit => BAD_REQUEST "INVALID_REQUEST", "`limit` is a number of entities"
}

/// The entity that a path's `type` and `id` name.
pub(crate) fn find<S>(call: &Call<'_, S>, read: &Read<'_>) -> Result<EntityRow, Error> {
    let kind = call.param("type");
    if kind.is_empty() || kind == principal::TYPE {
        return principal::existing(read, call.param("id"));
    }
    let url = format!("/{kind}/{}", call.param("id"));
    if let Some(entity) = read.entity(&url)? {
        return Ok(entity);
    }
    match read.entity_type(kind)? {
        Some(_) => Err(EntityNotFound { url }.into()),
        None => Err(UnknownEntityType { name: kind.to_owned() }.into()),
    }
}

/// The same for a command: a principal entity comes to be when it is addressed by who may do anything with it.
pub(crate) fn find_to_write(call: &Call<'_, Tx<'_>>) -> Result<EntityRow, Error> {
    let kind = call.param("type");
    if kind.is_empty() || kind == principal::TYPE {
        return principal::addressed(call.store, call.by()?, call.param("id"));
    }
    find(call, call.store)
}

/// The entity at the request's path.
pub(crate) fn show(call: &Call<'_, Read<'_>>) -> Result<Reply, Error> {
    let by = call.by()?;
    let entity = find(call, call.store)?;
    permission::check(call.store, by, Permission::Read, &entity)?;
    let mut view = View::of(&entity);
    let kind = call.store.entity_type(&entity.kind)?;
    view.externally_writable_collections = kind.and_then(|k| k.definition.externally_writable_collections);
    Ok(Reply::Whole(Response::json(StatusCode::OK, &view)))
}

/// Whether the entity at the request's path exists.
pub(crate) fn head(call: &Call<'_, Read<'_>>) -> Result<Reply, Error> {
    let by = call.by()?;
    permission::check(call.store, by, Permission::Read, &find(call, call.store)?)?;
    Ok(Reply::Whole(Response::empty(StatusCode::OK)))
}

/// The entities that the caller may read, newest first: those that are older than the one named `after`, and at most
/// `limit`, or fewer where they are large. Where there may be more, a header names the last.
pub(crate) fn list(call: &Call<'_, Read<'_>>) -> Result<Reply, Error> {
    let (read, by) = (call.store, call.by()?);
    let asked = |name: &str| call.request.query_one(name).filter(|v| !v.is_empty());
    let (kind, status, parent, creator) = (asked("type"), asked("status"), asked("parent"), asked("created_by"));
    let limit = asked("limit").map_or(Ok(LIST), |limit| limit.parse().map_err(|_| BadLimit))?.clamp(1, LIST);
    let before = match asked("after") {
        // One that the caller may not read places nothing.
        Some(url) => match read.entity(&url)? {
            Some(entity) if permission::may(read, by, Permission::Read, &entity)? => Some(entity.id),
            _ => return Err(EntityNotFound { url: url.into_owned() }.into()),
        },
        None => None,
    };
    let filter = Filter {
        kind: kind.as_deref(),
        status: status.as_deref(),
        parent: parent.as_deref(),
        created_by: creator.as_deref(),
        before,
    };
    let page = read.readable_entities(by, filter, limit)?;
    let views: Vec<View<'_>> = page.rows.iter().map(View::of).collect();
    let last = page.rows.last().filter(|_| page.more).map(|last| last.url.as_str());
    Ok(Reply::Whole(Response::json(StatusCode::OK, &views).paged(last)))
}
