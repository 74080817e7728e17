//! `POST /_electric/wake-callbacks/{wake}`: an agent claims its wake, keeps it, and ends it (wake specification,
//! sections 5.3 and 5.4). Authenticated by the claim token alone.

use http::StatusCode;
use serde_json::json;

use super::journal::{self, step};
use super::lock::ForkInProgress;
use super::machine::Event;
use super::{status, write_token};
use crate::engine::Done;
use crate::http::{Body, Call, Error, Response, failure};
use crate::store::{SubscriptionRow, Tx};
use crate::subscription::ack::{Ack, acknowledge, acks};
use crate::subscription::{self, Ending, primary, token};

failure! {
    /// No wake ever had this id.
    UnknownConsumer => NOT_FOUND "WAKE_CALLBACK_NOT_FOUND", "Unknown wake-callback consumer"
}

failure! {
    /// The request carries no claim token.
    MissingClaimToken => UNAUTHORIZED "UNAUTHORIZED", "Missing claim token"
}

failure! {
    /// The claim token is not this wake's.
    InvalidClaimToken => UNAUTHORIZED "TOKEN_INVALID", "the claim token is not of this wake and generation"
}

/// Claims (`{"epoch","wakeId"}`), keeps (`{"epoch"}`) or ends (`{"epoch","acks","done":true}`) a wake.
pub(crate) fn callback(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let (tx, request) = (call.store, call.request);
    let wake = call.decoded("wake")?;
    let ask = Ask::of(&Body::of(request)?)?;
    let id = subscription::subscription_of(&wake).ok_or(UnknownConsumer)?;
    let mut subscription = tx.subscription(id)?.filter(|s| !s.plain).ok_or(UnknownConsumer)?;
    let given = request.claim_token().ok_or(MissingClaimToken)?;
    let bare = || token::open_bare(tx.keys, &wake, ask.generation.unwrap_or(subscription.generation), given);
    let token = token::open(tx.keys, given).or_else(bare).filter(|t| t.wake == wake).ok_or(InvalidClaimToken)?;
    let generation = ask.generation.unwrap_or(token.generation);
    let current = subscription.wake.as_ref().is_some_and(|w| w.id == wake)
        && [token.generation, generation].iter().all(|g| *g == subscription.generation);
    if !current || ask.wake.as_ref().is_some_and(|named| *named != wake) {
        let asked = ask.what();
        journal::fenced(tx, &mut subscription, &wake, token.generation, step::fenced(tx, asked))?;
        return Ok(fenced(&subscription).into());
    }
    acknowledge(tx, &subscription, &ask.acks)?;
    let mut answer = json!({ "ok": true });
    if ask.wake.is_some()
        && let Some(token) = claim(tx, &mut subscription)?
    {
        answer["writeToken"] = token.into();
    }
    if ask.done {
        answer["next_wake"] = subscription::end(tx, &mut subscription, Ending::Done)?.into();
    } else {
        // Who calls before the webhook has answered has taken the wake, too.
        let taken = subscription.wake.as_ref().filter(|w| !w.held && ask.wake.is_none()).map(|w| w.trigger);
        subscription::hold(tx, &mut subscription, Event::Heartbeat)?;
        tx.update_subscription(&subscription)?;
        taken.map_or(Ok(()), |entity| status::claimed(tx, entity))?;
        if ask.wake.is_none() {
            answer["next_wake"] = false.into();
        }
    }
    Ok(Response::json(StatusCode::OK, &answer).into())
}

/// What a callback asks for. Both spellings of a member mean the same.
struct Ask {
    wake: Option<String>,
    generation: Option<i64>,
    acks: Vec<Ack>,
    done: bool,
}

impl Ask {
    fn of(body: &Body<'_>) -> Result<Self, Error> {
        #[allow(clippy::cast_possible_truncation, reason = "generations are small whole numbers")]
        let whole = |n: f64| if n.fract() == 0.0 { n as i64 } else { i64::MIN };
        let generation = body.number("generation").or(body.number("epoch")).map(whole);
        let wake = body.text("wake_id").or(body.text("wakeId"));
        let done = body.flag("done").unwrap_or(false);
        let acks = acks(body);
        body.check()?;
        Ok(Self { wake, generation, acks, done })
    }

    /// In a word.
    fn what(&self) -> &'static str {
        match self {
            Self { done: true, .. } => "a done",
            Self { wake: Some(_), .. } => "a claim",
            _ => "a heartbeat",
        }
    }
}

/// Takes the wake and opens its entity's stream. The row is the caller's to write.
fn claim(tx: &Tx<'_>, subscription: &mut SubscriptionRow) -> Result<Option<String>, Error> {
    let links = tx.links(subscription.id)?;
    let trigger = subscription.wake.as_ref().map(|w| w.trigger);
    let link = links.iter().find(|l| l.stream == trigger).or_else(|| primary(&links));
    let Some(stream) = link.and_then(|l| l.stream) else {
        return Ok(None);
    };
    let Some(entity) = tx.entity_by_id(stream)? else { return Ok(None) };
    if entity.locked && subscription.wake.as_ref().is_some_and(|w| w.write_hash.is_none()) {
        return Err(ForkInProgress.into());
    }
    status::claimed(tx, stream)?;
    Ok(write_token::mint(tx, subscription, stream))
}

/// 409: a later wake, or the end of this one, has taken its place. The runtime reads `ok`.
fn fenced(subscription: &SubscriptionRow) -> Response {
    let message = format!("this wake is over: the subscription is at generation {}", subscription.generation);
    Response::json(StatusCode::CONFLICT, &json!({ "ok": false, "error": { "code": "FENCED", "message": message } }))
}
