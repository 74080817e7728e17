//! Signals, and the end of an entity (control plane, sections 10.4 and 10.5).

use http::StatusCode;
use serde_json::json;
use serde_json::value::RawValue;

use super::principal;
use super::save::save;
use super::show::find_to_write;
use super::status::{Signal, Status, signal as decide};
use crate::dispatch::{link, status};
use crate::engine::Done;
use crate::http::{Body, Call, Error, Refusal, Response};
use crate::store::{EntityRow, SqlError, Tx};
use crate::stream::{Cause, Class, Content, Why, close, write};
use crate::subscription;
use crate::tenant::{Permission, permission};
use crate::time::Span;

/// `POST …/signal`: `{"signal", "reason"?, "payload"?}`.
pub(crate) fn signal(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let by = call.by()?;
    let entity = find_to_write(call)?;
    let body = Body::of(call.request)?;
    body.require("signal");
    let name = body.choice("signal", &Signal::NAMES);
    let reason = body.text("reason");
    let payload = body.raw("payload");
    body.check()?;
    permission::check(call.store, by, Permission::Signal, &entity)?;
    principal::refuse(&entity, "signaled")?;
    let sent = name.as_deref().and_then(Signal::parse).unwrap_or(Signal::Sigusr);
    let previous = entity.status;
    let next = apply(call.store, entity, sent, reason.as_deref(), payload)?;
    let answer = json!({
        "url": next.url,
        "signal": sent.as_str(),
        "previous_state": previous.as_str(),
        "new_state": next.status.as_str(),
        "created_at": call.store.now,
        "txid": call.store.txid(),
    });
    Ok(Response::json(StatusCode::OK, &answer).into())
}

/// `DELETE` on an entity: it is killed; what it wrote stays.
pub(crate) fn kill(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let by = call.by()?;
    let entity = find_to_write(call)?;
    permission::check(call.store, by, Permission::Delete, &entity)?;
    principal::refuse(&entity, "killed")?;
    apply(call.store, entity, Signal::Sigkill, Some("Legacy kill command"), None)?;
    Ok(Response::json(StatusCode::OK, &json!({ "txid": call.store.txid() })).into())
}

/// Sends a signal to an entity: its status moves, the event is written, and at its end it is let go.
fn apply(
    tx: &Tx<'_>,
    mut entity: EntityRow,
    sent: Signal,
    reason: Option<&str>,
    payload: Option<&RawValue>,
) -> Result<EntityRow, Error> {
    let previous = entity.status;
    let Some(effect) = decide(previous, sent) else {
        let message = format!("Cannot signal a {} entity", previous.as_str());
        return Err(Refusal::new(StatusCode::CONFLICT, "INVALID_SIGNAL", message).into());
    };
    let continues = previous == Status::Paused && effect.status == Status::Idle;
    entity.status = effect.status.continued(continues && status::is_claimed(tx, entity.id)?);
    // Whoever waits to see the signal in a shape sees it by this, also when its status stays.
    entity.updated_at = tx.now.max(entity.updated_at + Span::millis(1));
    save(tx, &entity)?;
    let event = event(tx, sent, reason, payload, previous, effect);
    let Some(mut stream) = tx.stream_by_id(entity.id)? else { return Ok(entity) };
    stream.closed = effect.status.is_terminal();
    // The last word of an entity wakes nobody; every other signal may.
    let class = if effect.status.is_terminal() { Class::Never } else { Class::Any };
    if effect.status.is_terminal() {
        link::unlink(tx, &entity)?;
    }
    let cause = Cause { why: Why::Signal(sent.as_str()), ..Cause::outside(class) };
    write(tx, &mut stream, &Content::Json(vec![&event]), cause)?;
    if effect.status.is_terminal() {
        terminate(tx, &entity)?;
    }
    if effect.status == Status::Paused && previous != Status::Paused {
        subscription::shut(tx, entity.id, "the entity was paused")?;
    }
    if continues {
        subscription::resume(tx, entity.id, "it came while the entity was paused")?;
    }
    Ok(entity)
}

/// Lets go of an entity at its end: its dispatch, its stream, its wakes and those on it.
pub(crate) fn terminate(tx: &Tx<'_>, entity: &EntityRow) -> Result<(), SqlError> {
    link::unlink(tx, entity)?;
    tx.delete_registrations_about(entity.id, &entity.url)?;
    if let Some(mut stream) = tx.stream_by_id(entity.id)?.filter(|s| !s.closed) {
        close(tx, &mut stream)?;
    }
    Ok(())
}

fn event(
    tx: &Tx<'_>,
    sent: Signal,
    reason: Option<&str>,
    payload: Option<&RawValue>,
    previous: Status,
    effect: super::status::Effect,
) -> String {
    let now = tx.now.iso();
    let mut value = json!({
        "signal": sent.as_str(),
        "status": if effect.handled { "handled" } else { "unhandled" },
        "sender": SERVER,
        "timestamp": now,
    });
    if let Some(reason) = reason {
        value["reason"] = reason.into();
    }
    if effect.handled {
        value["handled_at"] = now.as_str().into();
        value["handled_by"] = SERVER.into();
        value["outcome"] = if previous == effect.status { "ignored" } else { "transitioned" }.into();
        value["previous_state"] = previous.as_str().into();
        value["new_state"] = effect.status.as_str().into();
    }
    let mut value = value.to_string();
    if let Some(payload) = payload {
        value.pop();
        value.push_str(&format!(",\"payload\":{}}}", payload.get()));
    }
    let key = format!("sig-{}-{}", tx.now.as_millis(), tx.draw.hex::<4>());
    let headers = json!({ "operation": "insert", "timestamp": now, "txid": tx.txid().to_string() });
    format!(r#"{{"type":"signal","key":"{key}","value":{value},"headers":{headers}}}"#)
}

/// Who sends signals, on the wire.
const SERVER: &str = "/_electric/server";
