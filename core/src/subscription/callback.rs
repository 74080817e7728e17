//! `…/callback`, `…/ack` and `…/release`: whoever has a wake keeps it, moves its cursors, and lets it go (stream protocol,
//! section 9.8). They prove themselves by the token of the wake alone.

use http::StatusCode;
use serde_json::json;
use serde_json::value::RawValue;

use super::ack::{acknowledge, acks};
use super::lease::{Ending, end, hold};
use super::name::{NotPullWake, SubscriptionNotFound, id};
use super::token;
use crate::dispatch::journal::{self, step};
use crate::dispatch::machine::Event;
use crate::dispatch::status;
use crate::engine::Done;
use crate::http::{Body, Call, Error, Refusal, Request, Response, failure};
use crate::store::{Kind, SubscriptionRow, Tx};
use crate::stream::string;

failure! {
    /// The request carries no token.
    NoToken => UNAUTHORIZED "TOKEN_INVALID", "Missing or malformed Authorization header"
}

failure! {
    /// The token is nobody's, or another subscription's.
    TokenInvalid => UNAUTHORIZED "TOKEN_INVALID", "the token is not one of this subscription"
}

failure! {
    /// The wake is over.
    Fenced { generation: i64 } => CONFLICT "FENCED", "this wake is over: the subscription is at generation {generation}"
}

/// A wake, and what its holder says of it.
struct Held<'a> {
    subscription: SubscriptionRow,
    body: Body<'a>,
}

/// `POST …/callback`: from a webhook's agent.
pub(crate) fn callback(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    match Held::of(call, false)? {
        Ok(held) => settle(call.store, held),
        Err(fenced) => Ok(fenced),
    }
}

/// `POST …/ack`: from whoever claimed.
pub(crate) fn ack(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    match Held::of(call, true)? {
        Ok(held) => settle(call.store, held),
        Err(fenced) => Ok(fenced),
    }
}

/// `POST …/release`: from whoever claimed and will not do it. Nothing is acknowledged.
pub(crate) fn release(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    match Held::of(call, true)? {
        Ok(mut held) => {
            end(call.store, &mut held.subscription, Ending::Released)?;
            Ok(Done::nothing())
        }
        Err(fenced) => Ok(fenced),
    }
}

fn settle(tx: &Tx<'_>, held: Held<'_>) -> Result<Done, Error> {
    let Held { mut subscription, body } = held;
    let acks = acks(&body);
    body.check()?;
    acknowledge(tx, &subscription, &acks)?;
    let next = if body.raw("done").is_some_and(|done| done.get() == "true") {
        end(tx, &mut subscription, Ending::Done)?
    } else {
        hold(tx, &mut subscription, Event::Heartbeat)?;
        if let Some(wake) = subscription.wake.as_ref().filter(|_| !subscription.plain) {
            status::claimed(tx, wake.trigger)?;
        }
        tx.update_subscription(&subscription)?;
        false
    };
    Ok(Response::json(StatusCode::OK, &json!({ "ok": true, "next_wake": next })).into())
}

impl<'a> Held<'a> {
    /// Checks a request in the order of the protocol. When the wake is over, there is an answer instead; that of a dispatch
    /// is kept, so that its journal can say so.
    fn of(call: &Call<'a, Tx<'_>>, pulled: bool) -> Result<Result<Self, Done>, Error> {
        let tx = call.store;
        let token = bearer(call.request).ok_or(NoToken)?;
        let body = Body::of(call.request)?;
        let id = id(call)?;
        let token = token::open(tx.keys, token);
        let of_token = |s: &SubscriptionRow| token.as_ref().is_some_and(|t| t.subscription() == Some(s.id));
        let mut named = tx.plain_by_name(&id)?;
        // A client's may have the name of one that dispatches; the token says which is meant.
        if !pulled && !named.as_ref().is_some_and(of_token) {
            named = tx.dispatch_by_name(&id)?.filter(|dispatch| named.is_none() || of_token(dispatch)).or(named);
        }
        let mut subscription = named.ok_or(SubscriptionNotFound { id })?;
        if pulled && matches!(subscription.kind, Kind::Webhook { .. }) {
            return Err(NotPullWake.into());
        }
        let token = token.filter(|t| t.subscription() == Some(subscription.id)).ok_or(TokenInvalid)?;
        let generation = subscription.generation;
        let (wake, given) = (body.raw("wake_id").and_then(string), body.raw("generation").map(RawValue::get));
        let current = subscription.wake.as_ref().is_some_and(|w| {
            token.wake == w.id
                && token.generation == generation
                && wake.as_deref() == Some(w.id.as_str())
                && given.and_then(|g| g.parse::<f64>().ok()) == Some(generation as f64)
        });
        if current {
            return Ok(Ok(Self { subscription, body }));
        }
        if !subscription.plain {
            let step = step::fenced(tx, "a callback");
            journal::fenced(tx, &mut subscription, &token.wake, token.generation, step)?;
        }
        Ok(Err(Refusal::from(Fenced { generation }).response().into()))
    }
}

/// The token of an `authorization: Bearer` header.
fn bearer(request: &Request) -> Option<&str> {
    let (scheme, token) = request.header("authorization")?.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case("bearer ").then(|| token.trim()).filter(|token| !token.is_empty())
}
