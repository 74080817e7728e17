//! A wake begins: a stream has moved, and nothing is in flight.

use super::announce::{announce, arm};
use crate::dispatch::journal::{self, Because};
use crate::dispatch::machine::{Action, Event, Facts, State, step as decide};
use crate::dispatch::status;
use crate::limits::{DEPTH, SNAPSHOT, SNAPSHOT_PATHS};
use crate::store::{EntityRow, Link, Seen, SqlError, StreamRow, SubscriptionRow, Tx, WakeInFlight};
use crate::stream::{Cause, Offset};
use crate::time::Time;

/// A stream has moved, up to `end`: each subscription that follows it wakes, or remembers how deep the cause was. Says
/// whether a dispatch began with it, or waits for its turn with it.
pub(crate) fn moved(
    tx: &Tx<'_>,
    stream: &StreamRow,
    entity: Option<&EntityRow>,
    cause: &Cause<'_>,
    end: Offset,
) -> Result<bool, SqlError> {
    let admitted = entity.is_none_or(EntityRow::admits);
    // What an entity writes about itself is no cause of its own next wake.
    let depth = if cause.author == Some(stream.id) { 0 } else { cause.depth };
    let mut taken = false;
    for mut subscription in tx.subscriptions_of(stream.id)? {
        let deeper = depth > subscription.depth;
        subscription.depth = subscription.depth.max(depth);
        let facts = Facts {
            pending: true,
            admitted: admitted || subscription.plain,
            in_time: turn(tx, &subscription).is_none(),
        };
        match decide(state(&subscription), Event::Work, facts).1 {
            Action::Begin => {
                begin(tx, &mut subscription, stream.id, Because::Append(cause, end))?;
                taken |= !subscription.plain;
            }
            Action::Slow if subscription.slowed_until.is_none() => {
                slow(tx, &mut subscription, stream.id, Because::Append(cause, end))?;
                taken = true;
            }
            _ if deeper => {}
            _ => continue,
        }
        tx.update_subscription(&subscription)?;
    }
    Ok(taken)
}

/// A stream may be served again: what is pending for its idle subscriptions wakes them.
pub(crate) fn resume(tx: &Tx<'_>, stream: i64, why: &'static str) -> Result<(), SqlError> {
    for mut subscription in tx.dispatches_of(stream)? {
        if matches!(state(&subscription), State::Idle | State::Pending) {
            consider(tx, &mut subscription, Event::Work, Because::Meanwhile(why))?;
            tx.update_subscription(&subscription)?;
        }
    }
    Ok(())
}

/// A dispatch that was given up is taken back. Says where it stands now.
pub(crate) fn revive(tx: &Tx<'_>, subscription: &mut SubscriptionRow, because: Because<'_>) -> Result<State, SqlError> {
    let next = next(&tx.links(subscription.id)?);
    let facts = facts(tx, subscription, next)?;
    let action = decide(state(subscription), Event::Revive, facts).1;
    // No longer dead before it is announced: should that fail, it is a failure like any other.
    subscription.dead = false;
    tx.delete_dead_letter(subscription.id)?;
    act(tx, subscription, action, next, because)?;
    tx.update_subscription(subscription)?;
    Ok(match state(subscription) {
        State::Idle if next.is_some() => State::Pending,
        state => state,
    })
}

/// Begins a wake with what is pending, if that may be now; waits for its turn, if it must. Says whether one began. The
/// row is the caller's to write.
pub(super) fn consider(
    tx: &Tx<'_>,
    subscription: &mut SubscriptionRow,
    event: Event,
    because: Because<'_>,
) -> Result<bool, SqlError> {
    let next = next(&tx.links(subscription.id)?);
    let facts = facts(tx, subscription, next)?;
    let action = decide(state(subscription), event, facts).1;
    act(tx, subscription, action, next, because)
}

/// Does what was decided about a subscription at rest for which `next` is pending. Says whether a wake began. The row is
/// the caller's to write.
pub(super) fn act(
    tx: &Tx<'_>,
    subscription: &mut SubscriptionRow,
    action: Action,
    next: Option<i64>,
    because: Because<'_>,
) -> Result<bool, SqlError> {
    match (action, next) {
        (Action::Begin, Some(next)) => begin(tx, subscription, next, because)?,
        (Action::Slow, Some(next)) => slow(tx, subscription, next, because)?,
        _ => {
            subscription.slowed_until = None;
            if next.is_none() {
                subscription.depth = 0;
            }
        }
    }
    Ok(action == Action::Begin)
}

/// What a decision about a subscription depends on, when `next` is pending for it.
pub(crate) fn facts(tx: &Tx<'_>, subscription: &SubscriptionRow, next: Option<i64>) -> Result<Facts, SqlError> {
    let admitted = match next {
        Some(stream) if !subscription.plain => status::admits(tx, stream)?,
        _ => true,
    };
    Ok(Facts { pending: next.is_some(), admitted, in_time: turn(tx, subscription).is_none() })
}

