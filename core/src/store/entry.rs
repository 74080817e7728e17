//! Entries: an append stored as it is read, keyed by where it ends. Cold ones lie many in a row, in segments; a fork's
//! begin with those of its source. Who reads sees one sequence.

use super::segment::{Places, Range};
use super::{Read, SqlError, StreamRow, Tx};
use crate::limits::PIECE;
use crate::stream::Offset;

/// Called with entries in order: where the last of them ends, and their bytes, joined as they are read.
pub(crate) type Visit<'v> = dyn FnMut(Offset, &[u8]) + 'v;

/// A reading of entries on its way.
struct Reading<'v> {
    /// Where it stands.
    at: Offset,
    /// How many more bytes it wants; at zero it is over.
    left: usize,
    /// Whether it wants each entry by itself.
    apart: bool,
    visit: &'v mut Visit<'v>,
}

impl Reading<'_> {
    fn take(&mut self, end: Offset, bytes: &[u8]) {
        self.at = end;
        self.left = self.left.saturating_sub(bytes.len().max(1));
        (self.visit)(end, bytes);
    }
}

impl Read<'_> {
    /// Visits the entries of a stream after `from` in order, each whole; cold ones come many at a time. Stops after the
    /// entry with which `budget` bytes are reached, and says where it stopped: at the tail when there is no more.
    pub(crate) fn entries(
        &self,
        stream: &StreamRow,
        from: Offset,
        budget: usize,
        mut visit: impl FnMut(Offset, &[u8]),
    ) -> Result<Offset, SqlError> {
        self.go_through(stream, Reading { at: from, left: budget, apart: false, visit: &mut visit })
    }

    /// The same, each entry by itself. Of a segment all are visited.
    pub(crate) fn entries_apart(
        &self,
        stream: &StreamRow,
        from: Offset,
        budget: usize,
        mut visit: impl FnMut(Offset, &[u8]),
    ) -> Result<Offset, SqlError> {
        self.go_through(stream, Reading { at: from, left: budget, apart: true, visit: &mut visit })
    }

    fn go_through(&self, stream: &StreamRow, mut reading: Reading<'_>) -> Result<Offset, SqlError> {
        let from = reading.at;
        for (ancestor, upto) in self.lineage(stream, from)? {
            self.own_entries(&ancestor, upto, &mut reading)?;
            if reading.left == 0 {
                return Ok(reading.at);
            }
            reading.at = reading.at.max(upto);
        }
        self.own_entries(stream, Offset::END, &mut reading)?;
        Ok(if reading.left == 0 { reading.at } else { reading.at.max(stream.base) })
    }

    /// The first entry after `from`: where it ends, and its bytes.
    pub(crate) fn entry_after(&self, stream: &StreamRow, from: Offset) -> Result<Option<(Offset, Vec<u8>)>, SqlError> {
        let mut first = None;
        self.entries(stream, from, 1, |end, bytes| first = Some((end, bytes.to_vec())))?;
        Ok(first)
    }

    /// The paths of the streams that a fork inherits from.
    pub(crate) fn inherits_from(&self, stream: &StreamRow) -> Result<Vec<String>, SqlError> {
        Ok(self.lineage(stream, Offset::ZERO)?.into_iter().map(|(ancestor, _)| ancestor.path).collect())
    }

    /// The streams that a fork inherits from after `from`, oldest first, each with where that ends.
    fn lineage(&self, stream: &StreamRow, from: Offset) -> Result<Vec<(StreamRow, Offset)>, SqlError> {
        let mut lineage: Vec<(StreamRow, Offset)> = Vec::new();
        let mut youngest = stream.fork.map(|fork| (fork, stream.base));
        let mut upto = Offset::END;
        while let Some((fork, base)) = youngest {
            if from >= base {
                break;
            }
            upto = upto.min(fork.at);
            let source = self.stream_by_id(fork.source)?;
            let source = source.ok_or_else(|| SqlError::new("a fork has lost its source"))?;
            youngest = source.fork.map(|fork| (fork, source.base));
            lineage.push((source, upto));
        }
        lineage.reverse();
        Ok(lineage)
    }

    /// Goes on through the entries that a stream holds itself and that end at `upto` or before.
    fn own_entries(&self, stream: &StreamRow, upto: Offset, reading: &mut Reading<'_>) -> Result<(), SqlError> {
        while reading.left > 0 && reading.at < upto {
            let segment = if reading.at < stream.sealed { self.segment_after(stream.id, reading.at)? } else { None };
            let Some((start, end)) = segment else { return self.loose(stream.id, upto, reading) };
            let next = if reading.at < start { start } else { end }.min(upto);
            if reading.at < start {
                self.loose(stream.id, next, reading)?;
            } else {
                self.segment_entries(stream, end, upto, reading)?;
            }
            if reading.left > 0 {
                reading.at = reading.at.max(next);
            }
        }
        Ok(())
    }

    /// Goes on through the segment that ends at `end`.
    fn segment_entries(
        &self,
        stream: &StreamRow,
        end: Offset,
        upto: Offset,
        reading: &mut Reading<'_>,
    ) -> Result<(), SqlError> {
        let json = stream.is_json();
        let (at, left, apart) = (reading.at, reading.left, reading.apart);
        self.run(
            "SELECT start, places, data FROM segment WHERE stream = ?1 AND end = ?2",
            &[stream.id.into(), end.into()],
            &mut |row| {
                let (start, bytes, data) = (Offset::at(row.int(0)?), row.blob(1)?, row.blob(2)?);
                let places = Places { start, bytes, json };
                let take = |range: Range| {
                    let damaged = || SqlError::new("a segment is damaged");
                    reading.take(range.end, data.get(range.from..range.to).ok_or_else(damaged)?);
                    Ok(())
                };
                if apart {
                    return places.each(at, upto).try_for_each(take);
                }
                places.range(at, upto, left).map_or(Ok(()), take)
            },
        )
    }

    /// Goes on through entries outside of segments that end at `upto` or before.
    fn loose(&self, stream: i64, upto: Offset, reading: &mut Reading<'_>) -> Result<(), SqlError> {
        loop {
            let (mut open, mut rows, mut enough) = (None::<(Offset, Vec<u8>)>, 0, false);
            let page = self.run(
                "SELECT end, part, data FROM entry WHERE stream = ?1 AND end > ?2 AND end <= ?3 ORDER BY end, part LIMIT ?4",
                &[stream.into(), reading.at.into(), upto.into(), PAGE.into()],
                &mut |row| {
                    rows += 1;
                    let (end, part, data) = (Offset::at(row.int(0)?), row.int(1)?, row.blob(2)?);
                    if part > 0 {
                        if let Some((_, bytes)) = &mut open {
                            bytes.extend_from_slice(data);
                        }
                        return Ok(());
                    }
                    if let Some((end, bytes)) = open.take() {
                        reading.take(end, &bytes);
                    }
                    enough = reading.left == 0;
                    if enough {
                        return Err(SqlError::new("enough"));
                    }
                    // One in a single piece, as most are, is handed on without being copied.
                    if data.len() < PIECE && rows < PAGE {
                        reading.take(end, data);
                    } else {
                        open = Some((end, data.to_vec()));
                    }
                    enough = reading.left == 0;
                    if enough { Err(SqlError::new("enough")) } else { Ok(()) }
                },
            );
            if enough {
                return Ok(());
            }
            page?;
            if rows < PAGE {
                if let Some((end, bytes)) = open {
                    reading.take(end, &bytes);
                }
                return Ok(());
            }
            // The last entry of a full page may be cut: the next page begins with it.
        }
    }

    /// Entries outside of segments after `from`: where each ends, and how many bytes it is stored in. Of more than
    /// `limit` rows the rest is left, of which the last entry may be cut; that there may be more comes with them.
    pub(crate) fn entry_sizes(
        &self,
        stream: i64,
        from: Offset,
        limit: i64,
    ) -> Result<(Vec<(Offset, usize)>, bool), SqlError> {
        let (mut sizes, mut rows): (Vec<(Offset, usize)>, _) = (Vec::new(), 0);
        self.run(
            "SELECT end, length(data) FROM entry WHERE stream = ?1 AND end > ?2 ORDER BY end, part LIMIT ?3",
            &[stream.into(), from.into(), limit.into()],
            &mut |row| {
                rows += 1;
                let (end, size) = (Offset::at(row.int(0)?), usize::try_from(row.int(1)?).unwrap_or(0));
                match sizes.last_mut() {
                    Some((same, sum)) if *same == end => *sum += size,
                    _ => sizes.push((end, size)),
                }
                Ok(())
            },
        )?;
        Ok((sizes, rows >= limit))
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

    /// Deletes the entry outside of segments that ends at an offset.
    pub(crate) fn delete_entry(&self, stream: i64, end: Offset) -> Result<(), SqlError> {
        self.write("DELETE FROM entry WHERE stream = ?1 AND end = ?2", &[stream.into(), end.into()])
    }

    /// Deletes the entries outside of segments that end after `from`, and at `upto` or before.
    pub(crate) fn delete_entries(&self, stream: i64, from: Offset, upto: Offset) -> Result<(), SqlError> {
        self.write(
            "DELETE FROM entry WHERE stream = ?1 AND end > ?2 AND end <= ?3",
            &[stream.into(), from.into(), upto.into()],
        )
    }
}

/// How many rows one statement of a read asks for: more than one entry can have parts.
const PAGE: i64 = 1024;
