//! Messages on their way: kept until they are due, perhaps because a row of somebody's manifest says so; and that row is
//! told what became of them (wake specification, sections 3.2 and 3.5).

use serde_json::value::RawValue;
use serde_json::{Value as Json, json};

use super::inbox::{self, Message, Stored};
use super::send::{NotAcceptingWrites, deliver};
use super::show::EntityNotFound;
use super::{principal, validate};
use crate::dispatch::link;
use crate::http::{Error, failure};
use crate::store::{DelayedSend, EntityRow, MAX_VALUE, SqlError, TimerKind, Tx};
use crate::stream::producer::Accepted;
use crate::stream::{Cause, Class, Content, json, write};
use crate::tenant::{Permission, Principal, permission};
use crate::wake::{self, Scheduled, Send};

failure! {
    /// A message is kept with the row that it tells, which holds it again.
    TooLong => PAYLOAD_TOO_LARGE "INVALID_REQUEST", "the message is longer than the {MAX_VALUE} bytes that it and its schedule may take together"
}

/// Has a row of a manifest stand for this message and no other, or for none. One that is on its way already stays so.
pub(crate) fn replace(
    tx: &Tx<'_>,
    owner: &EntityRow,
    asked_by: Option<&Principal>,
    key: &str,
    row: &Json,
    send: &Send,
) -> Result<(), Error> {
    let scheduled = match send {
        Send::Keep => return Ok(()),
        Send::Cancel => return Ok(cancel_under(tx, owner.id, key)?),
        Send::At(scheduled) => scheduled,
    };
    let target = tx.entity(&scheduled.target)?.ok_or_else(|| EntityNotFound { url: scheduled.target.clone() })?;
    if let Some(by) = asked_by.cloned().or_else(|| Principal::parse(&owner.created_by)) {
        permission::check(tx, &by, Permission::Write, &target)?;
        principal::check_update(&by, &target, scheduled.message_type.as_deref())?;
    }
    let message = stored(owner, key, row, scheduled, asked_by)?;
    let at = scheduled.at.max(tx.now);
    match tx.manifest_send(owner.id, key)? {
        Some(same) if same.entity == target.id && same.message == message && same.due_at == at => return Ok(()),
        Some(other) => cancel(tx, &other)?,
        None => {}
    }
    let id = tx.insert_delayed_send(target.id, &message, at, Some((owner.id, key)))?;
    Ok(tx.arm(at, TimerKind::Send, id)?)
}

/// Refuses a row of a manifest whose message could not be kept beside it.
pub(super) fn check_room(owner: &EntityRow, by: &Principal, key: &str, row: &str) -> Result<(), Error> {
    let row = json::parse(row).unwrap_or_default();
    match wake::manifest(&row).map(|entry| entry.send) {
        Ok(Send::At(scheduled)) => stored(owner, key, &row, &scheduled, Some(by)).map(|_| ()),
        _ => Ok(()),
    }
}

/// Cancels the message that a row of a manifest stood for, if there is one.
pub(crate) fn cancel_under(tx: &Tx<'_>, owner: i64, key: &str) -> Result<(), SqlError> {
    tx.manifest_send(owner, key)?.map_or(Ok(()), |pending| cancel(tx, &pending))
}

fn cancel(tx: &Tx<'_>, send: &DelayedSend) -> Result<(), SqlError> {
    tx.delete_delayed_send(send.id)?;
    tx.disarm(send.due_at, TimerKind::Send, send.id)
}

/// The message of a row, with the row itself, so that it can be told what became of it. It is from who asked a route for it,
/// and otherwise from the agent whose manifest has the row, whoever the row says that it is from.
fn stored(
    owner: &EntityRow,
    key: &str,
    row: &Json,
    scheduled: &Scheduled,
    asked_by: Option<&Principal>,
) -> Result<String, Error> {
    let sender = asked_by.map_or_else(|| owner.url.clone(), Principal::url);
    let mut entry = row.clone();
    for (name, value) in [
        ("key", key),
        ("targetUrl", &scheduled.target),
        ("senderUrl", &sender),
        ("fireAt", &scheduled.at.iso()),
        ("status", "pending"),
    ] {
        entry[name] = value.into();
    }
    let payload = RawValue::from_string(scheduled.payload.clone())
        .map_err(|e| SqlError::new(format!("a payload does not parse: {e}")))?;
    let message = Message {
        from_agent: asked_by.is_none().then(|| sender.clone()),
        from: Some(sender),
        key: Some(format!("{}{}", inbox::SCHEDULED, scheduled.producer)),
        ..Message::first(&payload, scheduled.message_type.clone())
    };
    let stored = message.stored_for(Some((&scheduled.producer, &entry)));
    if stored.len() > MAX_VALUE { Err(TooLong.into()) } else { Ok(stored) }
}

