//! Delayed sends: a message that arrives when its timer is due.

use super::{Read, SqlError, Tx};

/// A message on its way.
#[derive(Clone, Debug)]
pub(crate) struct DelayedSend {
    pub(crate) entity: i64,
    /// The message as JSON.
    pub(crate) message: String,
}

impl Read<'_> {
    pub(crate) fn delayed_send(&self, id: i64) -> Result<Option<DelayedSend>, SqlError> {
        self.one("SELECT entity, message FROM delayed_send WHERE id = ?1", &[id.into()], |row| {
            Ok(DelayedSend { entity: row.int(0)?, message: row.text(1)?.to_owned() })
        })
    }
}

impl Tx<'_> {
    pub(crate) fn insert_delayed_send(&self, entity: i64, message: &str) -> Result<i64, SqlError> {
        let id = self.next_id();
        self.write(
            "INSERT INTO delayed_send (id, entity, message) VALUES (?1, ?2, ?3)",
            &[id.into(), entity.into(), message.into()],
        )?;
        Ok(id)
    }

    pub(crate) fn delete_delayed_send(&self, id: i64) -> Result<(), SqlError> {
        self.write("DELETE FROM delayed_send WHERE id = ?1", &[id.into()])
    }
}
