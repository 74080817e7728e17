//! Leases: a wake is held, extended, ended. What is pending when one ends begins the next in the same transaction.

use super::announce::{announce, arm};
use super::compact;
use super::wake::{act, begin, consider, facts, next, state};
use crate::dispatch::journal::{self, Because, step};
use crate::dispatch::machine::{Action, Event, Facts, Refusal, State, step as decide};
use crate::dispatch::status;
use crate::entity::terminate;
use crate::store::{Kind, SqlError, SubscriptionRow, Tx};
use crate::time::Time;

/// How a wake ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The work is done.
    Done,
    /// Whoever held it let it go.
    Released,
    /// Whoever held it gave no sign of life.
    Expired,
    /// Its entity may not be woken for now.
    Parked(&'static str),
    /// What it was about is no longer dispatched so, and nothing follows.
    Over(&'static str),
}

impl Ending {
    /// Whether the machine has it end so from a state.
    fn is_possible(self, from: State) -> bool {
        let shut = Facts { admitted: false, ..Facts::OPEN };
        let gone = Facts { pending: false, ..Facts::OPEN };
        let ways: &[_] = match self {
            Self::Done => &[(Event::Done, Facts::OPEN)],
            Self::Released => &[(Event::Release, Facts::OPEN)],
            Self::Expired => &[(Event::LeaseOver, Facts::OPEN)],
            Self::Parked(_) => &[(Event::Shut, shut), (Event::Due, shut)],
            Self::Over(_) => &[(Event::Unlinked, Facts::OPEN), (Event::Claim, gone)],
        };
        ways.iter().any(|(event, facts)| decide(from, *event, *facts).1 == Action::End)
    }
}

/// Somebody asks for the wake of a subscription: leases the one in flight to them, or begins one for them. The row is the
/// caller's to write.
pub(crate) fn claim(
    tx: &Tx<'_>,
    subscription: &mut SubscriptionRow,
    holder: &str,
) -> Result<Result<(), Refusal>, SqlError> {
    let links = tx.links(subscription.id)?;
    let next = next(&links);
    let mut facts = facts(tx, subscription, next)?;
    if let Some(first) = links.first().and_then(|l| l.stream).filter(|_| next.is_none() && !subscription.plain) {
        facts.admitted = status::admits(tx, first)?;
    }
    match (decide(state(subscription), Event::Claim, facts).1, next) {
        (Action::Refuse(why), _) => return Ok(Err(why)),
        (Action::BeginClaimed, Some(next)) => {
            begin(tx, subscription, next, Because::Meanwhile("nobody had been told of it"))?;
        }
        (Action::Hold, _) => {}
        // Announced, and what it was about has gone.
        _ => {
            end(tx, subscription, Ending::Over("what it was about is gone"))?;
            return Ok(Err(Refusal::NoPendingWork));
        }
    }
    lease(tx, subscription, Some(holder))?;
    Ok(Ok(()))
}

/// The webhook of the wake in flight has taken it, or whoever was told of it gives a sign of life: its lease begins, or is
/// extended. Says whether that is so. The row is the caller's to write.
pub(crate) fn hold(tx: &Tx<'_>, subscription: &mut SubscriptionRow, event: Event) -> Result<bool, SqlError> {
    let taken = matches!(decide(state(subscription), event, Facts::OPEN).1, Action::Hold | Action::Extend);
    if taken {
        lease(tx, subscription, None)?;
    }
    Ok(taken)
}

fn lease(tx: &Tx<'_>, subscription: &mut SubscriptionRow, holder: Option<&str>) -> Result<(), SqlError> {
    let until = tx.now + subscription.lease;
    let Some(wake) = &mut subscription.wake else { return Ok(()) };
    let taken = !wake.held;
    if taken {
        wake.claimed_at = Some(tx.now);
    } else {
        wake.heartbeat_at = Some(tx.now);
    }
    wake.held = true;
    wake.due_at = None;
    wake.lease_until = Some(until);
    if let Some(holder) = holder {
        wake.holder = Some(holder.to_owned());
    }
    if taken {
        let claimed = step::claimed(tx, subscription);
        journal::note(subscription, claimed)?;
        journal::file(tx, subscription)?;
    }
    arm(tx, subscription, until)
}

/// Ends the wake in flight: its entity is free, and whatever is pending begins the next. Says whether one began. The row
/// is written.
pub(crate) fn end(tx: &Tx<'_>, subscription: &mut SubscriptionRow, how: Ending) -> Result<bool, SqlError> {
    debug_assert!(how.is_possible(state(subscription)), "{how:?}");
    let Some(wake) = subscription.wake.take() else { return Ok(false) };
    subscription.serving = 0;
    let ended = if subscription.plain { None } else { status::released(tx, wake.trigger)? };
    if let (Some(announced), Kind::Runner { runner }) = (wake.announced, &subscription.kind) {
        compact::forget(tx, runner, announced)?;
    }
    let next = next(&tx.links(subscription.id)?);
    let facts = facts(tx, subscription, next)?;
    let action = decide(state(subscription), Event::Work, facts).1;
    let (step, why) = match how {
        Ending::Done => (step::done(tx, action == Action::Begin), "it came while the wake before was worked on"),
        Ending::Released => (step::plain(tx, "released"), "the wake before was let go"),
        Ending::Expired => {
            let lease = wake.lease_until.unwrap_or(tx.now);
            (step::expired(tx, lease, wake.holder.as_deref()), "the lease of the wake before was over")
        }
        Ending::Parked(why) => (step::because(tx, "parked", why), why),
        Ending::Over(why) => (step::because(tx, "ended", why), why),
    };
    journal::note(subscription, step)?;
    if !wake.held {
        // Nobody's claim has filed the one before.
        journal::file(tx, subscription)?;
    }
    let begins = act(tx, subscription, action, next, Because::Meanwhile(why))?;
    tx.update_subscription(subscription)?;
    ended.map_or(Ok(()), |entity| terminate(tx, &entity))?;
    Ok(begins)
}

/// The subscription's timer is due: begin the wake whose turn has come, announce again, end the lease, or wait on.
pub(crate) fn due(tx: &Tx<'_>, id: i64, due_at: Time) -> Result<(), SqlError> {
    let Some(mut subscription) = tx.subscription(id)?.filter(|s| s.timer_at == Some(due_at)) else { return Ok(()) };
    subscription.timer_at = None;
    let (event, at) = match (&subscription.wake, subscription.slowed_until) {
        (Some(wake), _) if wake.held => (Event::LeaseOver, wake.lease_until),
        (Some(wake), _) => (Event::Due, wake.due_at),
        (None, slowed) => (Event::Due, slowed.or(Some(Time::ZERO))),
    };
    if let Some(later) = at.filter(|at| *at > tx.now) {
        arm(tx, &mut subscription, later)?;
        return tx.update_subscription(&subscription);
    }
    let about = subscription.wake.as_ref().map(|w| w.trigger);
    let facts = facts(tx, &subscription, about)?;
    match decide(state(&subscription), event, facts).1 {
        Action::Announce => {
            let links = tx.links(id)?;
            announce(tx, &mut subscription, &links)?;
        }
        Action::End if event == Event::LeaseOver => {
            tx.count(|c| c.leases_expired += 1);
            return end(tx, &mut subscription, Ending::Expired).map(drop);
        }
        // Its entity was paused, or has ended, since the wake began: what is pending stays so.
        Action::End => return end(tx, &mut subscription, Ending::Parked("the entity may not be woken")).map(drop),
        _ if about.is_none() => {
            let because = Because::Meanwhile("it had to wait for its turn");
            consider(tx, &mut subscription, Event::Due, because)?;
        }
        _ => {}
    }
    tx.update_subscription(&subscription)
}

/// The entity of a stream may not be woken for now: wakes that nobody holds end, and what is pending stays so.
pub(crate) fn shut(tx: &Tx<'_>, stream: i64, why: &'static str) -> Result<(), SqlError> {
    for mut subscription in tx.dispatches_of(stream)? {
        let about = subscription.wake.as_ref().is_some_and(|w| w.trigger == stream);
        let facts = facts(tx, &subscription, Some(stream))?;
        if about && decide(state(&subscription), Event::Shut, facts).1 == Action::End {
            end(tx, &mut subscription, Ending::Parked(why))?;
        }
    }
    Ok(())
}

/// An entity is no longer dispatched by a subscription: what was in flight for it ends, and what was given up is
/// forgotten. The row is written.
pub(crate) fn unlinked(tx: &Tx<'_>, stream: i64, subscription: &mut SubscriptionRow) -> Result<(), SqlError> {
    let about = subscription.wake.as_ref().is_some_and(|w| w.trigger == stream || w.claimed == Some(stream));
    if about {
        end(tx, subscription, Ending::Over("the entity is no longer dispatched this way"))?;
    }
    if subscription.dead {
        subscription.dead = false;
        tx.delete_dead_letter(subscription.id)?;
    }
    if tx.links_held(subscription.id)? == 0 {
        subscription.slowed_until = None;
        journal::file_all(tx, subscription)?;
        tx.update_subscription(subscription)?;
    }
    Ok(())
}

/// What is in flight for a subscription has lost its timer: it is due now. The row is written.
pub(crate) fn wind(tx: &Tx<'_>, subscription: &mut SubscriptionRow) -> Result<(), SqlError> {
    subscription.timer_at = None;
    arm(tx, subscription, tx.now)?;
    tx.update_subscription(subscription)
}

/// The subscription's timer failed too often and is gone. A wake that nobody holds, or no longer, goes with it, so that
/// whatever moves next begins another.
pub(crate) fn buried(tx: &Tx<'_>, id: i64, reason: &str) -> Result<(), SqlError> {
    let Some(mut subscription) = tx.subscription(id)? else { return Ok(()) };
    subscription.timer_at = None;
    subscription.error = Some(reason.to_owned());
    let mut ended = None;
    let lease = subscription.wake.as_ref().filter(|w| w.held).and_then(|w| w.lease_until);
    match lease.filter(|until| *until > tx.now) {
        Some(until) => arm(tx, &mut subscription, until)?,
        None => {
            let why = format!("its timer failed too often: {reason}");
            journal::note(&mut subscription, step::because(tx, "ended", &why))?;
            let wake = subscription.wake.take().filter(|_| !subscription.plain);
            ended = wake.map(|wake| status::released(tx, wake.trigger)).transpose()?.flatten();
        }
    }
    tx.update_subscription(&subscription)?;
    ended.map_or(Ok(()), |entity| terminate(tx, &entity))
}

/// The subscription's timer row was moved behind its back.
pub(crate) fn rearmed(tx: &Tx<'_>, id: i64, at: Time) -> Result<(), SqlError> {
    if let Some(mut subscription) = tx.subscription(id)? {
        subscription.timer_at = Some(at);
        tx.update_subscription(&subscription)?;
    }
    Ok(())
}