/// A delayed send is due. It is dropped when its entity no longer takes messages, or no longer such a message; while a fork
/// reads the entity, it waits.
pub(crate) fn arrive(tx: &Tx<'_>, id: i64) -> Result<(), Error> {
    let Some(send) = tx.delayed_send(id)? else { return Ok(()) };
    if tx.locked_until(send.entity)?.is_some() {
        return Ok(());
    }
    tx.delete_delayed_send(id)?;
    let stored: Stored = serde_json::from_str(&send.message)
        .map_err(|e| SqlError::new(format!("a stored message does not parse: {e}")))?;
    let failed = match land(tx, &send, &stored) {
        Ok(()) => None,
        Err(Error::Refused(refusal)) => Some(refusal.message),
        Err(error) => return Err(error),
    };
    match (&send.manifest, &stored.entry) {
        (Some((owner, key)), Some(entry)) => Ok(tell(tx, *owner, key, entry, failed)?),
        _ => Ok(()),
    }
}

/// A fork is done with an entity: what was to arrive meanwhile arrives, and if that is very much, the rest soon.
pub(crate) fn unlocked(tx: &Tx<'_>, entity: i64) -> Result<(), SqlError> {
    for (n, id) in tx.overdue_sends(entity)?.into_iter().enumerate() {
        if n >= AT_ONCE {
            tx.arm(tx.now, TimerKind::Send, id)?;
        } else if let Err(Error::Store(error)) = arrive(tx, id) {
            return Err(error);
        }
    }
    Ok(())
}

/// How many messages arrive in one transaction.
const AT_ONCE: usize = 64;

/// Appends a message that is due to its entity's stream, unless it has been.
fn land(tx: &Tx<'_>, send: &DelayedSend, stored: &Stored) -> Result<(), Error> {
    let mut entity = tx.entity_by_id(send.entity)?.filter(|e| e.status.accepts_writes()).ok_or(NotAcceptingWrites)?;
    if let Some(producer) = &stored.producer
        && tx.producer(entity.id, producer)?.is_some()
    {
        return Ok(());
    }
    let mut message = Message::restored(stored);
    check_author(tx, send, &message, &entity)?;
    let registered = if message.kind.is_some() { tx.entity_type(&entity.kind)? } else { None };
    validate::message(tx, &entity, registered.as_ref(), message.kind.as_deref(), Some(message.payload))?;
    message.key.get_or_insert_with(|| format!("scheduled-task-{}", send.id));
    link::link(tx, &entity)?;
    deliver(tx, &mut entity, &message, &tx.draw.uuid(), Cause::outside(Class::Named))?;
    match &stored.producer {
        Some(producer) => Ok(tx.write_producer(entity.id, producer, Accepted { epoch: 0, seq: 0 })?),
        None => Ok(()),
    }
}

/// Whoever a message is from may have lost the entity since: an agent's is judged as its creator's.
fn check_author(tx: &Tx<'_>, send: &DelayedSend, message: &Message<'_>, entity: &EntityRow) -> Result<(), Error> {
    let owner = match &send.manifest {
        Some((owner, _)) if message.from_agent.is_some() => tx.entity_by_id(*owner)?.map(|owner| owner.created_by),
        _ => message.from.clone(),
    };
    match owner.as_deref().and_then(Principal::parse) {
        Some(by) => permission::check(tx, &by, Permission::Write, entity),
        None => Ok(()),
    }
}

/// Says in the manifest of who scheduled a message that it was sent, or why it was not.
fn tell(tx: &Tx<'_>, owner: i64, key: &str, entry: &RawValue, failed: Option<String>) -> Result<(), SqlError> {
    let Some(mut stream) = tx.stream_by_id(owner)?.filter(|s| !s.closed) else { return Ok(()) };
    let mut value: Json = serde_json::from_str(entry.get()).unwrap_or_default();
    let now = tx.now.iso();
    match failed {
        None => {
            value["status"] = "sent".into();
            value["sentAt"] = now.as_str().into();
        }
        Some(why) => {
            value["status"] = "failed".into();
            value["failedAt"] = now.as_str().into();
            value["lastError"] = why.into();
        }
    }
    let headers = json!({ "operation": "update", "timestamp": now });
    let event = json!({ "type": "manifest", "key": key, "value": value, "headers": headers }).to_string();
    write(tx, &mut stream, &Content::Json(vec![&event]), Cause::outside(Class::Named))?;
    Ok(())
}
