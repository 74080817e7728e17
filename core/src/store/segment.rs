//! Segments: cold entries, many in one row, their bytes end to end as they are read.
//!
//! Each has a list of its entries' places, so that a read may begin and a fork end between any two of them.

use super::{Read, SqlError, Tx};
use crate::stream::Offset;

/// Where the entries of a segment lie in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places<'a> {
    /// Where the entry before the first ends.
    pub(crate) start: Offset,
    /// Two varints an entry: how far it moved the tail, and how many bytes it is.
    pub(crate) bytes: &'a [u8],
    /// Whether a comma stands between two.
    pub(crate) json: bool,
}

/// Consecutive entries of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// Where the last of them ends in the stream.
    pub(crate) end: Offset,
}

impl Places<'_> {
    /// The entries after `after` that end at `upto` or before, up to that with which `budget` bytes are reached.
    pub(crate) fn range(&self, after: Offset, upto: Offset, budget: usize) -> Option<Range> {
        let mut range: Option<Range> = None;
        for next in self.each(after, upto) {
            let range = range.get_or_insert(Range { to: next.from, ..next });
            (range.to, range.end) = (next.to, next.end);
            if range.to - range.from >= budget {
                break;
            }
        }
        range
    }

    /// The same entries, each by itself.
    pub(crate) fn each(&self, after: Offset, upto: Offset) -> impl Iterator<Item = Range> {
        let (mut rest, mut end, mut byte) = (self.bytes, self.start, 0usize);
        let comma = usize::from(self.json);
        let all = std::iter::from_fn(move || {
            let (step, length) = (varint(&mut rest)?, varint(&mut rest)?);
            end = end.after(step);
            let range = Range { from: byte, to: byte.saturating_add(length), end };
            byte = range.to.saturating_add(comma);
            Some(range)
        });
        all.take_while(move |range| range.end <= upto).filter(move |range| range.end > after)
    }
}

/// A segment in the making.
#[derive(Debug, Default)]
pub(crate) struct Segment {
    places: Vec<u8>,
    data: Vec<u8>,
    count: usize,
}

impl Segment {
    /// Adds the next entry, which moved the tail by `step`.
    pub(crate) fn push(&mut self, step: usize, entry: &[u8], json: bool) {
        if json && self.count > 0 {
            self.data.push(b',');
        }
        put_varint(&mut self.places, step);
        put_varint(&mut self.places, entry.len());
        self.data.extend_from_slice(entry);
        self.count += 1;
    }

    #[cfg(all(test, not(target_arch = "wasm32")))]
    pub(crate) fn parts(&self) -> (&[u8], &[u8]) {
        (&self.places, &self.data)
    }
}

fn put_varint(out: &mut Vec<u8>, mut n: usize) {
    while n >= 0x80 {
        out.push((n as u8 & 0x7f) | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn varint(bytes: &mut &[u8]) -> Option<usize> {
    let mut n = 0usize;
    for shift in (0..usize::BITS).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        n |= usize::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(n);
        }
    }
    None
}

impl Read<'_> {
    /// Where the first segment that ends after an offset begins and ends.
    pub(crate) fn segment_after(&self, stream: i64, after: Offset) -> Result<Option<(Offset, Offset)>, SqlError> {
        self.one(
            "SELECT start, end FROM segment WHERE stream = ?1 AND end > ?2 ORDER BY end LIMIT 1",
            &[stream.into(), after.into()],
            |row| Ok((Offset::at(row.int(0)?), Offset::at(row.int(1)?))),
        )
    }
}

impl Tx<'_> {
    /// Writes a segment of the entries between two offsets.
    pub(crate) fn insert_segment(
        &self,
        stream: i64,
        start: Offset,
        end: Offset,
        segment: &Segment,
    ) -> Result<(), SqlError> {
        self.write(
            "INSERT INTO segment (stream, end, start, places, data) VALUES (?1, ?2, ?3, ?4, ?5)",
            &[
                stream.into(),
                end.into(),
                start.into(),
                segment.places.as_slice().into(),
                segment.data.as_slice().into(),
            ],
        )
    }

    /// Deletes the oldest segments of a stream, at most so many.
    pub(crate) fn delete_segments(&self, stream: i64, most: i64) -> Result<(), SqlError> {
        self.write(
            "DELETE FROM segment WHERE stream = ?1 AND end <= \
             COALESCE((SELECT end FROM segment WHERE stream = ?1 ORDER BY end LIMIT 1 OFFSET ?2), 9007199254740991)",
            &[stream.into(), (most - 1).into()],
        )
    }
}