/// The stream that is pending for a subscription, the first of them.
pub(crate) fn next(links: &[Link]) -> Option<i64> {
    primary(links).filter(|l| l.is_pending()).and_then(|l| l.stream)
}

/// Where a subscription stands. What is pending for one that rests is known by its links alone.
pub(crate) fn state(subscription: &SubscriptionRow) -> State {
    match &subscription.wake {
        _ if subscription.dead => State::Dead,
        Some(wake) if wake.held => State::Claimed,
        Some(_) => State::Outstanding,
        None if subscription.slowed_until.is_some() => State::Pending,
        None => State::Idle,
    }
}

/// When the next wake may begin, if that is not now.
fn turn(tx: &Tx<'_>, subscription: &SubscriptionRow) -> Option<Time> {
    let turn = tx.config.wakes.turn(subscription.budget, subscription.depth);
    (turn > tx.now && !subscription.plain).then_some(turn)
}

/// Waits for the turn of a wake. The row is the caller's to write.
fn slow(tx: &Tx<'_>, subscription: &mut SubscriptionRow, stream: i64, because: Because<'_>) -> Result<(), SqlError> {
    let Some(until) = turn(tx, subscription) else { return Ok(()) };
    let why = if subscription.depth > DEPTH {
        journal::deep(subscription.depth)
    } else {
        format!("it wakes more often than {} times a minute", tx.config.wakes.wakes_a_minute())
    };
    if let Some(link) = tx.links(subscription.id)?.iter().find(|l| l.stream == Some(stream)) {
        journal::wait(tx, subscription, link, because, (until, &why))?;
    }
    tx.count(|c| c.wakes_slowed += 1);
    subscription.slowed_until = Some(until);
    arm(tx, subscription, until)
}

/// Begins a wake of an idle subscription because of the stream `trigger`, and announces it. The row is the caller's to
/// write.
pub(crate) fn begin(
    tx: &Tx<'_>,
    subscription: &mut SubscriptionRow,
    trigger: i64,
    because: Because<'_>,
) -> Result<(), SqlError> {
    let links = tx.links(subscription.id)?;
    subscription.generation += 1;
    subscription.slowed_until = None;
    subscription.error = None;
    subscription.serving = std::mem::take(&mut subscription.depth);
    subscription.wake = Some(WakeInFlight {
        id: id(subscription.id, &tx.draw.hex::<7>()),
        trigger,
        snapshot: Some(snapshot(&links)),
        held: false,
        holder: None,
        claimed_at: None,
        heartbeat_at: None,
        lease_until: None,
        attempt: 0,
        announced: None,
        due_at: None,
        claimed: None,
        write_hash: None,
    });
    tx.count(|c| c.dispatches += 1);
    if !subscription.plain {
        subscription.budget = tx.config.wakes.spend(subscription.budget, subscription.serving, tx.now);
        if let Some(link) = links.iter().find(|l| l.stream == Some(trigger)) {
            journal::begin(tx, subscription, link, because)?;
        }
    }
    announce(tx, subscription, &links)
}

/// What is pending, as it is stored: with paths while they are short together, else without. What does not fit even so
/// is left out, and stays pending when the wake is done.
fn snapshot(links: &[Link]) -> String {
    let pending = || links.iter().filter(|l| l.is_pending()).filter_map(|l| Some((l.stream?, l.tail.bytes(), &l.path)));
    let seen: Vec<Seen> = if pending().map(|(.., path)| path.len()).sum::<usize>() <= SNAPSHOT_PATHS {
        pending().map(|(stream, tail, path)| Seen::Named(stream, tail, path.clone())).collect()
    } else {
        pending().take(SNAPSHOT).map(|(stream, tail, _)| Seen::Bare(stream, tail)).collect()
    };
    serde_json::to_string(&seen).expect("numbers and texts serialise")
}

/// The stream that a wake is chiefly about: the first with something pending, else the first.
pub(crate) fn primary(links: &[Link]) -> Option<&Link> {
    links.iter().find(|l| l.is_pending()).or_else(|| links.first())
}

/// A wake's id: `w_` and 24 hexadecimal digits. It names its subscription, so that a callback finds it without an index.
fn id(subscription: i64, random: &str) -> String {
    format!("w_{subscription:010x}{random}")
}

/// The subscription that a wake's id names.
pub(crate) fn subscription_of(wake: &str) -> Option<i64> {
    let hex = wake.strip_prefix("w_").filter(|hex| hex.len() == 24)?;
    i64::from_str_radix(hex.get(..10)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_wakes_id_names_its_subscription() {
        assert_eq!(id(254, "0123456789abcd"), "w_00000000fe0123456789abcd");
        assert_eq!(subscription_of("w_00000000fe0123456789abcd"), Some(254));
        for bad in ["", "w_", "w_zz000000fe0123456789abcd", "x_00000000fe0123456789abcd", "w_é0000000fe0123456789abc"]
        {
            assert_eq!(subscription_of(bad), None, "{bad}");
        }
    }
}
