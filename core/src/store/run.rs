//! Unfinished runs: where each began.

use super::{Read, SqlError, Tx};
use crate::stream::Offset;

impl Read<'_> {
    pub(crate) fn run_start(&self, stream: i64, key: &str) -> Result<Option<Offset>, SqlError> {
        let start =
            self.one("SELECT start FROM run WHERE stream = ?1 AND key = ?2", &[stream.into(), key.into()], |row| {
                row.int(0)
            })?;
        Ok(start.map(Offset::at))
    }
}

impl Tx<'_> {
    /// Forgets the runs of a stream that is gone.
    pub(crate) fn delete_runs(&self, stream: i64) -> Result<(), SqlError> {
        self.write("DELETE FROM run WHERE stream = ?1", &[stream.into()])
    }

    pub(crate) fn begin_run(&self, stream: i64, key: &str, start: Offset) -> Result<(), SqlError> {
        self.write(
            "INSERT INTO run (stream, key, start) VALUES (?1, ?2, ?3) ON CONFLICT (stream, key) DO NOTHING",
            &[stream.into(), key.into(), start.into()],
        )
    }

    pub(crate) fn end_run(&self, stream: i64, key: &str) -> Result<(), SqlError> {
        self.write("DELETE FROM run WHERE stream = ?1 AND key = ?2", &[stream.into(), key.into()])
    }
}
