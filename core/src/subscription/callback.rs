//! `…/callback`, `…/ack` and `…/release`: whoever has a wake keeps it, moves its cursors, and lets it go (stream protocol,
//! section 9.8). They prove themselves by the token of the wake alone.

use http::StatusCode;
use serde_json::json;

use super::ack::{acknowledge, acks};
use super::lease::{end, hold};
use super::name::{NotPullWake, SubscriptionNotFound, id};
use super::token;
use crate::engine::Done;
use crate::http::{Body, Call, Error, Request, Response, failure};
use crate::store::{Kind, SubscriptionRow, Tx};

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

/// What the holder of a wake asks for.
struct Held {
    subscription: SubscriptionRow,
    acks: Vec<super::ack::Ack>,
    done: bool,
}

/// `POST …/callback`: from a webhook's agent.
pub(crate) fn callback(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    settle(call.store, Held::of(call, false)?)
}

/// `POST …/ack`: from whoever claimed.
pub(crate) fn ack(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    settle(call.store, Held::of(call, true)?)
}

/// `POST …/release`: from whoever claimed and will not do it. Nothing is acknowledged.
pub(crate) fn release(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let mut held = Held::of(call, true)?;
    end(call.store, &mut held.subscription)?;
    Ok(Done::nothing())
}

fn settle(tx: &Tx<'_>, held: Held) -> Result<Done, Error> {
    let Held { mut subscription, acks, done } = held;
    acknowledge(tx, &subscription, &acks)?;
    let next = if done {
        end(tx, &mut subscription)?
    } else {
        hold(tx, &mut subscription, None)?;
        tx.update_subscription(&subscription)?;
        false
    };
    Ok(Response::json(StatusCode::OK, &json!({ "ok": true, "next_wake": next })).into())
}

impl Held {
    /// Checks a request in the order of the protocol.
    fn of(call: &Call<'_, Tx<'_>>, pulled: bool) -> Result<Self, Error> {
        let tx = call.store;
        let token = bearer(call.request).ok_or(NoToken)?;
        let body = Body::of(call.request)?;
        let id = id(call)?;
        let subscription = match tx.plain_by_name(&id)? {
            Some(plain) => Some(plain),
            None if pulled => None,
            None => tx.dispatch_by_name(&id)?,
        };
        let subscription = subscription.ok_or(SubscriptionNotFound { id })?;
        if pulled && matches!(subscription.kind, Kind::Webhook { .. }) {
            return Err(NotPullWake.into());
        }
        let token = token::open(tx.keys, token).filter(|t| t.subscription() == Some(subscription.id));
        let token = token.ok_or(TokenInvalid)?;
        let acks = acks(&body);
        let given = (body.raw("wake_id").is_some(), body.raw("generation").map(|g| g.get().to_owned()));
        let (named, generation) = (body.json("wake_id"), subscription.generation);
        let current = subscription.wake.as_ref().is_some_and(|w| {
            token.wake == w.id
                && token.generation == generation
                && named.as_ref().and_then(serde_json::Value::as_str) == Some(w.id.as_str())
                && given.1.as_deref().and_then(|g| g.parse::<f64>().ok()) == Some(generation as f64)
        });
        if !current {
            return Err(Fenced { generation }.into());
        }
        body.check()?;
        let done = body.raw("done").is_some_and(|done| done.get() == "true");
        Ok(Self { subscription, acks, done })
    }
}

/// The token of an `authorization: Bearer` header.
fn bearer(request: &Request) -> Option<&str> {
    let (scheme, token) = request.header("authorization")?.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case("bearer ").then(|| token.trim()).filter(|token| !token.is_empty())
}
