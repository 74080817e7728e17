//! Membership streams: which entities have some tags, as one principal may see them. What changes of an entity is written to
//! the streams that it is in, comes into or leaves, in the transaction that changes it (wake specification, section 7.1).

use std::collections::BTreeMap;

use http::StatusCode;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};

use super::asleep;
use super::reference::{membership_ref, stringify};
use crate::engine::Done;
use crate::entity::raw;
use crate::http::{Body, Call, Error, Refusal, Response};
use crate::limits::{MEMBERS_BYTES, MEMBERSHIP_IDLE, REGISTRATIONS, TAGS};
use crate::store::{EntityRow, MAX_INT, MembershipRow, SqlError, TimerKind, Tx};
use crate::stream::{Cause, Class, Content, write};
use crate::subscription;
use crate::tenant::{Permission, Principal, permission};

/// `POST /_electric/observations/entities/ensure-stream {"tags"?}`: 200 `{"sourceRef","streamUrl"}`.
pub(crate) fn ensure_stream(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let (tx, by) = (call.store, call.by()?);
    let tags = tags(&Body::of(call.request)?)?;
    let reference = membership_ref(&tags, by);
    let path = format!("/_entities/{reference}");
    match tx.membership(&reference)? {
        Some(membership) => asleep::is_asked_for(tx, membership)?,
        None => make(tx, by, &tags, &reference, &path)?,
    }
    Ok(Response::json(StatusCode::OK, &json!({ "sourceRef": reference, "streamUrl": path })).into())
}

fn tags(body: &Body<'_>) -> Result<BTreeMap<String, String>, Refusal> {
    let refuse = |message: String| Refusal::new(StatusCode::BAD_REQUEST, "INVALID_REQUEST", message);
    let tags = match body.json("tags") {
        None => return body.check().map(|()| BTreeMap::new()),
        Some(Json::Object(tags)) => tags,
        Some(_) => return Err(refuse("[agent-runtime] tags must be a plain object".to_owned())),
    };
    if tags.len() > TAGS {
        return Err(refuse(format!("tags must NOT have more than {TAGS} properties")));
    }
    let text = |(key, value): (String, Json)| match value {
        Json::String(value) => Ok((key, value)),
        _ => Err(refuse(format!("[agent-runtime] tag {} must have a string value", json!(key)))),
    };
    tags.into_iter().map(text).collect()
}

fn make(
    tx: &Tx<'_>,
    by: &Principal,
    tags: &BTreeMap<String, String>,
    reference: &str,
    path: &str,
) -> Result<(), Error> {
    asleep::admit(tx)?;
    if tx.stream(path)?.is_some() {
        let message = format!("a stream that is no membership's stands at `{path}`: delete it first");
        return Err(Refusal::new(StatusCode::CONFLICT, "INVALID_REQUEST", message).into());
    }
    let mut stream = tx.insert_stream(path, "application/json")?;
    let membership = MembershipRow {
        id: stream.id,
        reference: reference.to_owned(),
        anchor: tags.iter().next().map_or(String::new(), |(key, value)| anchor(key, value)),
        tags: stringify(tags),
        principal: by.url(),
        cursor: Some(0),
        asleep: false,
        until: tx.now + MEMBERSHIP_IDLE,
    };
    tx.insert_membership(&membership)?;
    tx.arm(membership.until, TimerKind::Idle, membership.id)?;
    forget_strangers(tx, by, path)?;
    subscription::has_come(tx, &mut stream)?;
    Ok(fill(tx, membership.id)?)
}

/// Others may have registered before the stream was there: those who may not read it are forgotten.
fn forget_strangers(tx: &Tx<'_>, by: &Principal, path: &str) -> Result<(), SqlError> {
    for registration in tx.registrations_on(path, 0, MAX_INT, REGISTRATIONS)? {
        let subscriber = tx.entity_by_id(registration.subscriber)?;
        let creator = subscriber.and_then(|s| Principal::parse(&s.created_by));
        if !creator.is_some_and(|creator| creator == *by || creator.is_system()) {
            tx.delete_registration(registration.id)?;
        }
    }
    Ok(())
}

/// The next entities of a stream that is new, or has slept: those that were there before, a chunk at a time.
pub(crate) fn fill(tx: &Tx<'_>, id: i64) -> Result<(), SqlError> {
    let Some(mut membership) = tx.membership_by_id(id)?.filter(|m| !m.asleep) else { return Ok(()) };
    let mut bytes = 0;
    for _ in 0..tx.config.fan_out {
        let Some(cursor) = membership.cursor.filter(|_| bytes < MEMBERS_BYTES) else { break };
        let next = tx.entities_after(cursor, 1)?.rows.pop();
        membership.cursor = next.as_ref().map(|entity| entity.id);
        if let Some(entity) = next {
            bytes += entity.args.len() + entity.tags.len() + reconcile(tx, &membership, &entity)?;
        }
    }
    tx.move_membership(id, membership.cursor)?;
    if membership.cursor.is_some() { tx.arm(tx.now, TimerKind::Members, id) } else { Ok(()) }
}

