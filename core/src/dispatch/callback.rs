//! `POST /_electric/wake-callbacks/{wake}`: an agent claims its wake, keeps it, and ends it (wake specification,
//! sections 5.3 and 5.4). Authenticated by the claim token alone.

use http::StatusCode;
use serde_json::{Value as Json, json};

use super::{status, write_token};
use crate::engine::Done;
use crate::http::{Body, Call, Error, Refusal, Response, failure};
use crate::store::{SubscriptionRow, Tx};
use crate::stream::Offset;
use crate::subscription::{self, primary, token};

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
    let mut subscription = tx.subscription(id)?.ok_or(UnknownConsumer)?;
    let given = request.claim_token().ok_or(MissingClaimToken)?;
    let generation = ask.generation.unwrap_or(subscription.generation);
    if ![generation, subscription.generation].iter().any(|g| token::verify(tx.keys, &wake, *g, given)) {
        return Err(InvalidClaimToken.into());
    }
    let current = subscription.wake.as_ref().is_some_and(|w| w.id == wake) && subscription.generation == generation;
    if !current || ask.wake.as_ref().is_some_and(|named| *named != wake) {
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
        answer["next_wake"] = subscription::end(tx, &mut subscription)?.into();
    } else {
        subscription::hold(tx, &mut subscription, None)?;
        tx.update_subscription(&subscription)?;
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
    acks: Vec<(String, Option<Offset>)>,
    done: bool,
}

impl Ask {
    fn of(body: &Body<'_>) -> Result<Self, Error> {
        #[allow(clippy::cast_possible_truncation, reason = "generations are small whole numbers")]
        let generation = body.number("generation").or(body.number("epoch")).map(|n| n as i64);
        let wake = body.text("wake_id").or(body.text("wakeId"));
        let done = body.flag("done").unwrap_or(false);
        let acks = acks(body);
        body.check()?;
        Ok(Self { wake, generation, acks, done })
    }
}

/// The acknowledgements of a body. A text that is no offset lies before every stream.
fn acks(body: &Body<'_>) -> Vec<(String, Option<Offset>)> {
    let Some(list) = body.json("acks") else { return Vec::new() };
    let Some(list) = list.as_array() else {
        body.complain("/acks".to_owned(), "must be array");
        return Vec::new();
    };
    let mut acks = Vec::new();
    for (i, ack) in list.iter().enumerate() {
        let path = ack.get("stream").or(ack.get("path")).and_then(Json::as_str);
        let offset = ack.get("offset").and_then(Json::as_str).map(Offset::parse);
        match (path, offset) {
            (Some(path), Some(offset)) => acks.push((format!("/{}", path.trim_matches('/')), offset)),
            (None, _) => body.complain(format!("/acks/{i}"), "must have required property 'path'"),
            (_, None) => body.complain(format!("/acks/{i}/offset"), "must be string"),
        }
    }
    acks
}

/// Acknowledges streams of a subscription, all or none: never backwards, never past the tail.
fn acknowledge(tx: &Tx<'_>, subscription: &SubscriptionRow, acks: &[(String, Option<Offset>)]) -> Result<(), Error> {
    if acks.is_empty() {
        return Ok(());
    }
    let mut links = tx.links(subscription.id)?;
    for (path, offset) in acks {
        let link = links.iter_mut().find(|l| l.path == *path);
        let found = link.and_then(|l| offset.filter(|o| l.acked <= *o && *o <= l.tail).map(|o| (l, o)));
        let Some((link, offset)) = found else {
            let message = format!("an acknowledgement of `{path}` lies between what is acknowledged and its tail");
            return Err(Refusal::new(StatusCode::CONFLICT, "INVALID_OFFSET", message).into());
        };
        if link.acked < offset {
            tx.acknowledge(link.stream, subscription.id, offset)?;
            link.acked = offset;
        }
    }
    Ok(())
}

/// Takes the wake and opens its entity's stream. The row is the caller's to write.
fn claim(tx: &Tx<'_>, subscription: &mut SubscriptionRow) -> Result<Option<String>, Error> {
    let links = tx.links(subscription.id)?;
    let trigger = subscription.wake.as_ref().map(|w| w.trigger);
    let Some(stream) = links.iter().find(|l| Some(l.stream) == trigger).or_else(|| primary(&links)).map(|l| l.stream)
    else {
        return Ok(None);
    };
    if tx.entity_by_id(stream)?.is_none() {
        return Ok(None);
    }
    status::claimed(tx, stream)?;
    Ok(write_token::mint(tx, subscription, stream))
}

/// 409: a later wake, or the end of this one, has taken its place. The runtime reads `ok`.
fn fenced(subscription: &SubscriptionRow) -> Response {
    let message = format!("this wake is over: the subscription is at generation {}", subscription.generation);
    Response::json(StatusCode::CONFLICT, &json!({ "ok": false, "error": { "code": "FENCED", "message": message } }))
}
