//! `POST /_electric/runners`: a runner announces itself; again with the same id, it replaces what it said before.

use http::StatusCode;
use percent_encoding::utf8_percent_encode;

use super::{NotTheOwner, View, own, profiles};
use crate::engine::Done;
use crate::http::{Body, Call, Error, Refusal, Response, failure};
use crate::limits::RUNNER_TEXT;
use crate::store::{RunnerRow, Tx};
use crate::stream::make_wake_stream;
use crate::tenant::{Principal, principal};

failure! {
    /// The body names another owner than the caller.
    OwnerMismatch => FORBIDDEN "UNAUTHORIZED", "owner_principal must match the authenticated principal"
}

failure! {
    /// Somebody made a stream where the runner's wake stream belongs.
    StreamInTheWay { path: String } => CONFLICT "INVALID_REQUEST", "a stream that is no runner's stands at {path}: delete it first"
}

failure! {
    /// The body's owner is not a principal.
    BadOwner { given: String } => BAD_REQUEST "INVALID_REQUEST",
    "owner_principal must be a valid principal URL (e.g. /principal/user%3Aalice), got: {given}"
}

/// Registers a runner for the caller: 201, with a wake stream that exists.
pub(crate) fn register(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let tx = call.store;
    let by = call.by()?;
    let body = Body::of(call.request)?;
    let (id, label) = (body.required_text("id"), body.required_text("label"));
    let owner = body.text("owner_principal");
    let kind = body
        .choice("kind", &["local", "cloud-worker", "sandbox", "ci", "server"])
        .unwrap_or_else(|| "local".to_owned());
    let enabled = body.choice("admin_status", &["enabled", "disabled"]).is_none_or(|s| s == "enabled");
    let wake_stream = body.text("wake_stream");
    let profiles = profiles::given(&body);
    if label.len() > RUNNER_TEXT {
        body.complain("/label".to_owned(), format!("must NOT have more than {RUNNER_TEXT} characters"));
    }
    body.check()?;
    check_id(&id)?;
    if let Some(given) = owner {
        let owner = Principal::parse(&given).ok_or(BadOwner { given })?;
        if owner != *by {
            return Err(OwnerMismatch.into());
        }
    }
    let existing = tx.runner(&id)?;
    if existing.as_ref().is_some_and(|r| r.owner != by.url()) {
        return Err(NotTheOwner.into());
    }
    let wake_stream = own_wake_stream(&id, wake_stream)?;
    let stream = tx.stream(&wake_stream)?;
    if stream.is_some() && existing.is_none() {
        return Err(StreamInTheWay { path: wake_stream }.into());
    }
    let before = existing.as_ref().map_or_else(|| "[]".to_owned(), |r| r.profiles.clone());
    let runner = RunnerRow {
        serial: existing.as_ref().map_or_else(|| tx.next_id(), |r| r.serial),
        owner: by.url(),
        label,
        kind,
        enabled,
        wake_stream,
        profiles: profiles.unwrap_or_else(|| before.clone()),
        created_at: existing.as_ref().map_or(tx.now, |r| r.created_at),
        updated_at: tx.now,
        last_seen_at: existing.as_ref().and_then(|r| r.last_seen_at),
        lease_until: existing.as_ref().and_then(|r| r.lease_until),
        wake_offset: existing.as_ref().and_then(|r| r.wake_offset.clone()),
        diagnostics: existing.and_then(|r| r.diagnostics),
        id,
    };
    tx.write_runner(&runner)?;
    tx.write_profiles(&runner.id, &profiles::read(&before), &profiles::read(&runner.profiles))?;
    // It is guarded by the runner, which is there by now: who waited for the path and may not read it does not get it.
    if stream.is_none() {
        make_wake_stream(tx, &runner.wake_stream)?;
    }
    Ok(Response::json(StatusCode::CREATED, &View::of(&runner)).into())
}

/// Lets the runner claim again.
pub(crate) fn enable(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    switch(call, true)
}

/// Lets the runner claim no more.
pub(crate) fn disable(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    switch(call, false)
}

fn switch(call: &Call<'_, Tx<'_>>, enabled: bool) -> Result<Done, Error> {
    let mut runner = own(call, call.store)?;
    runner.enabled = enabled;
    runner.updated_at = call.store.now;
    call.store.write_runner(&runner)?;
    Ok(Response::json(StatusCode::OK, &View::of(&runner)).into())
}

/// An id that is the same in a URL, so that its wake stream has one spelling and no id is the beginning of another's.
fn check_id(id: &str) -> Result<(), Refusal> {
    let plain = !id.is_empty() && id.len() <= 200 && utf8_percent_encode(id, principal::COMPONENT).to_string() == id;
    let message = || {
        format!(
            "a runner's id is 1 to 200 letters, digits and - _ . ! ~ * ' ( ), not `{}`",
            id.chars().take(80).collect::<String>()
        )
    };
    if plain { Ok(()) } else { Err(Refusal::new(StatusCode::BAD_REQUEST, "INVALID_REQUEST", message())) }
}

/// The wake stream is always the runner's own: its path is how it is guarded.
fn own_wake_stream(id: &str, asked: Option<String>) -> Result<String, Refusal> {
    let own = format!("/runners/{id}/wake");
    match asked {
        Some(other) if other != own => {
            let message = format!("wake_stream of runner `{id}` is `{own}`, not `{other}`");
            Err(Refusal::new(StatusCode::BAD_REQUEST, "INVALID_REQUEST", message))
        }
        _ => Ok(own),
    }
}
