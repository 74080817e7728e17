//! Locks: while a fork reads an entity, nobody is sent to work on it. What comes meanwhile waits.

use crate::entity::scheduled;
use crate::http::failure;
use crate::store::{SqlError, TimerKind, Tx};
use crate::subscription;
use crate::time::Time;

failure! {
    /// A fork reads the entity.
    ForkInProgress => CONFLICT "FORK_IN_PROGRESS", "Entity subtree is being forked"
}

/// Locks an entity until some moment, whatever becomes of who asked for it: a wake that nobody holds is withdrawn.
pub(crate) fn lock(tx: &Tx<'_>, entity: i64, until: Time) -> Result<(), SqlError> {
    tx.insert_lock(entity, until)?;
    tx.arm_once(until, TimerKind::Unlock, entity)?;
    subscription::shut(tx, entity, "a fork reads the entity")
}

/// Takes the lock away: what has come meanwhile wakes the entity.
pub(crate) fn unlock(tx: &Tx<'_>, entity: i64) -> Result<(), SqlError> {
    tx.delete_lock(entity)?;
    scheduled::unlocked(tx, entity)?;
    subscription::resume(tx, entity, "it came while a fork read the entity")
}

/// The timer of a lock is due. One that was moved has another.
pub(crate) fn expire(tx: &Tx<'_>, entity: i64) -> Result<(), SqlError> {
    match tx.locked_until(entity)? {
        Some(until) if until <= tx.now => unlock(tx, entity),
        _ => Ok(()),
    }
}
