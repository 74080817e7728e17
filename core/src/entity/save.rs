//! The one place where an entity is written: whatever must follow a change begins here.

use crate::observe::members;
use crate::store::{EntityRow, SqlError, Tx};

/// Writes a new entity, which is announced when it is known who may read it.
pub(super) fn create(tx: &Tx<'_>, entity: &EntityRow) -> Result<(), SqlError> {
    tx.insert_entity(entity)
}

/// Announces a new entity to those who may read it.
pub(super) fn announce(tx: &Tx<'_>, entity: &EntityRow) -> Result<(), SqlError> {
    members::changed(tx, entity)
}

/// Writes what has changed of an entity.
pub(crate) fn save(tx: &Tx<'_>, entity: &EntityRow) -> Result<(), SqlError> {
    tx.update_entity(entity)?;
    members::changed(tx, entity)
}
