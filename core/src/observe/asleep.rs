//! Membership streams that nobody looks at fall asleep: nothing that changes is written to them, nor costs anything. Who
//! asks for one, reads it or observes it wakes it, and it is told what has changed since, a chunk at a time, as a new
//! one is filled (wake specification, section 7.1).

use super::members::fill;
use super::pg_sync;
use crate::http::{Error, failure};
use crate::limits::{MEMBERSHIP_IDLE, MEMBERSHIPS, MEMBERSHIPS_ASLEEP};
use crate::store::{MembershipRow, Read, SqlError, StreamRow, TimerKind, Tx};
use crate::stream;
use crate::time::{Span, Time};

failure! {
    /// As many are awake as may be.
    TooMany => CONFLICT "LIMIT_EXCEEDED", "{MEMBERSHIPS} membership streams are in use already"
}

/// Refuses another one that is awake when there are as many as may be.
pub(super) fn admit(tx: &Tx<'_>) -> Result<(), Error> {
    if tx.memberships_awake()? < MEMBERSHIPS { Ok(()) } else { Err(TooMany.into()) }
}

/// Whether a read of a stream at this moment is to be remembered: it is a membership's, and sleeps, or would too early.
pub(crate) fn wants_look(read: &Read<'_>, stream: &StreamRow) -> Result<bool, SqlError> {
    let Some(reference) = reference_of(&stream.path) else { return Ok(false) };
    Ok(read.membership(reference)?.is_some_and(|membership| membership.wants_look(read.now)))
}

/// Somebody has read a stream. While as many are awake as may be, one that sleeps says what it said last.
pub(crate) fn is_read(tx: &Tx<'_>, stream: &StreamRow) -> Result<(), Error> {
    match reference_of(&stream.path).map(|reference| tx.membership(reference)).transpose()?.flatten() {
        Some(membership) => is_asked_for(tx, membership),
        None => Ok(()),
    }
}

/// Somebody asks for a stream that there is: it begins at once to be told what it has missed.
pub(super) fn is_asked_for(tx: &Tx<'_>, membership: MembershipRow) -> Result<(), Error> {
    let id = membership.id;
    if look(tx, membership)? { Ok(fill(tx, id)?) } else { Ok(()) }
}

/// A wake was registered on a source, or a subscription follows it: a shape that rests goes on, too. What a stream has missed comes after whatever else
/// this command writes: perhaps it wakes who observes it.
pub(crate) fn is_observed(tx: &Tx<'_>, source: &str) -> Result<(), Error> {
    pg_sync::is_observed(tx, source)?;
    let Some(membership) = reference_of(source).map(|r| tx.membership(r)).transpose()?.flatten() else { return Ok(()) };
    let id = membership.id;
    if look(tx, membership)? { Ok(tx.arm(tx.now, TimerKind::Members, id)?) } else { Ok(()) }
}

/// A stream may have been idle for long enough. One that is observed is not, and gets its whole time once more when
/// that has ended.
pub(crate) fn due(tx: &Tx<'_>, id: i64) -> Result<(), SqlError> {
    let Some(membership) = tx.membership_by_id(id)?.filter(|m| !m.asleep) else { return Ok(()) };
    if membership.until > tx.now {
        return tx.arm(membership.until, TimerKind::Idle, id);
    }
    if tx.is_source(&format!("{ROOT}{}", membership.reference))? || tx.is_asked_for(id)? {
        tx.keep_membership(id, tx.now + MEMBERSHIP_IDLE + MEMBERSHIP_IDLE)?;
        return tx.arm(tx.now + MEMBERSHIP_IDLE, TimerKind::Idle, id);
    }
    tx.turn_membership(id, true, tx.now)?;
    forget(tx)
}

/// Somebody looks at a stream. Says whether that woke it.
fn look(tx: &Tx<'_>, membership: MembershipRow) -> Result<bool, Error> {
    let until = tx.now + MEMBERSHIP_IDLE + SLACK;
    if membership.asleep {
        admit(tx)?;
        tx.turn_membership(membership.id, false, until)?;
        tx.arm(until, TimerKind::Idle, membership.id)?;
    } else if membership.wants_look(tx.now) {
        tx.keep_membership(membership.id, until)?;
    }
    Ok(membership.asleep)
}

/// Past their limit, the one that has slept longest goes with its stream; it may be asked for anew.
fn forget(tx: &Tx<'_>) -> Result<(), SqlError> {
    if tx.memberships_asleep()? <= MEMBERSHIPS_ASLEEP {
        return Ok(());
    }
    let Some(id) = tx.longest_asleep()? else { return Ok(()) };
    tx.delete_membership(id)?;
    tx.stream_by_id(id)?.map_or(Ok(()), |stream| stream::remove(tx, stream))
}

impl MembershipRow {
    fn wants_look(&self, now: Time) -> bool {
        self.asleep || now + MEMBERSHIP_IDLE > self.until
    }
}

/// The reference of a membership in the path of its stream.
fn reference_of(path: &str) -> Option<&str> {
    path.strip_prefix(ROOT)
}

const ROOT: &str = "/_entities/";

/// By how much a look moves the end of a stream's time further than it must, so that later ones cost nothing.
const SLACK: Span = Span::secs(60);
