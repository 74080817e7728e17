//! Which entities a shared state belongs to.

use super::entity::select;
use super::{EntityRow, Read, SqlError, Tx};

impl Read<'_> {
    /// The entities that a shared state belongs to, at most so many; those that `by` (a principal URL) created come first.
    pub(crate) fn owners_of_state(&self, state: &str, by: &str, limit: usize) -> Result<Vec<EntityRow>, SqlError> {
        self.all(
            select!("WHERE e.id IN (SELECT w.entity FROM shared_state w WHERE w.state = ?1) ORDER BY e.created_by = ?2 DESC, e.id LIMIT ?3"),
            &[state.into(), by.into(), i64::try_from(limit).unwrap_or(i64::MAX).into()],
            EntityRow::from,
        )
    }

    /// The state that a row of an entity's manifest stands for.
    pub(crate) fn state_under(&self, entity: i64, key: &str) -> Result<Option<String>, SqlError> {
        let sql = "SELECT state FROM shared_state WHERE entity = ?1 AND key = ?2";
        self.one(sql, &[entity.into(), key.into()], |row| Ok(row.text(0)?.to_owned()))
    }

    /// The states of an entity.
    pub(crate) fn states_of(&self, entity: i64) -> Result<Vec<String>, SqlError> {
        let sql = "SELECT DISTINCT state FROM shared_state WHERE entity = ?1 ORDER BY state";
        self.all(sql, &[entity.into()], |row| Ok(row.text(0)?.to_owned()))
    }
}

impl Tx<'_> {
    /// A row of an entity's manifest stands for a state.
    pub(crate) fn write_state(&self, entity: i64, key: &str, state: &str) -> Result<(), SqlError> {
        self.write(
            "INSERT INTO shared_state (entity, key, state) VALUES (?1, ?2, ?3) ON CONFLICT (entity, key) DO UPDATE SET state = ?3",
            &[entity.into(), key.into(), state.into()],
        )
    }

    pub(crate) fn delete_state(&self, entity: i64, key: &str) -> Result<(), SqlError> {
        self.write("DELETE FROM shared_state WHERE entity = ?1 AND key = ?2", &[entity.into(), key.into()])
    }
}
