//! Linking: an entity's main stream follows its policy through exactly one subscription.

use super::policy::{Policy, Target, link_id, subscription_id};
use crate::egress;
use crate::http::{Error, failure};
use crate::limits::LEASE;
use crate::store::{EntityRow, Kind, Reasons, SqlError, TimerKind, Tx};
use crate::stream::Offset;
use crate::subscription;
use crate::tenant::Principal;

failure! {
    /// A policy names a runner that is not registered.
    RunnerNotFound { id: String } => NOT_FOUND "NOT_FOUND", "Runner \"{id}\" not found"
}

failure! {
    /// A policy names somebody else's runner.
    NotTheRunnersOwner => FORBIDDEN "UNAUTHORIZED", "Runner dispatch requires the authenticated owner"
}

/// Refuses a policy that `by` may not use: a webhook where the server may not call, and a runner of another's.
pub(crate) fn check(tx: &Tx<'_>, by: &Principal, policy: &Policy) -> Result<(), Error> {
    match &policy.target {
        Target::Webhook(url) => Ok(egress::judge(&tx.config.egress, url)?),
        Target::Runner(id) => {
            let runner = tx.runner(id)?.ok_or_else(|| RunnerNotFound { id: id.clone() })?;
            if runner.owner == by.url() { Ok(()) } else { Err(NotTheRunnersOwner.into()) }
        }
    }
}

/// Links an entity's main stream to the subscription that its policy stands for, from the stream's tail on. Linking
/// again changes nothing.
pub(crate) fn link(tx: &Tx<'_>, entity: &EntityRow) -> Result<(), SqlError> {
    let Some(policy) = policy_of(entity)? else { return Ok(()) };
    if !tx.dispatches_of(entity.id)?.is_empty() {
        return Ok(());
    }
    let Some(stream) = tx.stream_by_id(entity.id)? else { return Ok(()) };
    link_from(tx, entity, &policy, Some(stream.tail))
}

/// Links an entity anew, from the start of its stream on: how far it had come is not known, and to wake it once too often
/// loses nothing.
pub(crate) fn relink(tx: &Tx<'_>, entity: &EntityRow) -> Result<(), SqlError> {
    let Some(policy) = policy_of(entity)? else { return Ok(()) };
    link_from(tx, entity, &policy, None)?;
    subscription::resume(tx, entity.id, "a check linked the entity anew")
}

fn link_from(tx: &Tx<'_>, entity: &EntityRow, policy: &Policy, from: Option<Offset>) -> Result<(), SqlError> {
    let kind = match policy.target {
        Target::Webhook(ref url) => Kind::Webhook { url: url.clone() },
        Target::Runner(ref runner) => Kind::Runner { runner: runner.clone() },
    };
    let existing = match tx.dispatch_by_name(&subscription_id(policy, &entity.url))? {
        Some(shared) => Some(shared),
        None => tx.dispatch_by_name(&link_id(policy, &entity.url))?,
    };
    // One that leads elsewhere than its name says was written by hand.
    let existing = match existing {
        Some(astray) if astray.kind != kind && tx.links_held(astray.id)? == 0 => {
            if let Some(armed) = astray.timer_at {
                tx.disarm(armed, TimerKind::Subscription, astray.id)?;
            }
            tx.delete_subscription(astray.id)?;
            None
        }
        existing => existing,
    };
    let subscription = match existing {
        Some(existing) => existing,
        None => tx.insert_subscription(false, &link_id(policy, &entity.url), kind, LEASE)?,
    };
    tx.insert_link(entity.id, subscription.id, from, Reasons::EXPLICIT)
}

/// Takes an entity's links away and ends what was in flight for it.
pub(crate) fn unlink(tx: &Tx<'_>, entity: &EntityRow) -> Result<(), SqlError> {
    for mut subscription in tx.dispatches_of(entity.id)? {
        tx.delete_link(entity.id, subscription.id)?;
        subscription::unlinked(tx, entity.id, &mut subscription)?;
    }
    Ok(())
}

/// The stored policy of an entity.
pub(crate) fn policy_of(entity: &EntityRow) -> Result<Option<Policy>, SqlError> {
    let Some(text) = &entity.policy else { return Ok(None) };
    let damaged = || SqlError::new(format!("the stored policy of `{}` does not parse", entity.url));
    let json = serde_json::from_str(text).map_err(|_| damaged())?;
    Policy::parse(&json).map(Some).map_err(|_| damaged())
}
