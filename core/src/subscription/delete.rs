//! `DELETE /__ds/subscriptions/{id}`: forget it, its wake and its timer.

use http::StatusCode;

use super::name::{Dispatches, check_owner, id};
use crate::engine::Done;
use crate::http::{Call, Error, Response};
use crate::store::{TimerKind, Tx};

/// Deletes the subscription that the path names: 204, also when there is none.
pub(crate) fn delete(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let tx = call.store;
    let by = call.by()?;
    let id = id(call)?;
    let Some(subscription) = tx.plain_by_name(&id)? else {
        return match tx.dispatch_by_name(&id)?.filter(|_| by.is_system()) {
            Some(_) => Err(Dispatches { id }.into()),
            None => Ok(Response::empty(StatusCode::NO_CONTENT).into()),
        };
    };
    check_owner(tx, by, &subscription)?;
    if let Some(armed) = subscription.timer_at {
        tx.disarm(armed, TimerKind::Subscription, subscription.id)?;
    }
    tx.delete_links_of(subscription.id)?;
    tx.delete_asked(subscription.id)?;
    tx.delete_subscription(subscription.id)?;
    Ok(Response::empty(StatusCode::NO_CONTENT).into())
}
