//! Subscriptions for a while: when one is over, its registration goes, and the row of the manifest that stands for it.

use crate::entity::manifest_row;
use crate::http::Error;
use crate::store::{TimerKind, Tx};
use crate::tenant::Principal;
use crate::time::Time;

/// Arms the end of a registration that was just made, if it has one.
pub(crate) fn arm(tx: &Tx<'_>, registration: i64, until: Option<Time>) -> Result<(), crate::store::SqlError> {
    until.map_or(Ok(()), |until| tx.arm(until, TimerKind::Lapse, registration))
}

/// A registration may be over. One that was made anew meanwhile has another id, and a timer of its own.
pub(crate) fn due(tx: &Tx<'_>, registration: i64) -> Result<(), Error> {
    let Some((subscriber, key)) = tx.lapsed(registration, tx.now)? else { return Ok(()) };
    tx.delete_registration(registration)?;
    let Some(entity) = tx.entity_by_id(subscriber)?.filter(|entity| entity.status.accepts_writes()) else {
        return Ok(());
    };
    let Some(creator) = Principal::parse(&entity.created_by) else { return Ok(()) };
    manifest_row::write_row(tx, &creator, &entity, &key, "delete", None).map(|_txid| ())
}
