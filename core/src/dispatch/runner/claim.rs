//! `POST /_electric/runners/{id}/claim`: a runner takes a wake that was announced to it.

use http::StatusCode;
use serde_json::json;

use super::UnknownRunner;
use crate::dispatch::lock::ForkInProgress;
use crate::dispatch::machine::Refusal as Unclaimed;
use crate::dispatch::{enrich, status};
use crate::engine::Done;
use crate::http::{Body, Call, Error, Refusal, Response, failure};
use crate::store::{Kind, SubscriptionRow, Tx};
use crate::subscription::{self, primary};

failure! {
    /// The caller does not own the runner.
    NotTheOwner => FORBIDDEN "UNAUTHORIZED", "Runner claim requires the authenticated owner"
}

failure! {
    /// The runner was disabled.
    RunnerIsDisabled => CONFLICT "NOT_RUNNING", "Runner is disabled"
}

failure! {
    /// The event is about another runner's subscription.
    ForeignSubscription => BAD_REQUEST "INVALID_REQUEST", "Wake event subscription_id does not match runner"
}

failure! {
    /// There is nothing to do.
    NoPendingWork => CONFLICT "NO_PENDING_WORK", "nothing is pending for this subscription"
}

failure! {
    /// Somebody works on it.
    AlreadyClaimed { holder: String } => CONFLICT "ALREADY_CLAIMED", "the wake is claimed by `{holder}`"
}

/// Claims the wake in flight of the subscription that the event names: 200 with all that the agent needs.
pub(crate) fn claim(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let tx = call.store;
    let by = call.by()?;
    let body = Body::of(call.request)?;
    let id = call.decoded("id")?;
    let name = body.text("subscription_id").unwrap_or_else(|| format!("runner:{id}"));
    body.check()?;
    let runner = tx.runner(&id)?.ok_or(UnknownRunner)?;
    if runner.owner != by.url() {
        return Err(NotTheOwner.into());
    }
    if !runner.enabled {
        return Err(RunnerIsDisabled.into());
    }
    let Some(mut subscription) = tx.dispatch_by_name(&name)? else {
        let ours = name == format!("runner:{id}") || name.starts_with(&format!("runner:{id}:"));
        return if ours { Ok(Done::nothing()) } else { Err(ForeignSubscription.into()) };
    };
    if subscription.kind != (Kind::Runner { runner: id.clone() }) {
        return Err(ForeignSubscription.into());
    }
    match subscription::take(tx, &mut subscription, &id)? {
        Ok(()) => {}
        Err(Unclaimed::NotAdmitted) => return not_admitted(tx, &subscription),
        Err(Unclaimed::AlreadyClaimed) => {
            let holder = subscription.wake.and_then(|w| w.holder).unwrap_or_default();
            return Err(AlreadyClaimed { holder }.into());
        }
        // Kept, since the wake that was about nothing is ended.
        Err(_) => return Ok(Refusal::from(NoPendingWork).response().into()),
    }
    tx.update_subscription(&subscription)?;
    let links = tx.links(subscription.id)?;
    let notification = enrich::claim(tx, &subscription, &links)?;
    if let Some(wake) = &subscription.wake {
        status::claimed(tx, wake.trigger)?;
    }
    let mut response = Response::empty(StatusCode::OK).with("content-type", "application/json; charset=utf-8");
    response.body = notification.to_string().into_bytes();
    Ok(response.into())
}

/// Paused or at its end: there is nothing to do, and nothing is acknowledged. Read by a fork: later.
fn not_admitted(tx: &Tx<'_>, subscription: &SubscriptionRow) -> Result<Done, Error> {
    let links = tx.links(subscription.id)?;
    let entity = match primary(&links).and_then(|l| l.stream) {
        Some(stream) => tx.entity_by_id(stream)?,
        None => None,
    };
    match entity {
        Some(entity) if entity.locked && entity.status.dispatches() => Err(ForkInProgress.into()),
        _ => Ok(Response::json(StatusCode::OK, &json!({ "done": true })).into()),
    }
}
