//! `…/schedules/{id}`: what an entity is to be told, and when: at each tick of a clock, or once. A schedule is a row of its
//! manifest, and everything that it stands for follows from that row (control plane, section 10.11; wake specification,
//! section 3.4).

use http::StatusCode;
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};

use super::send::NotAcceptingWrites;
use super::show::{EntityNotFound, find_to_write};
use super::{manifest_row, principal, scheduled, validate};
use crate::engine::Done;
use crate::http::{Body, Call, Error, Response, failure};
use crate::schedule::cron::Spec;
use crate::schedule::ticks;
use crate::store::{EntityRow, Tx};
use crate::tenant::{Permission, Principal, permission};
use crate::time::Time;

failure! {
    /// The moment is none.
    BadMoment { given: String } => BAD_REQUEST "INVALID_REQUEST", "Invalid fireAt timestamp: {given}"
}

failure! {
    /// The sender named in the body is not the caller.
    Impostor => BAD_REQUEST "INVALID_REQUEST", "Request from must match Electric-Principal"
}

/// `PUT`: a schedule, in the place of the one that had its id: 200 `{"txid"}`.
pub(crate) fn put(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let (tx, by) = (call.store, call.by()?);
    let entity = find_to_write(call)?;
    let id = call.decoded("schedule")?;
    let body = Body::of(call.request)?;
    body.require("scheduleType");
    body.require("payload");
    let kind = body.choice("scheduleType", &["cron", "future_send"]).unwrap_or_default();
    let payload = body.raw("payload").unwrap_or(RawValue::NULL);
    body.value("payload", payload);
    let row = if kind == "cron" { Row::cron(&body) } else { Row::send(&body) };
    body.check()?;
    permission::check(tx, by, Permission::Schedule, &entity)?;
    principal::refuse(&entity, "scheduled")?;
    let value = match row {
        Row::Cron { expression, zone, debounce, timeout } => {
            let spec = Spec::parse(&expression, zone.as_deref())?;
            ticks::ensure(tx, &spec)?;
            cron_row(&id, &spec, debounce, timeout)
        }
        Row::Send { at, target, message_type, from } => {
            let target = target.unwrap_or_else(|| entity.url.clone());
            if from.is_some_and(|from| from != by.url()) {
                return Err(Impostor.into());
            }
            let at = Time::parse_iso(&at).ok_or(BadMoment { given: at })?;
            check_target(tx, by, &target, message_type.as_deref(), payload)?;
            let producer = format!("future-send-{}", tx.draw.uuid());
            send_row(&id, at, &target, by, message_type, &producer)
        }
    };
    let mut value = value.to_string();
    value.pop();
    value.push_str(&format!(",\"payload\":{}}}", payload.get()));
    scheduled::check_room(&entity, by, &key(&id), &value)?;
    write_row(tx, by, &entity, &id, "upsert", Some(&value))
}

/// `DELETE`: takes a schedule away: 200 `{"txid"}`, also when there is none.
pub(crate) fn delete(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let (tx, by) = (call.store, call.by()?);
    let entity = find_to_write(call)?;
    let id = call.decoded("schedule")?;
    permission::check(tx, by, Permission::Schedule, &entity)?;
    principal::refuse(&entity, "unscheduled")?;
    write_row(tx, by, &entity, &id, "delete", None)
}

/// What a body asks for.
enum Row {
    Cron { expression: String, zone: Option<String>, debounce: Option<i64>, timeout: Option<i64> },
    Send { at: String, target: Option<String>, message_type: Option<String>, from: Option<String> },
}

impl Row {
    fn cron(body: &Body<'_>) -> Self {
        Self::Cron {
            expression: body.required_text("expression"),
            zone: body.text("timezone"),
            debounce: body.millis("debounceMs"),
            timeout: body.millis("timeoutMs"),
        }
    }

    fn send(body: &Body<'_>) -> Self {
        Self::Send {
            at: body.required_text("fireAt"),
            target: body.text("targetUrl"),
            message_type: body.text("messageType"),
            from: body.text("from"),
        }
    }
}

/// Refuses a target to which the caller could not send such a message now.
fn check_target(tx: &Tx<'_>, by: &Principal, url: &str, kind: Option<&str>, payload: &RawValue) -> Result<(), Error> {
    let target = tx.entity(url)?.ok_or_else(|| EntityNotFound { url: url.to_owned() })?;
    permission::check(tx, by, Permission::Write, &target)?;
    if !target.status.accepts_writes() {
        return Err(NotAcceptingWrites.into());
    }
    let registered = if kind.is_some() { tx.entity_type(&target.kind)? } else { None };
    validate::message(tx, &target, registered.as_ref(), kind, Some(payload))?;
    principal::check_update(by, &target, kind)
}

fn cron_row(id: &str, spec: &Spec, debounce: Option<i64>, timeout: Option<i64>) -> Json {
    let mut wake = json!({ "on": "change" });
    for (name, value) in [("debounceMs", debounce), ("timeoutMs", timeout)] {
        if let Some(value) = value {
            wake[name] = value.into();
        }
    }
    json!({
        "key": key(id), "kind": "schedule", "id": id, "scheduleType": "cron",
        "expression": spec.expression(), "timezone": spec.zone(), "wake": wake,
    })
}

fn send_row(id: &str, at: Time, target: &str, by: &Principal, message_type: Option<String>, producer: &str) -> Json {
    let mut row = json!({
        "key": key(id), "kind": "schedule", "id": id, "scheduleType": "future_send", "fireAt": at.iso(),
        "targetUrl": target, "senderUrl": by.url(), "producerId": producer, "status": "pending",
    });
    if let Some(message_type) = message_type {
        row["messageType"] = message_type.into();
    }
    row
}

/// Writes a schedule's row: 200 `{"txid"}`.
fn write_row(
    tx: &Tx<'_>,
    by: &Principal,
    entity: &EntityRow,
    id: &str,
    operation: &str,
    value: Option<&str>,
) -> Result<Done, Error> {
    let txid = manifest_row::write_row(tx, by, entity, &key(id), operation, value)?;
    Ok(Response::json(StatusCode::OK, &json!({ "txid": txid })).into())
}

fn key(id: &str) -> String {
    format!("schedule:{id}")
}
