//! `POST …/claim`: a worker takes a pull-wake subscription's wake (stream protocol, section 9.9).

use http::StatusCode;
use serde::Serialize;
use serde_json::{Value as Json, json};

use super::lease;
use super::name::{NotPullWake, id, invalid, own};
use super::show::{Info, all_links};
use super::token;
use crate::dispatch::machine::Refusal as Unclaimed;
use crate::engine::Done;
use crate::http::{Body, Call, Error, Refusal, Response, failure};
use crate::limits::SUBSCRIPTION_TEXT;
use crate::store::{Kind, Tx};

failure! {
    /// There is nothing to do.
    NoPendingWork => CONFLICT "NO_PENDING_WORK", "nothing is pending for this subscription"
}

/// Takes the wake in flight, or begins one when something is pending: 200 with its token and all of its streams.
pub(crate) fn claim(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let tx = call.store;
    let by = call.by()?;
    let worker = match Body::of(call.request)?.json("worker") {
        Some(Json::String(worker)) if !worker.is_empty() && worker.len() <= SUBSCRIPTION_TEXT => worker,
        _ => return Err(invalid("`worker` must be a string that is not empty").into()),
    };
    let mut subscription = own(tx, by, &id(call)?)?;
    if matches!(subscription.kind, Kind::Webhook { .. }) {
        return Err(NotPullWake.into());
    }
    match lease::claim(tx, &mut subscription, &worker)? {
        Ok(()) => {}
        Err(Unclaimed::AlreadyClaimed) => {
            // The reference sends no message here, and clients compare.
            let (holder, generation) = (subscription.wake.and_then(|w| w.holder), subscription.generation);
            let error = json!({ "code": "ALREADY_CLAIMED", "current_holder": holder, "generation": generation });
            return Ok(Response::json(StatusCode::CONFLICT, &json!({ "error": error })).into());
        }
        // Kept, since the wake that was about nothing is ended.
        Err(_) => return Ok(Refusal::from(NoPendingWork).response().into()),
    }
    tx.update_subscription(&subscription)?;
    let wake = subscription.wake.as_ref().map_or("", |w| w.id.as_str());
    let links = all_links(tx, &subscription)?;
    let claimed = Claimed {
        wake_id: wake,
        generation: subscription.generation,
        token: token::mint(tx.keys, wake, subscription.generation),
        streams: links.iter().map(Info::of).collect(),
        lease_ttl_ms: subscription.lease.as_millis(),
    };
    Ok(Response::json(StatusCode::OK, &claimed).into())
}

#[derive(Serialize)]
struct Claimed<'a> {
    wake_id: &'a str,
    generation: i64,
    token: String,
    streams: Vec<Info<'a>>,
    lease_ttl_ms: i64,
}
