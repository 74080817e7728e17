//! The one place where entries are written, and where what an append causes begins: live readers are told, runs are
//! projected, wakes are evaluated, subscriptions become pending. All in the transaction of the append.

use std::sync::Arc;

use super::content::Content;
use super::offset::Offset;
use super::seal;
use crate::effect::{Notify, Topic};
use crate::store::{SqlError, StreamRow, Tx};
use crate::{subscription, wake};

/// Which conditions an append may match: the third law.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Any condition: what clients append, signals, ticks.
    Any,
    /// Only a condition that names its collection: sends, and what the server writes for itself.
    Named,
    /// None: wake rows.
    Never,
}

/// Where an append comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cause {
    /// Which conditions it may match.
    pub(crate) class: Class,
    /// The entity that wrote it under its own claim, which it does not wake.
    pub(crate) author: Option<i64>,
    /// How many causes led to it, one under the claim of another.
    pub(crate) depth: i64,
    /// Whether it makes subscriptions pending: an announcement on a wake stream does not.
    pub(crate) announces: bool,
}

impl Cause {
    /// From outside any claim.
    pub(crate) fn outside(class: Class) -> Self {
        Self { class, author: None, depth: 0, announces: true }
    }

    /// An announcement on a wake stream.
    pub(crate) fn notice() -> Self {
        Self { announces: false, ..Self::outside(Class::Named) }
    }
}

/// Appends `content`, which is not empty, to a stream that was looked up in this command, and moves its tail. One that
/// `stream` says is closed is closed by the same command: its readers are not served from memory, so that they see the
/// data and the end of it together.
pub(crate) fn write(
    tx: &Tx<'_>,
    stream: &mut StreamRow,
    content: &Content<'_>,
    cause: Cause,
) -> Result<Offset, SqlError> {
    let start = stream.tail;
    debug_assert_eq!(tx.stream_by_id(stream.id)?.map(|s| s.tail), Some(start), "the row is out of date");
    let end = start.after(content.length());
    let source = wake::Source::of(tx, stream)?;
    let events = content.events(source.is_observed());
    let stored = content.stored(&events, end);
    tx.insert_entry(stream.id, end, content.messages(), &stored)?;
    seal::moved(tx, stream.id, start, end, stored.len())?;
    stream.tail = end;
    let bytes = (!stream.closed && stored.len() <= SHARED).then(|| Arc::from(stored));
    tx.notify(Notify { topic: Topic::Stream(stream.id), from: start, to: end, bytes });

    if source.is_observed() {
        let runs = wake::project_runs(tx, &source, &events, start)?;
        wake::wake(tx, &source, &events, end, &runs, cause)?;
        runs.settle(tx, stream.id)?;
    }
    if start == stream.base || stream.unmatched {
        match_patterns(tx, stream, cause)?;
    }
    if stream.followed && cause.announces {
        // What an entity writes about itself is no cause of its own next wake.
        let depth = if cause.author == Some(stream.id) { 0 } else { cause.depth };
        subscription::moved(tx, stream, source.entity.as_ref(), depth)?;
    }
    Ok(end)
}

/// A client's first append to a stream has every pattern looked at. An announcement is none: it leaves that to the next.
fn match_patterns(tx: &Tx<'_>, stream: &mut StreamRow, cause: Cause) -> Result<(), SqlError> {
    if cause.announces {
        subscription::match_patterns(tx, stream)?;
    }
    if stream.unmatched == cause.announces {
        stream.unmatched = !cause.announces;
        tx.update_stream(stream)?;
    }
    Ok(())
}

/// Closes a stream and tells who reads it.
pub(crate) fn close(tx: &Tx<'_>, stream: &mut StreamRow) -> Result<(), SqlError> {
    stream.closed = true;
    tx.update_stream(stream)?;
    tx.notify(Notify { topic: Topic::Stream(stream.id), from: stream.tail, to: stream.tail, bytes: None });
    Ok(())
}

/// Entries up to this size are handed to waiting readers from memory.
const SHARED: usize = 64 << 10;
