//! `DELETE` on a stream: it is gone with its reply, and its path is free (stream protocol, section 7). A source is kept,
//! unseen, until its forks are gone. What a long stream leaves is swept in chunks.

use http::StatusCode;

use super::access::Owner;
use super::find::find;
use super::offset::Offset;
use crate::effect::{Notify, Topic};
use crate::engine::Done;
use crate::http::{Call, Error, Response};
use crate::limits::{SWEEP, SWEEP_BYTES};
use crate::store::{SqlError, StreamRow, TimerKind, Tx};
use crate::time::Time;

/// Deletes the stream at the request's path.
pub(crate) fn delete(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let tx = call.store;
    let by = call.by()?;
    let path = call.stream_path();
    Owner::of(tx, path)?.check_unowned(by, path)?;
    remove(tx, find(tx, path)?)?;
    Ok(Response::empty(StatusCode::NO_CONTENT).into())
}

/// Deletes a stream: nobody follows it any more, and who reads it is told.
pub(crate) fn remove(tx: &Tx<'_>, mut stream: StreamRow) -> Result<(), SqlError> {
    if stream.followed {
        tx.delete_links_to(stream.id)?;
    }
    if let Some(armed) = stream.lifetime.armed.take() {
        tx.disarm(armed, TimerKind::Expire, stream.id)?;
    }
    tx.notify(Notify { topic: Topic::Stream(stream.id), from: stream.tail, to: stream.tail, bytes: None });
    if stream.refs > 0 {
        stream.deleted = true;
        return tx.update_stream(&stream);
    }
    let mut last = Some(stream);
    while let Some(stream) = last {
        tx.delete_stream_row(stream.id)?;
        sweep(tx, stream.id)?;
        last = match stream.fork {
            Some(fork) => release(tx, fork.source)?,
            None => None,
        };
    }
    Ok(())
}

/// Deletes a stream, if it is not, so that its path is free: one that forks still read keeps none that can be asked for.
pub(crate) fn give_way(tx: &Tx<'_>, stream: StreamRow) -> Result<(), SqlError> {
    let (id, is_read, aside) = (stream.id, stream.refs > 0, format!("{}?{}", stream.path, stream.id));
    if !stream.deleted {
        remove(tx, stream)?;
    }
    if is_read { tx.move_stream(id, &aside) } else { Ok(()) }
}

/// A stream's timer is due: its time is over, unless it has been used since.
pub(crate) fn expire(tx: &Tx<'_>, id: i64, due_at: Time) -> Result<(), SqlError> {
    let Some(mut stream) = tx.stream_by_id(id)?.filter(|s| s.lifetime.armed == Some(due_at)) else { return Ok(()) };
    stream.lifetime.armed = None;
    if stream.lifetime.is_over(tx.now) {
        return remove(tx, stream);
    }
    watch(tx, &mut stream)?;
    tx.update_stream(&stream)
}

/// The stream's timer row was moved behind its back.
pub(crate) fn rearmed(tx: &Tx<'_>, id: i64, at: Time) -> Result<(), SqlError> {
    if let Some(mut stream) = tx.stream_by_id(id)?.filter(|s| s.lifetime.armed.is_some()) {
        stream.lifetime.armed = Some(at);
        tx.update_stream(&stream)?;
    }
    Ok(())
}

/// Arms the timer of a stream that expires. The row is the caller's to write.
pub(super) fn watch(tx: &Tx<'_>, stream: &mut StreamRow) -> Result<(), SqlError> {
    let Some(until) = stream.lifetime.until else { return Ok(()) };
    stream.lifetime.armed = Some(until);
    tx.arm(until, TimerKind::Expire, stream.id)
}

/// Deletes a chunk of what a stream has left behind, and says when to go on.
pub(crate) fn sweep(tx: &Tx<'_>, id: i64) -> Result<(), SqlError> {
    let mut more = tx.segment_after(id, Offset::ZERO)?.is_some();
    if more {
        tx.delete_segments(id, SWEEP_BYTES / SEGMENT)?;
        more = tx.segment_after(id, Offset::ZERO)?.is_some();
    }
    let (sizes, _) = tx.entry_sizes(id, Offset::ZERO, SWEEP)?;
    let mut bytes = 0;
    let chunk = sizes.iter().take_while(|(_, size)| {
        let fits = bytes < SWEEP_BYTES;
        bytes += i64::try_from(*size).unwrap_or(SWEEP_BYTES);
        fits
    });
    if let Some((last, _)) = chunk.last() {
        tx.delete_entries(id, Offset::ZERO, *last)?;
        more |= !tx.entry_sizes(id, Offset::ZERO, 1)?.0.is_empty();
    }
    more |= !tx.delete_producers(id, SWEEP)?;
    more |= !tx.delete_members(id, SWEEP)?;
    tx.delete_runs(id)?;
    if more { tx.arm(tx.now, TimerKind::Sweep, id) } else { Ok(()) }
}

/// A fork is gone: its source, when it was kept for that alone, goes too.
fn release(tx: &Tx<'_>, source: i64) -> Result<Option<StreamRow>, SqlError> {
    let Some(mut source) = tx.stream_by_id(source)? else { return Ok(None) };
    source.refs -= 1;
    if source.deleted && source.refs <= 0 {
        return Ok(Some(source));
    }
    tx.update_stream(&source)?;
    Ok(None)
}

/// About how large a segment is, for chunks of a sweep.
const SEGMENT: i64 = 256 << 10;