/// An entity is new, or something has changed of it.
pub(crate) fn changed(tx: &Tx<'_>, entity: &EntityRow) -> Result<(), SqlError> {
    if !tx.has_memberships()? {
        return Ok(());
    }
    let mut all = tx.memberships_of(entity.id)?;
    all.extend(tx.anchored("")?);
    for (key, value) in &tags_of(&entity.tags)? {
        all.extend(tx.anchored(&anchor(key, value))?);
    }
    all.sort_by_key(|m| m.id);
    all.dedup_by_key(|m| m.id);
    all.iter().try_for_each(|membership| reconcile(tx, membership, entity).map(|_| ()))
}

/// Has a stream say what is now of an entity, if it has not. Says how many bytes that took.
fn reconcile(tx: &Tx<'_>, membership: &MembershipRow, entity: &EntityRow) -> Result<usize, SqlError> {
    if membership.cursor.is_some_and(|cursor| entity.id > cursor) {
        // It comes to that.
        return Ok(0);
    }
    let before = tx.member(membership.id, entity.id)?;
    let now = if belongs(tx, membership, entity)? { Some(row(tx, entity)?) } else { None };
    let (operation, class) = match (&before, &now) {
        (None, None) => return Ok(0),
        (Some(before), Some(now)) if before == now => return Ok(now.len()),
        (Some(before), Some(now)) if retagged(before, now) => ("update", Class::Named),
        // A status or a time wakes nobody.
        (Some(_), Some(_)) => ("update", Class::Never),
        (None, Some(_)) => ("insert", Class::Named),
        (Some(_), None) => ("delete", Class::Named),
    };
    let (member, value) = match (&now, &before) {
        (Some(now), _) => ("value", now),
        (None, Some(before)) => ("old_value", before),
        (None, None) => return Ok(0),
    };
    let headers = json!({ "operation": operation, "timestamp": tx.now.iso() });
    let event = format!(r#"{{"type":"members","key":{},"{member}":{value},"headers":{headers}}}"#, json!(entity.url));
    match &now {
        Some(now) => tx.write_member(membership.id, entity.id, now)?,
        None => tx.delete_member(membership.id, entity.id)?,
    }
    let Some(mut stream) = tx.stream_by_id(membership.id)?.filter(|s| !s.closed && !s.deleted) else { return Ok(0) };
    // What a stream says of an entity does not wake that entity.
    let cause = Cause { author: Some(entity.id), ..Cause::outside(class) };
    write(tx, &mut stream, &Content::Json(vec![&event]), cause)?;
    Ok(event.len())
}

/// Whether an entity has the tags, and the principal may see it.
fn belongs(tx: &Tx<'_>, membership: &MembershipRow, entity: &EntityRow) -> Result<bool, SqlError> {
    let Some(by) = Principal::parse(&membership.principal) else { return Ok(false) };
    if !permission::decision(tx, &by, Permission::Read, entity)?.allows() {
        return Ok(false);
    }
    let has = tags_of(&entity.tags)?;
    Ok(tags_of(&membership.tags)?.iter().all(|(key, value)| has.get(key) == Some(value)))
}

fn retagged(before: &str, now: &str) -> bool {
    let tags = |row: &str| serde_json::from_str::<Json>(row).map(|row| row["tags"].clone()).unwrap_or_default();
    tags(before) != tags(now)
}

fn tags_of(tags: &str) -> Result<BTreeMap<String, String>, SqlError> {
    serde_json::from_str(tags).map_err(|e| SqlError::new(format!("stored tags do not parse: {e}")))
}

fn anchor(key: &str, value: &str) -> String {
    json!([key, value]).to_string()
}

/// An entity as a membership stream shows it.
#[derive(Serialize)]
struct Member<'a> {
    url: &'a str,
    r#type: &'a str,
    status: &'static str,
    tags: Box<RawValue>,
    spawn_args: Box<RawValue>,
    sandbox: Option<Box<RawValue>>,
    parent: Option<&'a str>,
    type_revision: i64,
    inbox_schemas: Option<Box<RawValue>>,
    state_schemas: Option<Box<RawValue>>,
    created_at: i64,
    updated_at: i64,
}

fn row(tx: &Tx<'_>, entity: &EntityRow) -> Result<String, SqlError> {
    let schemas = match entity.schemas {
        Some(id) => tx.schema_set(id)?.unwrap_or_default(),
        None => Default::default(),
    };
    let member = Member {
        url: &entity.url,
        r#type: &entity.kind,
        status: entity.status.as_str(),
        tags: raw(&entity.tags),
        spawn_args: raw(&entity.args),
        sandbox: entity.sandbox.as_deref().map(raw),
        parent: entity.parent.as_deref(),
        type_revision: entity.type_revision,
        inbox_schemas: schemas.inbox,
        state_schemas: schemas.state,
        created_at: entity.created_at.as_millis(),
        updated_at: entity.updated_at.as_millis(),
    };
    Ok(serde_json::to_string(&member).expect("our own values serialise"))
}
