//! Leases: a wake is held, extended, ended. What is pending when one ends begins the next in the same transaction.

use super::announce::{announce, arm};
use super::compact;
use super::wake::{begin, primary};
use crate::dispatch::status;
use crate::store::{Kind, SqlError, SubscriptionRow, Tx};
use crate::time::Time;

/// The wake in flight is taken, or kept, by `holder`. The row is the caller's to write.
pub(crate) fn hold(tx: &Tx<'_>, subscription: &mut SubscriptionRow, holder: Option<&str>) -> Result<(), SqlError> {
    let until = tx.now + subscription.lease;
    let Some(wake) = &mut subscription.wake else { return Ok(()) };
    if wake.held {
        wake.heartbeat_at = Some(tx.now);
    } else {
        wake.claimed_at = Some(tx.now);
    }
    wake.held = true;
    wake.due_at = None;
    wake.lease_until = Some(until);
    if let Some(holder) = holder {
        wake.holder = Some(holder.to_owned());
    }
    arm(tx, subscription, until)
}

/// Ends the wake in flight: its entity is free, and whatever is pending begins the next. Says whether one began.
pub(crate) fn end(tx: &Tx<'_>, subscription: &mut SubscriptionRow) -> Result<bool, SqlError> {
    let Some(wake) = subscription.wake.take() else { return Ok(false) };
    subscription.serving = 0;
    if !subscription.plain {
        status::released(tx, wake.trigger)?;
    }
    if let (Some(announced), Kind::Runner { runner }) = (wake.announced, &subscription.kind) {
        compact::forget(tx, runner, announced)?;
    }
    let links = tx.links(subscription.id)?;
    let Some(next) = primary(&links).filter(|l| l.is_pending()).and_then(|l| l.stream) else {
        subscription.depth = 0;
        tx.update_subscription(subscription)?;
        return Ok(false);
    };
    let begins = subscription.plain || status::admits(tx, next)?;
    if begins {
        begin(tx, subscription, next)?;
    }
    tx.update_subscription(subscription)?;
    Ok(begins)
}

/// The subscription's timer is due: announce again, end the lease, or wait on.
pub(crate) fn due(tx: &Tx<'_>, id: i64, due_at: Time) -> Result<(), SqlError> {
    let Some(mut subscription) = tx.subscription(id)?.filter(|s| s.timer_at == Some(due_at)) else { return Ok(()) };
    subscription.timer_at = None;
    let Some(wake) = &subscription.wake else { return tx.update_subscription(&subscription) };
    match (wake.lease_until.filter(|_| wake.held), wake.due_at) {
        (Some(until), _) if until <= tx.now => {
            tx.count(|c| c.leases_expired += 1);
            end(tx, &mut subscription)?;
            return Ok(());
        }
        (Some(until), _) => arm(tx, &mut subscription, until)?,
        (None, Some(again)) if again > tx.now => arm(tx, &mut subscription, again)?,
        // Its entity was paused, or has ended, since the wake began: what is pending stays so.
        (None, _) if !subscription.plain && !status::admits(tx, wake.trigger)? => {
            end(tx, &mut subscription)?;
            return Ok(());
        }
        (None, _) => {
            let links = tx.links(id)?;
            announce(tx, &mut subscription, &links)?;
        }
    }
    tx.update_subscription(&subscription)
}

/// The entity of a stream is paused: wakes that nobody holds end, and what is pending stays so.
pub(crate) fn park(tx: &Tx<'_>, stream: i64) -> Result<(), SqlError> {
    for mut subscription in tx.dispatches_of(stream)? {
        if subscription.wake.as_ref().is_some_and(|w| !w.held && w.trigger == stream) {
            end(tx, &mut subscription)?;
        }
    }
    Ok(())
}

/// The subscription's timer failed too often and is gone. A wake that nobody holds, or no longer, goes with it, so that
/// whatever moves next begins another.
pub(crate) fn buried(tx: &Tx<'_>, id: i64, reason: &str) -> Result<(), SqlError> {
    let Some(mut subscription) = tx.subscription(id)? else { return Ok(()) };
    subscription.timer_at = None;
    subscription.error = Some(reason.to_owned());
    let lease = subscription.wake.as_ref().filter(|w| w.held).and_then(|w| w.lease_until);
    match lease.filter(|until| *until > tx.now) {
        Some(until) => arm(tx, &mut subscription, until)?,
        None => subscription.wake = None,
    }
    tx.update_subscription(&subscription)
}

/// The subscription's timer row was moved behind its back.
pub(crate) fn rearmed(tx: &Tx<'_>, id: i64, at: Time) -> Result<(), SqlError> {
    if let Some(mut subscription) = tx.subscription(id)? {
        subscription.timer_at = Some(at);
        tx.update_subscription(&subscription)?;
    }
    Ok(())
}
