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
    pub(crate) fn write_producer(&self, stream: i64, name: &str, accepted: Accepted) -> Result<(), SqlError> {
        self.write(
            "INSERT INTO producer (stream, name, epoch, seq) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (stream, name) DO UPDATE SET epoch = ?3, seq = ?4",
            &[stream.into(), name.into(), accepted.epoch.into(), accepted.seq.into()],
        )
    }
}
