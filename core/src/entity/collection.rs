//! Collections that others may write to: what a type may declare of them, and `POST …/collections/{collection}` (control
//! plane, sections 9.1 and 10.8; wake specification, section 2.5).

use http::StatusCode;
use serde_json::json;
use serde_json::value::RawValue;

use super::added_rows::{self, find, row};
use super::principal;
use super::schema::read;
use super::send::NotAcceptingWrites;
use super::show::find_to_write;
use super::validate;
use crate::dispatch::lock::ForkInProgress;
use crate::engine::Done;
use crate::http::{Body, Call, Error, Refusal, Response, failure};
use crate::store::{EntityRow, Tx};
use crate::stream::{Cause, Class, Content, write};
use crate::tenant::{Permission, Principal, permission};

failure! {
    /// `comments` is a name with a contract.
    ReservedForComments => BAD_REQUEST "INVALID_REQUEST",
    "The externally-writable collection name \"comments\" is reserved for the \"comments/v1\" contract"
}

failure! {
    /// The contract of comments is a contract with a name.
    MisnamedComments => BAD_REQUEST "INVALID_REQUEST",
    "The \"comments/v1\" contract must be registered under the collection name \"comments\""
}

failure! {
    /// The type declares no such collection.
    NotWritable { collection: String } => FORBIDDEN "UNAUTHORIZED", "Collection \"{collection}\" is not writable"
}

failure! {
    /// The type does not let others do that.
    NotAllowed { operation: String, collection: String } => FORBIDDEN "UNAUTHORIZED",
    "Operation \"{operation}\" is not allowed on collection \"{collection}\""
}

failure! {
    /// Others may only add to the collection, and what is there is somebody else's, or says something else.
    KeyTaken { key: String, collection: String } => CONFLICT "DUPLICATE_KEY",
    "Collection \"{collection}\" has a row with the key \"{key}\" already"
}

failure! {
    /// A member that the operation needs is absent.
    Needs { member: &'static str, operation: String } => BAD_REQUEST "INVALID_REQUEST", "{member} is required for {operation}"
}

/// Writes a row of a collection in the caller's name: 201 for an insert, 200 otherwise, with its key.
pub(crate) fn append(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let (tx, by) = (call.store, call.by()?);
    let entity = find_to_write(call)?;
    let collection = call.decoded("collection")?;
    let body = Body::of(call.request)?;
    body.closed(&["operation", "key", "value"]);
    body.require("operation");
    let operation = body.choice("operation", &["insert", "update", "delete"]).unwrap_or_default();
    let (key, value) = (body.text("key"), body.object("value"));
    body.check()?;
    permission::check(tx, by, Permission::Write, &entity)?;
    principal::ensure(tx, by)?;
    let kind = declared(tx, &entity, &collection, &operation)?;
    if !entity.status.accepts_writes() {
        return Err(NotAcceptingWrites.into());
    }
    if entity.locked {
        return Err(ForkInProgress.into());
    }
    let value = value.filter(|_| operation != "delete");
    if value.is_none() && operation != "delete" {
        return Err(Needs { member: "value", operation }.into());
    }
    let key = match key {
        None if operation == "insert" => format!("{collection}-{}", tx.draw.uuid()),
        Some(key) if operation == "insert" || !key.is_empty() => key,
        _ => return Err(Needs { member: "key", operation }.into()),
    };
    let event = event(tx, by, &kind, &operation, &key, value);
    let only_added = added_rows::only_added(validate::events(tx, &entity, &[&event])?.as_ref());
    let said = added_rows::said(by, value);
    if let Some(mut stream) = tx.stream_by_id(entity.id)? {
        let there = if only_added.contains(&kind) { find(tx, &stream, &row(&kind, &key))? } else { None };
        match there {
            None => {
                let end = write(tx, &mut stream, &Content::Json(vec![&event]), Cause::outside(Class::Named))?;
                added_rows::note(tx, &stream, &only_added, &[&event], end, &said)?;
            }
            // Who has not heard the answer asks again.
            Some(known) if known.said == said => {}
            Some(_) => return Err(KeyTaken { key, collection }.into()),
        }
    }
    let status = if operation == "insert" { StatusCode::CREATED } else { StatusCode::OK };
    Ok(Response::json(status, &json!({ "key": key })).into())
}

/// The event type of a collection that the entity's type lets others write to so.
fn declared(tx: &Tx<'_>, entity: &EntityRow, collection: &str, operation: &str) -> Result<String, Error> {
    let registered = tx.entity_type(&entity.kind)?;
    let all = registered.and_then(|kind| kind.definition.externally_writable_collections);
    let all = all.and_then(|all| read(all.get()).ok()).unwrap_or_default();
    let Some(declared) = all.get(collection) else {
        return Err(NotWritable { collection: collection.to_owned() }.into());
    };
    let allowed = match declared["operations"].as_array() {
        Some(operations) => operations.iter().any(|o| o == operation),
        None => operation == "insert",
    };
    if !allowed {
        return Err(NotAllowed { operation: operation.to_owned(), collection: collection.to_owned() }.into());
    }
    Ok(declared["type"].as_str().unwrap_or_default().to_owned())
}

/// The row, stamped with who wrote it. Its value is kept as it was sent.
fn event(tx: &Tx<'_>, by: &Principal, kind: &str, operation: &str, key: &str, value: Option<&RawValue>) -> String {
    let principal = json!({ "url": by.url(), "kind": by.kind(), "id": by.id() });
    let headers = json!({ "operation": operation, "timestamp": tx.now.iso(), "principal": principal });
    let value = value.map_or(String::new(), |value| format!("\"value\":{},", value.get()));
    format!(r#"{{"type":{},"key":{},{value}"headers":{headers}}}"#, json!(kind), json!(key))
}

/// The form that a body has to have. `principalColumn` is a relic that says nothing.
pub(super) const FORM: &str = r#"{"additionalProperties":{"type":"object","required":["type"],"additionalProperties":false,"properties":{
    "type":{"type":"string"},"contract":{"type":"string"},"principalColumn":{"type":"string"},
    "operations":{"type":"array","items":{"anyOf":[{"const":"insert"},{"const":"update"},{"const":"delete"}]}}}}}"#;

/// Checks that comments, and only they, go by their contract.
pub(super) fn check(collections: &RawValue) -> Result<(), Refusal> {
    let collections = read(collections.get()).unwrap_or_default();
    for (name, collection) in collections.as_object().into_iter().flatten() {
        match (name.as_str(), collection["contract"].as_str() == Some("comments/v1")) {
            ("comments", false) => return Err(ReservedForComments.into()),
            ("comments", true) | (_, false) => {}
            (_, true) => return Err(MisnamedComments.into()),
        }
    }
    Ok(())
}
