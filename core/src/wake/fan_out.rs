//! Fan-out: an append commits with the wakes of its first registrations, so many; the rest follow a chunk at a time, by the
//! timer, in the order of registrations, and the appends of one source in the order of the source. That a wake will happen
//! is durable with its cause; up to one chunk, so is the wake row itself.

use std::collections::BTreeMap;

use super::deliver::chunk;
use super::source::{Runs, Source};
use crate::store::{FanOut, Reached, SqlError, TimerKind, Tx};
use crate::stream::{Cause, Event, Offset, messages};

/// Leaves what was not reached for later.
pub(super) fn queue(
    tx: &Tx<'_>,
    source: &Source,
    end: Offset,
    runs: &Runs,
    cause: &Cause<'_>,
    reached: Reached,
) -> Result<(), SqlError> {
    let waits = tx.next_fan_out(&source.name)?.is_some();
    let entry = entry(tx, source.stream, end)?.filter(|entry| entry.len() <= KEPT);
    let id = tx.next_id();
    tx.insert_fan_out(&FanOut {
        id,
        source: source.name.clone(),
        stream: source.stream,
        end,
        reached,
        before: id,
        class: cause.class,
        author: cause.author,
        depth: cause.depth,
        entry,
        starts: serde_json::to_string(&runs.starts(tx, source.stream)?).expect("numbers serialise"),
    })?;
    // Another append of the source is on its way; it arms the timer of this one when it is through.
    if waits { Ok(()) } else { tx.arm(tx.now, TimerKind::FanOut, id) }
}

/// The next chunk of an append is due.
pub(crate) fn due(tx: &Tx<'_>, id: i64) -> Result<(), SqlError> {
    let Some(row) = tx.fan_out(id)? else { return Ok(()) };
    match advance(tx, &row)? {
        Some(reached) => {
            tx.advance_fan_out(id, reached)?;
            tx.arm(tx.now, TimerKind::FanOut, id)
        }
        None => {
            tx.delete_fan_out(id)?;
            match tx.next_fan_out(&row.source)? {
                Some(next) => tx.arm(tx.now, TimerKind::FanOut, next),
                None => Ok(()),
            }
        }
    }
}

/// What was appended to a stream up to an offset, while the stream is there.
fn entry(tx: &Tx<'_>, stream: i64, end: Offset) -> Result<Option<Vec<u8>>, SqlError> {
    let Some(stream) = tx.stream_by_id(stream)? else { return Ok(None) };
    Ok(tx.entry_after(&stream, Offset::at(end.bytes() - 1))?.map(|(_, bytes)| bytes))
}

/// How much is kept beside its stream.
const KEPT: usize = 256 << 10;

/// Writes the wakes of one chunk. Says how far that reached when there may be more.
fn advance(tx: &Tx<'_>, row: &FanOut) -> Result<Option<Reached>, SqlError> {
    let bytes = match &row.entry {
        Some(bytes) => bytes.clone(),
        None => entry(tx, row.stream, row.end)?.unwrap_or_default(),
    };
    let source = Source::named(tx, row.stream, &row.source)?;
    let messages = messages(&bytes);
    let events: Vec<Event<'_>> = messages.iter().map(|m| Event::of(m)).collect();
    let starts: BTreeMap<String, i64> = serde_json::from_str(&row.starts)
        .map_err(|e| SqlError::new(format!("a stored fan-out does not parse: {e}")))?;
    let cause = Cause { author: row.author, depth: row.depth, ..Cause::outside(row.class) };
    chunk(tx, &source, &events, row.end, &Runs::known(starts), &cause, row.reached, row.before)
}
