//! Locks: entities that are not dispatched while a fork reads them.

use super::{Read, SqlError, Tx};
use crate::time::Time;

impl Read<'_> {
    /// When an entity's lock ends, if it has one.
    pub(crate) fn locked_until(&self, entity: i64) -> Result<Option<Time>, SqlError> {
        let until = self.one("SELECT until FROM lock WHERE entity = ?1", &[entity.into()], |row| row.int(0))?;
        Ok(until.map(Time::from_millis))
    }
}

impl Tx<'_> {
    /// Locks an entity, or moves the end of its lock.
    pub(crate) fn insert_lock(&self, entity: i64, until: Time) -> Result<(), SqlError> {
        self.write(
            "INSERT INTO lock (entity, until) VALUES (?1, ?2) ON CONFLICT (entity) DO UPDATE SET until = ?2",
            &[entity.into(), until.into()],
        )
    }

    pub(crate) fn delete_lock(&self, entity: i64) -> Result<(), SqlError> {
        self.write("DELETE FROM lock WHERE entity = ?1", &[entity.into()])
    }
}
