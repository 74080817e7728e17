//! How claims move an entity's status, and whether its status lets it be dispatched.

use crate::entity::{Change, terminate};
use crate::store::{SqlError, Tx};

/// Whether the entity of a main stream may be woken; streams without entity always may.
pub(crate) fn admits(tx: &Tx<'_>, stream: i64) -> Result<bool, SqlError> {
    Ok(tx.entity_by_id(stream)?.is_none_or(|e| e.status.dispatches()))
}

/// Somebody runs the entity now.
pub(crate) fn claimed(tx: &Tx<'_>, stream: i64) -> Result<(), SqlError> {
    change(tx, stream, Change::Claimed)
}

/// Nobody runs the entity any more.
pub(crate) fn released(tx: &Tx<'_>, stream: i64) -> Result<(), SqlError> {
    change(tx, stream, Change::Released)
}

fn change(tx: &Tx<'_>, stream: i64, change: Change) -> Result<(), SqlError> {
    let Some(mut entity) = tx.entity_by_id(stream)? else { return Ok(()) };
    let next = entity.status.after(change);
    if next == entity.status {
        return Ok(());
    }
    entity.status = next;
    entity.updated_at = tx.now;
    tx.update_entity(&entity)?;
    if next.is_terminal() {
        terminate(tx, &entity)?;
    }
    Ok(())
}
