//! What a read wants remembered: that a stream whose lifetime slides was used, or one that says who has some tags.

use crate::engine::Done;
use crate::http::Error;
use crate::observe::asleep;
use crate::store::{Read, SqlError, StreamRow, Tx};

/// Whether a read at this moment is to be remembered.
pub(super) fn wants_use(read: &Read<'_>, stream: &StreamRow) -> Result<bool, SqlError> {
    Ok(stream.lifetime.wants_use(read.now) || asleep::wants_look(read, stream)?)
}

/// Remembers a use of a stream. Of many that come together only the first finds something to write.
pub(crate) fn touch(tx: &Tx<'_>, stream: i64) -> Result<Done, Error> {
    let stream = tx.stream_by_id(stream)?.filter(|s| !s.deleted && !s.lifetime.is_over(tx.now));
    let Some(mut stream) = stream else { return Ok(Done::nothing()) };
    if stream.lifetime.use_at(tx.now) {
        tx.update_stream(&stream)?;
    }
    asleep::is_read(tx, &stream)?;
    Ok(Done::nothing())
}
