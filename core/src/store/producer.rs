//! Idempotent producers: the last epoch and sequence accepted from each, a stream.

use super::{Read, SqlError, Tx};
use crate::stream::producer::Accepted;

impl Read<'_> {
    pub(crate) fn producer(&self, stream: i64, name: &str) -> Result<Option<Accepted>, SqlError> {
        self.one(
            "SELECT epoch, seq FROM producer WHERE stream = ?1 AND name = ?2",
            &[stream.into(), name.into()],
            |row| Ok(Accepted { epoch: row.int(0)?, seq: row.int(1)? }),
        )
    }
}

impl Tx<'_> {
    /// Forgets at most about `most` producers of a stream that is gone; false when there are more.
    pub(crate) fn delete_producers(&self, stream: i64, most: i64) -> Result<bool, SqlError> {
        let last = "SELECT name FROM producer WHERE stream = ?1 ORDER BY name LIMIT 1 OFFSET ?2";
        let last = self.one(last, &[stream.into(), most.into()], |row| Ok(row.text(0)?.to_owned()))?;
        match &last {
            Some(last) => self
                .write("DELETE FROM producer WHERE stream = ?1 AND name <= ?2", &[stream.into(), last.into()])
                .map(|()| false),
            None => self.write("DELETE FROM producer WHERE stream = ?1", &[stream.into()]).map(|()| true),
        }
    }

    pub(crate) fn write_producer(&self, stream: i64, name: &str, accepted: Accepted) -> Result<(), SqlError> {
        self.write(
            "INSERT INTO producer (stream, name, epoch, seq) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (stream, name) DO UPDATE SET epoch = ?3, seq = ?4",
            &[stream.into(), name.into(), accepted.epoch.into(), accepted.seq.into()],
        )
    }
}
