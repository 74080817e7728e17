//! `POST …/send`: a message to an entity, now or later (control plane, section 10.6).

use http::StatusCode;
use serde_json::json;

use super::inbox::{self, Message};
use super::principal;
use super::save::save;
use super::show::find_to_write;
use super::status::Change;
use super::validate;
use crate::dispatch::{link, status, write_token};
use crate::engine::Done;
use crate::http::{Body, Call, Error, Response, failure};
use crate::limits::DELAY;
use crate::store::{EntityRow, EntityTypeRow, TimerKind, Tx};
use crate::stream::{Cause, Class};
use crate::tenant::{Permission, Principal, permission};
use crate::time::Span;

failure! {
    /// The entity is stopping or has stopped.
    NotAcceptingWrites => CONFLICT "NOT_RUNNING", "Entity is not accepting writes"
}

failure! {
    /// The sender named in the body is not the caller.
    Impostor { member: &'static str } => BAD_REQUEST "INVALID_REQUEST", "Request {member} must match Electric-Principal"
}

failure! {
    /// The agent named in the body is not the caller, and its token is not its claim's.
    ImpostorAgent => BAD_REQUEST "INVALID_REQUEST", "Request from_agent must match authenticated agent principal"
}

failure! {
    /// There is no message in the message.
    NoPayload => BAD_REQUEST "INVALID_REQUEST", "Missing required field: payload"
}

/// Sends to the entity at the request's path: 200 `{"txid"}`, or 204 when it is to arrive after `afterMs`.
pub(crate) fn send(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let tx = call.store;
    let by = call.by()?;
    let mut entity = find_to_write(call)?;
    let body = Body::of(call.request)?;
    let after = body.millis("afterMs").map_or(Span::ZERO, |ms| Span::millis(ms.min(DELAY.as_millis())));
    let (from, from_principal, from_agent) = (body.text("from"), body.text("from_principal"), body.text("from_agent"));
    let (key, kind) = (body.text("key"), body.text("type").filter(|t| !t.is_empty()));
    let mode = body.choice("mode", &["immediate", "queued", "paused", "steer"]);
    let position = body.text("position");
    body.check()?;
    permission::check(tx, by, Permission::Write, &entity)?;
    for (given, member) in [(&from, "from"), (&from_principal, "from_principal")] {
        if given.as_ref().is_some_and(|given| *given != by.url()) {
            return Err(Impostor { member }.into());
        }
    }
    let cause = cause(tx, by, from_agent.as_deref(), call.request.claim_token())?;
    if !entity.status.accepts_writes() {
        return Err(NotAcceptingWrites.into());
    }
    let registered = if kind.is_some() || entity.policy.is_none() { tx.entity_type(&entity.kind)? } else { None };
    let payload = body.raw("payload");
    validate::message(tx, &entity, registered.as_ref(), kind.as_deref(), payload)?;
    principal::check_update(by, &entity, kind.as_deref())?;
    let payload = payload.ok_or(NoPayload)?;
    principal::ensure(tx, by)?;
    let message = Message {
        payload,
        from: Some(by.url()),
        from_principal: Some(by.url()),
        from_agent,
        key,
        kind,
        mode,
        position,
    };
    back_fill(tx, by, &mut entity, registered.as_ref())?;
    link::link(tx, &entity)?;
    if after > Span::ZERO {
        let due_at = tx.now + after;
        let id = tx.insert_delayed_send(entity.id, &message.stored(), due_at, None)?;
        tx.arm(due_at, TimerKind::Send, id)?;
        return Ok(Done::nothing());
    }
    let txid = tx.draw.uuid();
    deliver(tx, &mut entity, &message, &txid, cause)?;
    principal::updated(tx, &entity, message.kind.as_deref(), payload.get(), &txid)?;
    Ok(Response::json(StatusCode::OK, &json!({ "txid": txid })).into())
}

/// Appends a message, after continuing a paused entity that it is not to wait for.
pub(super) fn deliver(
    tx: &Tx<'_>,
    entity: &mut EntityRow,
    message: &Message<'_>,
    txid: &str,
    cause: Cause<'_>,
) -> Result<(), Error> {
    let next = entity.status.after(Change::Sent);
    let next = next.continued(next != entity.status && status::is_claimed(tx, entity.id)?);
    if next != entity.status && message.mode.as_deref() != Some("paused") {
        entity.status = next;
        entity.updated_at = tx.now;
        save(tx, entity)?;
    }
    let Some(mut stream) = tx.stream_by_id(entity.id)? else { return Ok(()) };
    inbox::append(tx, entity, &mut stream, message, txid, cause)
}

/// What a send is caused by: the claim of the agent in whose name it is sent, else the outside world.
fn cause(tx: &Tx<'_>, by: &Principal, from_agent: Option<&str>, token: Option<&str>) -> Result<Cause<'static>, Error> {
    let outside = Cause::outside(Class::Named);
    let Some(given) = from_agent else { return Ok(outside) };
    let path = match given.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => given,
    };
    if let (Some(agent), Some(token)) = (tx.entity(path)?, token)
        && let Some(cause) = write_token::cause_of(tx, &agent, token)?
    {
        return Ok(Cause { depth: cause.depth, ..Cause::outside(Class::Named) });
    }
    if by.kind() == "agent" && path == format!("/{}", by.id()) { Ok(outside) } else { Err(ImpostorAgent.into()) }
}

/// Gives an entity without a policy its type's current one, if its creator may use it.
fn back_fill(
    tx: &Tx<'_>,
    by: &Principal,
    entity: &mut EntityRow,
    registered: Option<&EntityTypeRow>,
) -> Result<(), Error> {
    if entity.policy.is_some() {
        return Ok(());
    }
    if let Some(policy) = registered.map(|kind| kind.definition.policy()).transpose()?.flatten() {
        let creator = Principal::parse(&entity.created_by).unwrap_or_else(|| by.clone());
        link::check(tx, &creator, &policy)?;
        entity.policy = Some(policy.json().to_string());
        entity.updated_at = tx.now;
        save(tx, entity)?;
    }
    Ok(())
}
