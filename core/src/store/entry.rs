//! Entries: an append stored as it is read, keyed by where it ends.

use super::{Read, SqlError, Tx};
use crate::limits::PIECE;
use crate::stream::Offset;

impl Read<'_> {
    /// Where a stream ends.
    pub(crate) fn tail(&self, stream: i64) -> Result<Offset, SqlError> {
        let tail =
            self.one("SELECT end FROM entry WHERE stream = ?1 ORDER BY end DESC LIMIT 1", &[stream.into()], |row| {
                row.int(0)
            })?;
        Ok(tail.map_or(Offset::ZERO, Offset::at))
    }

    /// Visits the entries after `from` in order, each whole: where it ends, and its bytes. Stops after the entry with
    /// which `budget` bytes are reached, and says where it stopped.
    pub(crate) fn entries(
        &self,
        stream: i64,
        from: Offset,
        budget: usize,
        mut visit: impl FnMut(Offset, &[u8]),
    ) -> Result<Offset, SqlError> {
        let (mut at, mut left) = (from, budget);
        let mut emit = |end: i64, bytes: &[u8], at: &mut Offset| {
            left = left.saturating_sub(bytes.len().max(1));
            *at = Offset::at(end);
            visit(*at, bytes);
            left == 0
        };
        loop {
            let (mut open, mut rows, mut enough) = (None::<(i64, Vec<u8>)>, 0, false);
            let page = self.run(
                "SELECT end, data FROM entry WHERE stream = ?1 AND end > ?2 ORDER BY end, part LIMIT ?3",
                &[stream.into(), at.into(), PAGE.into()],
                &mut |row| {
                    rows += 1;
                    let (end, data) = (row.int(0)?, row.blob(1)?);
                    match &mut open {
                        Some((same, bytes)) if *same == end => bytes.extend_from_slice(data),
                        _ => {
                            if let Some((end, bytes)) = open.replace((end, data.to_vec())) {
                                enough = emit(end, &bytes, &mut at);
                            }
                        }
                    }
                    if enough { Err(SqlError::new("enough")) } else { Ok(()) }
                },
            );
            if enough {
                return Ok(at);
            }
            page?;
            if rows < PAGE {
                if let Some((end, bytes)) = open {
                    emit(end, &bytes, &mut at);
                }
                return Ok(at);
            }
            // The last entry of a full page may be cut: the next page begins with it.
        }
    }
}

impl Tx<'_> {
    /// Writes an entry that ends at `end`.
    pub(crate) fn insert_entry(&self, stream: i64, end: Offset, messages: usize, data: &[u8]) -> Result<(), SqlError> {
        for (part, piece) in data.chunks(PIECE).enumerate() {
            let part = i64::try_from(part).unwrap_or(i64::MAX);
            let messages = if part == 0 { i64::try_from(messages).unwrap_or(i64::MAX) } else { 0 };
            self.write(
                "INSERT INTO entry (stream, end, part, messages, data) VALUES (?1, ?2, ?3, ?4, ?5)",
                &[stream.into(), end.into(), part.into(), messages.into(), piece.into()],
            )?;
        }
        Ok(())
    }
}

/// How many rows one statement of a read asks for: more than one entry can have parts.
const PAGE: i64 = 1024;
