//! Routes of a development server: move the virtual clock, break something on purpose. Elsewhere they do not exist.

use http::StatusCode;

use super::{Body, Call, Error, Refusal, Request};
use crate::config::Config;
use crate::dispatch;
use crate::engine::Done;
use crate::entity::EntityNotFound;
use crate::store::{TimerKind, Tx};
use crate::time::{Span, Time};

/// `POST /_reveille/dev/clock {"advance_ms": n}` → `{"now"}`, after every timer that fell due has run.
pub(super) fn clock(request: &Request, config: &Config, now: Time) -> Result<Time, Refusal> {
    if config.virtual_time.is_none() || !config.is_dev() {
        return Err(absent());
    }
    let body = Body::of(request)?;
    body.require("advance_ms");
    let by = body.millis("advance_ms").unwrap_or(0);
    body.check()?;
    Ok(now + Span::millis(by))
}

/// `POST /_reveille/dev/panic`: the command panics after it has written something.
#[allow(clippy::panic, reason = "what it is for: proving that a panic harms nobody else")]
pub(super) fn panic(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    only_dev(call)?;
    call.store.arm(call.store.now + Span::secs(3600), TimerKind::Probe, 0)?;
    panic!("asked to");
}

/// `POST /_reveille/dev/lock {"entity", "ms"}`: locks an entity; 0 ms unlock it.
pub(super) fn lock(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    only_dev(call)?;
    let tx = call.store;
    let body = Body::of(call.request)?;
    let url = body.required_text("entity");
    body.require("ms");
    let span = Span::millis(body.millis("ms").unwrap_or(0));
    body.check()?;
    let entity = tx.entity(&url)?.ok_or(EntityNotFound { url })?;
    match span {
        Span::ZERO => dispatch::lock::unlock(tx, entity.id)?,
        span => dispatch::lock::lock(tx, entity.id, tx.now + span)?,
    }
    Ok(Done::nothing())
}

/// `POST /_reveille/dev/timer {"in_ms": n, "panic": bool}`: arms a timer that does nothing, or panics.
pub(super) fn timer(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    only_dev(call)?;
    let body = Body::of(call.request)?;
    let span = Span::millis(body.millis("in_ms").unwrap_or(0));
    let panics = body.flag("panic").unwrap_or(false);
    body.check()?;
    let tx = call.store;
    tx.arm(tx.now + span, TimerKind::Probe, if panics { -tx.next_id() } else { tx.next_id() })?;
    Ok(Done::nothing())
}

fn only_dev(call: &Call<'_, Tx<'_>>) -> Result<(), Refusal> {
    if call.store.config.is_dev() { Ok(()) } else { Err(absent()) }
}

fn absent() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "NOT_FOUND", "this route exists on a development server with `--virtual` only")
}
