//! `GET` and `HEAD` on entities.

use http::StatusCode;

use super::types::UnknownEntityType;
use super::view::View;
use crate::engine::Reply;
use crate::http::{Call, Error, Response, failure};
use crate::limits::LIST;
use crate::store::{EntityRow, Filter, Read};
use crate::tenant::{Permission, Principal, permission};

failure! {
    /// The type exists, the entity does not.
    EntityNotFound { url: String } => NOT_FOUND "NOT_FOUND", "Entity not found at {url}"
}

/// The entity that a path's `type` and `id` name.
pub(crate) fn find<S>(call: &Call<'_, S>, read: &Read<'_>) -> Result<EntityRow, Error> {
    let kind = call.param("type");
    let url = format!("/{kind}/{}", call.param("id"));
    if let Some(entity) = read.entity(&url)? {
        return Ok(entity);
    }
    match read.entity_type(kind)? {
        Some(_) => Err(EntityNotFound { url }.into()),
        None => Err(UnknownEntityType { name: kind.to_owned() }.into()),
    }
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

/// The entities that the caller may read, newest first.
pub(crate) fn list(call: &Call<'_, Read<'_>>) -> Result<Reply, Error> {
    let by = call.by()?;
    let asked = |name: &str| call.request.query_one(name).filter(|v| !v.is_empty());
    let (kind, status, parent, creator) = (asked("type"), asked("status"), asked("parent"), asked("created_by"));
    let creator = match creator {
        Some(creator) => Some(creator.into_owned()),
        None if by.is_system() => None,
        None => Some(by.url()),
    };
    let filter = Filter {
        kind: kind.as_deref(),
        status: status.as_deref(),
        parent: parent.as_deref(),
        created_by: creator.as_deref(),
    };
    let rows = call.store.entities(filter, LIST)?;
    let views: Vec<View<'_>> = rows.iter().filter(|e| may_read(by, e)).map(View::of).collect();
    Ok(Reply::Whole(Response::json(StatusCode::OK, &views)))
}

fn may_read(by: &Principal, entity: &EntityRow) -> bool {
    by.is_system() || entity.created_by == by.url()
}
