//! Principals as entities of the built-in type `principal`, at their own URLs (control plane, section 3.6). One comes to be
//! with the first thing that its principal does, in the same transaction, or when it is itself addressed by who may.

use http::StatusCode;
use percent_encoding::percent_decode_str;
use serde_json::{Value as Json, json};

use super::save;
use super::show::EntityNotFound;
use super::spawn::birth;
use super::status::Status;
use super::view::View;
use crate::engine::Done;
use crate::http::{Call, Error, Refusal, Response, failure};
use crate::permission::{self, Permission};
use crate::store::{EntityRow, Read, SqlError, StreamRow, Tx};
use crate::stream::{Cause, Class, Content, json, write};
use crate::tenant::Principal;
use crate::time::Time;
use crate::{subscription, wake};

failure! {
    /// What the path names is no principal.
    BadPrincipal { why: &'static str } => BAD_REQUEST "INVALID_REQUEST", "Invalid principal {why}"
}

failure! {
    /// What may not be done with a principal entity.
    BuiltIn { action: &'static str } => BAD_REQUEST "INVALID_REQUEST", "Principal entities are built in and cannot be {action}"
}

failure! {
    /// Who a principal is, only the system says.
    NotTheSystem => FORBIDDEN "UNAUTHORIZED", "Only built-in system principals can update principal identity"
}

/// The name of the type.
pub(crate) const TYPE: &str = "principal";

/// What of an identity makes a principal's stream say who it is.
pub(super) const UPDATE: &str = "update_identity";

/// `GET` of a principal entity, which comes to be when there is none and the caller may read it.
pub(crate) fn show(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let entity = addressed_by_who_may_read(call)?;
    Ok(Response::json(StatusCode::OK, &View::of(&entity)).into())
}

/// `HEAD` of it.
pub(crate) fn head(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    addressed_by_who_may_read(call)?;
    Ok(Response::empty(StatusCode::OK).into())
}

fn addressed_by_who_may_read(call: &Call<'_, Tx<'_>>) -> Result<EntityRow, Error> {
    let entity = addressed(call.store, call.by()?, call.param("id"))?;
    permission::check(call.store, call.by()?, Permission::Read, &entity)?;
    Ok(entity)
}

/// The principal entity of a path's segment, which is encoded or not. When there is none, it comes to be for its own
/// principal and for the system; whoever else asks sees what would be there, and may do nothing with it.
pub(super) fn addressed(tx: &Tx<'_>, by: &Principal, segment: &str) -> Result<EntityRow, Error> {
    let principal = named(segment)?;
    match tx.entity(&principal.url())? {
        Some(entity) => Ok(entity),
        None if *by == principal || by.is_system() => {
            make(tx, &principal)?;
            let missing = || EntityNotFound { url: principal.url() };
            Ok(tx.entity(&principal.url())?.ok_or_else(missing)?)
        }
        None => Ok(unborn(&principal, tx.now)),
    }
}

/// The principal entity of a path's segment, if it is there.
pub(super) fn existing(read: &Read<'_>, segment: &str) -> Result<EntityRow, Error> {
    let url = named(segment)?.url();
    Ok(read.entity(&url)?.ok_or(EntityNotFound { url })?)
}

/// Whoever does something for the first time comes to be as an entity.
pub(super) fn ensure(tx: &Tx<'_>, by: &Principal) -> Result<(), SqlError> {
    if tx.is_taken(&format!("{}/main", by.url()))? { Ok(()) } else { make(tx, by) }
}

/// Refuses what may not be done with a principal entity.
pub(crate) fn refuse(entity: &EntityRow, action: &'static str) -> Result<(), Error> {
    if entity.kind == TYPE { Err(BuiltIn { action }.into()) } else { Ok(()) }
}

/// Refuses a message that says who a principal is, unless the system says so.
pub(super) fn check_update(by: &Principal, entity: &EntityRow, kind: Option<&str>) -> Result<(), Error> {
    if is_update(entity, kind) && !by.is_system() { Err(NotTheSystem.into()) } else { Ok(()) }
}

/// A message has arrived that may say who a principal is: its stream says so, too.
pub(super) fn updated(
    tx: &Tx<'_>,
    entity: &EntityRow,
    kind: Option<&str>,
    payload: &str,
    txid: &str,
) -> Result<(), Error> {
    if !is_update(entity, kind) {
        return Ok(());
    }
    let payload = json::parse(payload).unwrap_or_default();
    let event = identity(&payload["identity"], &json!({ "operation": "update", "txid": txid }));
    if let Some(mut stream) = tx.stream_by_id(entity.id)? {
        write(tx, &mut stream, &Content::Json(vec![&event]), Cause::outside(Class::Named))?;
    }
    Ok(())
}

fn is_update(entity: &EntityRow, kind: Option<&str>) -> bool {
    entity.kind == TYPE && kind == Some(UPDATE)
}

/// The principal that a path's segment names.
fn named(segment: &str) -> Result<Principal, Refusal> {
    let key = percent_decode_str(segment).decode_utf8().map_err(|_| BadPrincipal { why: "identifier" })?;
    Principal::parse(&key).filter(|_| !key.starts_with('/')).ok_or_else(|| {
        let why = match key.split_once(':') {
            None | Some(("", _)) => "identifier",
            Some((kind, _)) if !Principal::KINDS.contains(&kind) => "kind",
            Some(_) => "id",
        };
        BadPrincipal { why }.into()
    })
}

/// Writes a principal's entity and what its stream says at first. Where a stream stands that was made before there were
/// such entities, none is made.
fn make(tx: &Tx<'_>, principal: &Principal) -> Result<(), SqlError> {
    let path = format!("{}/main", principal.url());
    if tx.is_taken(&path)? {
        return Ok(());
    }
    let mut stream = tx.insert_stream(&path, "application/json")?;
    let entity = EntityRow { id: stream.id, ..unborn(principal, tx.now) };
    save::create(tx, &entity)?;
    save::announce(tx, &entity)?;
    has_come(tx, &entity, &mut stream)?;
    let mut first = birth(&entity, None, tx.now);
    let now = tx.now.iso();
    let value = json!({
        "kind": principal.kind(), "id": principal.id(), "key": principal.key(), "url": principal.url(),
        "created_at": now, "updated_at": now,
    });
    first.push(identity(&value, &json!({ "operation": "insert" })));
    let first = first.iter().map(String::as_str).collect();
    write(tx, &mut stream, &Content::Json(first), Cause::outside(Class::Named))?;
    Ok(())
}

/// Whoever waited for an entity's stream is told, unless they may not read it.
pub(super) fn has_come(tx: &Tx<'_>, entity: &EntityRow, stream: &mut StreamRow) -> Result<(), SqlError> {
    subscription::has_come(tx, stream)?;
    wake::register::forget_strangers(tx, entity)
}

/// A principal's entity as it will be.
fn unborn(principal: &Principal, now: Time) -> EntityRow {
    EntityRow {
        id: 0,
        url: principal.url(),
        kind: TYPE.to_owned(),
        status: Status::Idle,
        policy: None,
        tags: json!({ "principal_id": principal.id(), "principal_kind": principal.kind() }).to_string(),
        args: json!({ "kind": principal.kind(), "id": principal.id(), "key": principal.key() }).to_string(),
        parent: None,
        created_by: principal.url(),
        type_revision: 1,
        schemas: None,
        sandbox: None,
        next_wake: Time::ZERO,
        locked: false,
        created_at: now,
        updated_at: now,
    }
}

fn identity(value: &Json, headers: &Json) -> String {
    json!({ "type": "identity", "key": "self", "value": value, "headers": headers }).to_string()
}
