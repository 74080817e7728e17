//! Wakes that wait for their turn.

use super::{Read, SqlError, Tx};

/// A wake row that is not yet written to its subscriber's stream.
#[derive(Clone, Debug)]
pub(crate) struct WaitingWake {
    pub(crate) subscriber: i64,
    /// The row as JSON.
    pub(crate) event: String,
    pub(crate) depth: i64,
}

impl Read<'_> {
    pub(crate) fn waiting_wake(&self, id: i64) -> Result<Option<WaitingWake>, SqlError> {
        self.one("SELECT subscriber, event, depth FROM waiting_wake WHERE id = ?1", &[id.into()], |row| {
            Ok(WaitingWake { subscriber: row.int(0)?, event: row.text(1)?.to_owned(), depth: row.int(2)? })
        })
    }
}

impl Tx<'_> {
    pub(crate) fn insert_waiting_wake(&self, subscriber: i64, event: &str, depth: i64) -> Result<i64, SqlError> {
        let id = self.next_id();
        self.write(
            "INSERT INTO waiting_wake (id, subscriber, event, depth) VALUES (?1, ?2, ?3, ?4)",
            &[id.into(), subscriber.into(), event.into(), depth.into()],
        )?;
        Ok(id)
    }

    pub(crate) fn delete_waiting_wake(&self, id: i64) -> Result<(), SqlError> {
        self.write("DELETE FROM waiting_wake WHERE id = ?1", &[id.into()])
    }
}
