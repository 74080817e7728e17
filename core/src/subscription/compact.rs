//! Compaction of runners' wake streams: an announcement that is over, or that was made again, is dropped with what ended
//! it, so that a wake stream holds those of current generations and cannot grow for ever.
//!
//! Who reads from below what was dropped gets what is left, and no gap is told. Wake streams are not sealed.

use crate::store::{SqlError, Tx};
use crate::stream::Offset;

/// Drops the announcement that ends at `announced` from a runner's wake stream. One that is forked is left alone.
pub(super) fn forget(tx: &Tx<'_>, runner: &str, announced: Offset) -> Result<(), SqlError> {
    let Some(runner) = tx.runner(runner)? else { return Ok(()) };
    let Some(mut stream) = tx.stream(&runner.wake_stream)?.filter(|s| s.refs == 0) else { return Ok(()) };
    tx.delete_entry(stream.id, announced)?;
    if announced == stream.tail {
        // Where the tail stands is known from the newest entry, or else from here.
        stream.base = announced;
        tx.update_stream(&stream)?;
    }
    Ok(())
}
