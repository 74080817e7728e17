//! Entity types: what is stored of them, and reading them (control plane, section 9).

use http::StatusCode;
use percent_encoding::{percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::principal;
use crate::dispatch::Policy;
use crate::engine::{Done, Reply};
use crate::http::{Call, Error, Response, failure};
use crate::limits::LIST;
use crate::permission::{Permission, check_type, may_type, type_grants};
use crate::store::{EntityTypeRow, Read, SqlError, Tx};
use crate::tenant::Principal;
use crate::tenant::principal::COMPONENT;

/// What a type is registered with. The three schemas are null when unset; the rest is left out.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Definition {
    pub(crate) description: String,
    pub(crate) creation_schema: Option<Box<RawValue>>,
    pub(crate) inbox_schemas: Option<Box<RawValue>>,
    pub(crate) state_schemas: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) externally_writable_collections: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) slash_commands: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) serve_endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) default_dispatch_policy: Option<serde_json::Value>,
}

impl Definition {
    /// The default dispatch policy.
    pub(crate) fn policy(&self) -> Result<Option<Policy>, SqlError> {
        let Some(json) = &self.default_dispatch_policy else { return Ok(None) };
        Policy::parse(json).map(Some).map_err(|_| SqlError::new("a stored default dispatch policy does not parse"))
    }
}

failure! {
    /// No type has this name.
    TypeNotFound => NOT_FOUND "NOT_FOUND", "Entity type not found"
}

failure! {
    /// The type belongs to the server.
    BuiltIn => BAD_REQUEST "INVALID_REQUEST", "Entity type \"principal\" is built in and cannot be deleted"
}

failure! {
    /// No entity can be of a type that is not registered.
    UnknownEntityType { name: String } => NOT_FOUND "UNKNOWN_ENTITY_TYPE", "Entity type \"{name}\" not found"
}

/// A type as the wire shows it.
#[derive(Serialize)]
pub(super) struct View<'a> {
    name: &'a str,
    #[serde(flatten)]
    definition: Flat<'a>,
    revision: i64,
    created_at: String,
    updated_at: String,
}

/// The members of a definition, borrowed: raw JSON does not pass through a flattened owner.
#[derive(Serialize)]
struct Flat<'a> {
    description: &'a str,
    creation_schema: Option<&'a RawValue>,
    inbox_schemas: Option<&'a RawValue>,
    state_schemas: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    externally_writable_collections: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    slash_commands: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    serve_endpoint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_dispatch_policy: Option<&'a serde_json::Value>,
}

impl<'a> View<'a> {
    pub(super) fn of(row: &'a EntityTypeRow) -> Self {
        let d = &row.definition;
        Self {
            name: &row.name,
            definition: Flat {
                description: &d.description,
                creation_schema: d.creation_schema.as_deref(),
                inbox_schemas: d.inbox_schemas.as_deref(),
                state_schemas: d.state_schemas.as_deref(),
                externally_writable_collections: d.externally_writable_collections.as_deref(),
                slash_commands: d.slash_commands.as_deref(),
                serve_endpoint: d.serve_endpoint.as_deref(),
                default_dispatch_policy: d.default_dispatch_policy.as_ref(),
            },
            revision: row.revision,
            created_at: row.created_at.iso(),
            updated_at: row.updated_at.iso(),
        }
    }
}

/// `GET /_electric/entity-types`: those that the caller may spawn, by name, after the one named `after`; fewer at once where
/// they are large. Where there may be more, a header names the last.
pub(crate) fn list(call: &Call<'_, Read<'_>>) -> Result<Reply, Error> {
    let (read, by) = (call.store, call.by()?);
    // A name is encoded as it is in a path: no header carries any text.
    let after = call.request.query_one("after").unwrap_or_default();
    let after = percent_decode_str(&after).decode_utf8_lossy();
    // What the host thinks of a type, only the host knows.
    let asked = read.config.authorise.is_some();
    let whose = if asked { Principal::dev_local() } else { by.clone() };
    let page = read.types_for(&whose, &after, LIST)?;
    let mut views = Vec::with_capacity(page.rows.len());
    for row in &page.rows {
        if !asked || may_type(read, by, Permission::Spawn, &row.name)? {
            views.push(View::of(row));
        }
    }
    let last = page.rows.last().filter(|_| page.more);
    let last = last.map(|last| utf8_percent_encode(&last.name, COMPONENT).to_string());
    Ok(Reply::Whole(Response::json(StatusCode::OK, &views).paged(last.as_deref())))
}

/// `GET /_electric/entity-types/{name}`.
pub(crate) fn show(call: &Call<'_, Read<'_>>) -> Result<Reply, Error> {
    let by = call.by()?;
    let row = call.store.entity_type(call.param("name"))?.ok_or(TypeNotFound)?;
    check_type(call.store, by, Permission::Spawn, &row.name)?;
    Ok(Reply::Whole(Response::json(StatusCode::OK, &View::of(&row))))
}

/// `DELETE /_electric/entity-types/{name}`: its entities stay, its grants go.
pub(crate) fn delete(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let (tx, by) = (call.store, call.by()?);
    let row = tx.entity_type(call.param("name"))?.ok_or(TypeNotFound)?;
    check_type(tx, by, Permission::Manage, &row.name)?;
    if row.name == principal::TYPE {
        return Err(BuiltIn.into());
    }
    tx.delete_entity_type(&row.name)?;
    type_grants::forget(tx, &row.name)?;
    Ok(Done::nothing())
}
