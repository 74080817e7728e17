//! Compaction of a runner's wake stream: what was announced and is over is dropped, so that it cannot grow for ever.
//!
//! The newest announcement of each wake in flight stays, wherever it stands; so does the newest entry, which is where the
//! tail is. Who reads from below what was dropped gets what is left, and no gap is told.

use std::collections::BTreeSet;

use crate::store::{SqlError, StreamRow, TimerKind, Tx};
use crate::stream::Offset;

/// A wake stream has moved: once it has moved far enough, its compaction is due.
pub(super) fn moved(tx: &Tx<'_>, stream: &StreamRow, start: Offset) -> Result<(), SqlError> {
    let step = |offset: Offset| offset.bytes() / STEP;
    if step(start) == step(stream.tail) { Ok(()) } else { tx.arm(tx.now, TimerKind::Compact, stream.id) }
}

/// Drops what nobody needs any more of a runner's wake stream. One that is forked is left alone.
pub(crate) fn compact(tx: &Tx<'_>, id: i64) -> Result<(), SqlError> {
    let Some(stream) = tx.stream_by_id(id)?.filter(|s| s.refs == 0) else { return Ok(()) };
    let Some(runner) = tx.runner_of(&stream.path)? else { return Ok(()) };
    let wakes = tx.subscriptions_of_runner(&runner)?;
    let kept: BTreeSet<Offset> = wakes.iter().filter_map(|s| s.wake.as_ref()?.announced).chain([stream.tail]).collect();
    let mut from = Offset::ZERO;
    for keep in &kept {
        tx.delete_entries(id, from, Offset::at(keep.bytes() - 1))?;
        from = *keep;
    }
    let mut from = Offset::ZERO;
    while from < stream.sealed
        && let Some((start, end)) = tx.segment_after(id, from)?
    {
        if kept.range(start.after(1)..=end).next().is_none() {
            tx.delete_segment(id, end)?;
        }
        from = end;
    }
    Ok(())
}

/// How far a wake stream moves from one compaction to the next: some hundred announcements.
const STEP: i64 = 64 << 10;
