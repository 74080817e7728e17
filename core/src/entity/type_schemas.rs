//! The schemas that a type is registered with: admitted before anything uses them, kept for the entities that are
//! spawned under them.

use serde_json::Value as Json;
use serde_json::value::RawValue;

use super::schema::{Budget, Unfit, admit};
use super::validate::by_name;
use crate::http::{Body, Refusal, escape, failure};
use crate::store::{EntityTypeRow, SqlError, Tx};

failure! {
    /// A schema goes beyond what is checked.
    DisallowedKeywords => BAD_REQUEST "INVALID_REQUEST", "Schema uses disallowed keywords"
}

failure! {
    /// A schema could not be used to check anything.
    UnusableSchema { name: String, at: String, why: String } => BAD_REQUEST "INVALID_REQUEST",
    "Schema `{name}` cannot be used: `{at}` {why}"
}

/// A member of a body that is a map of schemas.
pub(super) fn map(body: &Body<'_>, name: &str) -> Schemas {
    let map = body.object(name)?;
    for (key, value) in body.json(name).as_ref().and_then(Json::as_object).into_iter().flatten() {
        if !value.is_object() {
            body.complain(format!("/{name}/{}", escape(key)), "must be object");
        }
    }
    Some(map.to_owned())
}

/// Admits the schemas of a type, in this order; the first that is unfit refuses it.
pub(super) fn admit_all(creation: &Schemas, inbox: &Schemas, state: &Schemas) -> Result<(), Refusal> {
    let mut budget = Budget::default();
    if let Some(schema) = creation {
        admit_one("creation_schema".to_owned(), schema, &mut budget)?;
    }
    for (name, map) in [("inbox_schemas", inbox), ("state_schemas", state)] {
        let Some(map) = map else { continue };
        let schemas = by_name(map).map_err(|e| UnusableSchema {
            name: name.to_owned(),
            at: "#".to_owned(),
            why: format!("is unreadable: {e}"),
        })?;
        for (key, schema) in schemas {
            admit_one(format!("{name}/{}", escape(&key)), &schema, &mut budget)?;
        }
    }
    Ok(())
}

/// The schema set of a type's messages and events, kept anew unless they stay as they were.
pub(super) fn keep(
    tx: &Tx<'_>,
    existing: Option<&EntityTypeRow>,
    inbox: &Schemas,
    state: &Schemas,
) -> Result<Option<i64>, SqlError> {
    let same =
        |one: &Schemas, other: &Schemas| one.as_deref().map(RawValue::get) == other.as_deref().map(RawValue::get);
    match existing.map(|kind| (kind.schemas, &kind.definition)) {
        _ if inbox.is_none() && state.is_none() => Ok(None),
        Some((kept, was)) if same(inbox, &was.inbox_schemas) && same(state, &was.state_schemas) => Ok(kept),
        _ => tx.insert_schema_set(inbox.as_deref(), state.as_deref()).map(Some),
    }
}

fn admit_one(name: String, schema: &RawValue, budget: &mut Budget) -> Result<(), Refusal> {
    admit(schema.get(), budget).map_err(|unfit| match unfit {
        Unfit::Keyword => DisallowedKeywords.into(),
        Unfit::Unusable { at, why } => UnusableSchema { name, at, why }.into(),
    })
}

/// A schema, or a map of them, as it was sent.
pub(super) type Schemas = Option<Box<RawValue>>;
