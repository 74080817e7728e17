//! `PATCH /_electric/entity-types/{name}/schemas`: a type learns new messages and events, and forgets nothing (control
//! plane, section 9.4).

use std::collections::BTreeSet;

use http::StatusCode;
use serde_json::Value as Json;
use serde_json::value::RawValue;

use super::principal;
use super::type_schemas::{self, Schemas, map};
use super::types::{TypeNotFound, View};
use super::view::raw;
use crate::engine::Done;
use crate::http::{Body, Call, Error, Refusal, Response, failure};
use crate::limits::DEFINITION;
use crate::permission::{self, Permission};
use crate::store::{EntityTypeRow, Tx};
use crate::stream::members;
use crate::time::Time;

failure! {
    /// The type belongs to the server.
    BuiltIn => BAD_REQUEST "INVALID_REQUEST", "Entity type \"principal\" is built in and cannot be amended"
}

failure! {
    /// The type has a schema of this name already.
    KeyExists { area: &'static str, key: String } => CONFLICT "SCHEMA_KEY_EXISTS",
    "Cannot amend existing {area} schema key: {key}"
}

failure! {
    /// With what is added, the type would be too long to be kept.
    TooLong { name: String } => CONFLICT "LIMIT_EXCEEDED",
    "with these schemas `{name}` would be longer than {DEFINITION} bytes: register it anew with those that are in use"
}

/// Adds schemas to the type at the request's path: 200 with the type, one revision on, even when nothing was added.
pub(crate) fn amend(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let (tx, by) = (call.store, call.by()?);
    let was = tx.entity_type(call.param("name"))?.ok_or(TypeNotFound)?;
    permission::check_type(tx, by, Permission::Manage, &was.name)?;
    let asked = Asked::of(&Body::of(call.request)?)?;
    if was.name == principal::TYPE {
        return Err(BuiltIn.into());
    }
    type_schemas::admit_all(&None, &asked.inbox, &asked.state)?;
    let row = amended(was.clone(), asked, tx.now)?;
    let (inbox, state) = (&row.definition.inbox_schemas, &row.definition.state_schemas);
    let row = EntityTypeRow { schemas: type_schemas::keep(tx, Some(&was), inbox, state)?, ..row };
    tx.write_entity_type(&row)?;
    Ok(Response::json(StatusCode::OK, &View::of(&row)).into())
}

/// The type as it is afterwards, but for its schema set.
fn amended(mut row: EntityTypeRow, asked: Asked, now: Time) -> Result<EntityTypeRow, Refusal> {
    let definition = &mut row.definition;
    definition.inbox_schemas = merge("inbox", definition.inbox_schemas.as_deref(), asked.inbox)?;
    definition.state_schemas = merge("state", definition.state_schemas.as_deref(), asked.state)?;
    if serde_json::to_string(definition).is_ok_and(|text| text.len() > DEFINITION) {
        return Err(TooLong { name: row.name }.into());
    }
    row.revision += 1;
    row.updated_at = now;
    Ok(row)
}

/// What an amendment adds.
struct Asked {
    inbox: Schemas,
    state: Schemas,
}

impl Asked {
    fn of(body: &Body<'_>) -> Result<Self, Refusal> {
        body.closed(&["inbox_schemas", "state_schemas"]);
        let asked = Self { inbox: map(body, "inbox_schemas"), state: map(body, "state_schemas") };
        body.check()?;
        Ok(asked)
    }
}

/// The schemas that a type has, and those that it gets, as they were sent. To be given none is no rule for messages: what
/// was unset stays unset.
fn merge(area: &'static str, has: Option<&RawValue>, gets: Schemas) -> Result<Schemas, KeyExists> {
    let Some(gets) = gets.filter(|gets| !members(gets.get()).is_empty()) else { return Ok(has.map(ToOwned::to_owned)) };
    let Some(has) = has else { return Ok(Some(gets)) };
    let (old, new) = (members(has.get()), members(gets.get()));
    let there: BTreeSet<&str> = old.iter().map(|(key, _)| key.as_ref()).collect();
    if let Some((key, _)) = new.iter().find(|(key, _)| there.contains(key.as_ref())) {
        return Err(KeyExists { area, key: key.clone().into_owned() });
    }
    let all: Vec<String> = old.iter().chain(&new).map(|(key, schema)| member(key, schema)).collect();
    Ok(Some(raw(&format!("{{{}}}", all.join(",")))))
}

fn member(key: &str, schema: &RawValue) -> String {
    format!("{}:{}", Json::from(key), schema.get())
}
