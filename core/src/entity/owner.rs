//! `POST /_reveille/entities/{type}/{id}/owner`: an entity is handed over to another owner.
//!
//! It is for who runs the server, and not for the owner: the agent of an entity acts as its owner, so whoever could give
//! theirs to somebody else could have their own agent read and send as them.

use http::StatusCode;

use super::principal;
use super::save::save;
use super::show::find;
use super::view::View;
use crate::dispatch::{Target, link};
use crate::effect::{Notify, Topic};
use crate::engine::Done;
use crate::http::{Body, Call, Error, Response, failure};
use crate::permission::{Subject, lost};
use crate::store::{EntityRow, SqlError, Tx};
use crate::tenant::Principal;
use crate::wake;

failure! {
    /// Only who runs the server hands entities over.
    NotTheOperator => FORBIDDEN "UNAUTHORIZED", "handing an entity over is for a built-in system principal"
}

failure! {
    /// Who is to have it is nobody.
    NoPrincipal { text: String } => BAD_REQUEST "INVALID_REQUEST", "`{text}` is no principal"
}

/// Hands the entity at the request's path over to a principal: 200 with the entity. Whoever had it is left with what
/// grants say; to whom it belongs already, nothing happens.
pub(crate) fn hand_over(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let (tx, by) = (call.store, call.by()?);
    let mut entity = find(call, tx)?;
    let body = Body::of(call.request)?;
    let text = body.required_text("principal");
    body.closed(&["principal"]);
    body.check()?;
    if !by.is_system() {
        return Err(NotTheOperator.into());
    }
    principal::refuse(&entity, "handed over")?;
    let to = Principal::parse(&text).ok_or(NoPrincipal { text })?;
    if entity.created_by != to.url() {
        check_runner(tx, &entity, &to)?;
        principal::ensure(tx, &to)?;
        change(tx, &mut entity, &to)?;
    }
    let mut view = View::of(&entity);
    view.txid = Some(tx.txid());
    Ok(Response::json(StatusCode::OK, &view).into())
}

/// A runner works for its owner's entities alone.
fn check_runner(tx: &Tx<'_>, entity: &EntityRow, to: &Principal) -> Result<(), Error> {
    match link::policy_of(entity)? {
        Some(policy) if matches!(policy.target, Target::Runner(_)) && !entity.status.is_terminal() => {
            link::check(tx, to, &policy)
        }
        _ => Ok(()),
    }
}

fn change(tx: &Tx<'_>, entity: &mut EntityRow, to: &Principal) -> Result<(), SqlError> {
    let before = std::mem::replace(&mut entity.created_by, to.url());
    entity.updated_at = tx.now;
    tx.update_owner(entity, &before)?;
    save(tx, entity)?;
    lost(tx, &Subject::Principal(before), entity)?;
    wake::register::forget_unreadable(tx, entity, to)?;
    // An owner reads along without being asked again: now they are.
    if let Some(stream) = tx.stream_by_id(entity.id)? {
        tx.notify(Notify { topic: Topic::Stream(stream.id), from: stream.tail, to: stream.tail, bytes: None });
    }
    Ok(())
}
