//! How claims move an entity's status, and whether its status lets it be dispatched.

use crate::entity::Change;
use crate::store::{EntityRow, SqlError, SubscriptionRow, Tx};

/// Whether the entity of a main stream may be woken; streams without entity always may. The one admission of both
/// transports.
pub(crate) fn admits(tx: &Tx<'_>, stream: i64) -> Result<bool, SqlError> {
    Ok(tx.entity_by_id(stream)?.is_none_or(|e| e.admits()))
}

/// Whether somebody holds the claim of an entity.
pub(crate) fn is_claimed(tx: &Tx<'_>, stream: i64) -> Result<bool, SqlError> {
    let holds = |s: SubscriptionRow| s.wake.is_some_and(|w| w.held && w.trigger == stream);
    Ok(tx.dispatches_of(stream)?.into_iter().any(holds))
}

/// Somebody runs the entity now.
pub(crate) fn claimed(tx: &Tx<'_>, stream: i64) -> Result<(), SqlError> {
    change(tx, stream, Change::Claimed).map(drop)
}

/// Nobody runs the entity any more. Gives it back when that is its end: once whoever asks has written what they have to,
/// it is theirs to `terminate`.
#[must_use = "an entity at its end has to be terminated"]
pub(crate) fn released(tx: &Tx<'_>, stream: i64) -> Result<Option<EntityRow>, SqlError> {
    change(tx, stream, Change::Released)
}

fn change(tx: &Tx<'_>, stream: i64, change: Change) -> Result<Option<EntityRow>, SqlError> {
    let Some(mut entity) = tx.entity_by_id(stream)? else { return Ok(None) };
    let next = entity.status.after(change);
    if next == entity.status {
        return Ok(None);
    }
    entity.status = next;
    entity.updated_at = tx.now;
    tx.update_entity(&entity)?;
    Ok(Some(entity).filter(|_| next.is_terminal()))
}
