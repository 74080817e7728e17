//! What a read wants remembered: that a stream whose lifetime slides was used.

use crate::engine::Done;
use crate::http::Error;
use crate::store::Tx;

/// Remembers a use of a stream. Of many that come together only the first finds something to write.
pub(crate) fn touch(tx: &Tx<'_>, stream: i64) -> Result<Done, Error> {
    let stream = tx.stream_by_id(stream)?.filter(|s| !s.deleted && !s.lifetime.is_over(tx.now));
    if let Some(mut stream) = stream
        && stream.lifetime.use_at(tx.now)
    {
        tx.update_stream(&stream)?;
    }
    Ok(Done::nothing())
}
