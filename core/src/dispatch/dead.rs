//! Dead letters: dispatches that were given up, because nobody took them however often they were announced. What is
//! pending for them stays so, and one call takes them back.

use http::StatusCode;
use serde_json::{Value as Json, json};

use super::journal::step::{cut, target};
use super::journal::{self, Because, step};
use crate::effect::Fetched;
use crate::engine::{Done, Reply};
use crate::entity::find;
use crate::http::{Call, Error, Refusal, Request, Response, failure};
use crate::limits::DEAD_LETTERS;
use crate::store::{DeadLetter, EntityRow, MAX_INT, Read, SqlError, SubscriptionRow, Tx};
use crate::subscription;
use crate::tenant::{Permission, Principal, permission};
use crate::time::Time;

failure! {
    /// The entity's dispatch was not given up.
    NotDead { url: String } => CONFLICT "NOT_DEAD", "the dispatch of {url} is no dead letter"
}

/// Gives up the wake in flight, which is gone from the row by now. The row is the caller's to write.
pub(crate) fn bury(
    tx: &Tx<'_>,
    subscription: &mut SubscriptionRow,
    entity: i64,
    (wake, attempts): (&str, i64),
    failure: (&str, Option<&Fetched>),
) -> Result<(), SqlError> {
    let mut letter = json!({ "wake": wake, "since": tx.now, "attempts": attempts, "error": cut(failure.0) });
    if let Some(Ok(answer)) = failure.1 {
        let body = String::from_utf8_lossy(&answer.body);
        letter["answer"] = json!({ "status": answer.status, "body": cut(&body) });
    }
    subscription.dead = true;
    tx.count(|c| c.dead_letters += 1);
    journal::note(subscription, step::dead_lettered(tx, &letter))?;
    tx.insert_dead_letter(&DeadLetter { subscription: subscription.id, entity, letter: letter.to_string() })
}

/// `GET /_reveille/dead-letters[?after=]`: what was given up of the entities that the caller may read, a page at a time.
pub(crate) fn list(call: &Call<'_, Read<'_>>) -> Result<Reply, Error> {
    let (read, by) = (call.store, call.by()?);
    let (mine, next) = letters(read, by, Permission::Read, after(call.request)?)?;
    let mut dead = Vec::new();
    for (letter, entity) in mine {
        dead.push(show(read, &letter, &entity)?);
    }
    Ok(Reply::Whole(Response::json(StatusCode::OK, &json!({ "dead": dead, "next": next }))))
}

/// `POST /_reveille/entities/{type}/{id}/revive`: takes an entity's dispatch back.
pub(crate) fn revive(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let (tx, by) = (call.store, call.by()?);
    let entity = find(call, tx)?;
    permission::check(tx, by, Permission::Write, &entity)?;
    let dead = tx.dispatches_of(entity.id)?.into_iter().find(|s| s.dead);
    let mut subscription = dead.ok_or_else(|| NotDead { url: entity.url.clone() })?;
    let state = subscription::revive(tx, &mut subscription, Because::Revived(&by.url()))?;
    let body = json!({ "entity": entity.url, "state": state.as_str() });
    Ok(Response::json(StatusCode::OK, &body).into())
}

/// `POST /_reveille/dead-letters/revive[?after=]`: takes back what the caller may write to, a page at a time.
pub(crate) fn revive_all(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let (tx, by) = (call.store, call.by()?);
    let (mine, next) = letters(tx, by, Permission::Write, after(call.request)?)?;
    for (letter, _) in &mine {
        if let Some(mut subscription) = tx.subscription(letter.subscription)? {
            subscription::revive(tx, &mut subscription, Because::Revived(&by.url()))?;
        }
    }
    Ok(Response::json(StatusCode::OK, &json!({ "revived": mine.len(), "next": next })).into())
}

/// A letter as it is shown.
pub(super) fn show(read: &Read<'_>, dead: &DeadLetter, entity: &EntityRow) -> Result<Json, SqlError> {
    let mut shown: Json = serde_json::from_str(&dead.letter)
        .map_err(|e| SqlError::new(format!("a stored dead letter does not parse: {e}")))?;
    shown["since"] = shown["since"].as_i64().map(|at| Time::from_millis(at).iso()).into();
    shown["entity"] = entity.url.as_str().into();
    shown["target"] = read.subscription(dead.subscription)?.map_or(Json::Null, |s| target(&s.kind));
    Ok(shown)
}

/// A letter and its entity.
type Letter = (DeadLetter, EntityRow);

/// The letters of one page of entities with which `by` may do something, and where the next page begins.
fn letters(
    read: &Read<'_>,
    by: &Principal,
    permission: Permission,
    after: i64,
) -> Result<(Vec<Letter>, Option<i64>), SqlError> {
    let page = read.dead_letters(after, DEAD_LETTERS)?;
    let next = page.last().filter(|_| page.len() == DEAD_LETTERS).map(|last| last.subscription);
    let mut mine = Vec::new();
    for letter in page {
        if let Some(entity) = read.entity_by_id(letter.entity)?
            && permission::may(read, by, permission, &entity)?
        {
            mine.push((letter, entity));
        }
    }
    Ok((mine, next))
}

fn after(request: &Request) -> Result<i64, Refusal> {
    let Some(after) = request.query_one("after") else { return Ok(0) };
    let after = after.parse().ok().filter(|after| (0..=MAX_INT).contains(after));
    after.ok_or_else(|| {
        Refusal::new(StatusCode::BAD_REQUEST, "INVALID_REQUEST", "`after` is the `next` of the page before")
    })
}
