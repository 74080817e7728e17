//! The one place where entries are written, and where what an append causes begins: live readers are told, runs are
//! projected, wakes are evaluated, subscriptions become pending. All in the transaction of the append.

use std::sync::Arc;

use super::content::Content;
use super::event::Event;
use super::offset::Offset;
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
}

impl Cause {
    /// From outside any claim.
    pub(crate) fn outside(class: Class) -> Self {
        Self { class, author: None, depth: 0 }
    }
}

/// Appends `content`, which is not empty, to a stream. One that `stream` says is closed is closed by the same command:
/// its readers are not served from memory, so that they see the data and the end of it together. Gives the new tail.
pub(crate) fn write(tx: &Tx<'_>, stream: &StreamRow, content: &Content<'_>, cause: Cause) -> Result<Offset, SqlError> {
    let start = tx.tail_of(stream)?;
    let end = start.after(content.length());
    let events: Vec<Event<'_>> = match content {
        Content::Json(messages) => messages.iter().map(|m| Event::of(m)).collect(),
        Content::Bytes(_) => Vec::new(),
    };
    let stored = content.stored(&events, end);
    tx.insert_entry(stream.id, end, content.messages(), &stored)?;
    let bytes = (!stream.closed && stored.len() <= SHARED).then(|| Arc::from(stored));
    tx.notify(Notify { topic: Topic::Stream(stream.id), from: start, to: end, bytes });

    let source = wake::Source::of(tx, stream)?;
    let runs = wake::project_runs(tx, &source, &events, start)?;
    wake::wake(tx, &source, &events, end, &runs, cause)?;
    runs.settle(tx, stream.id)?;
    // What an entity writes about itself is no cause of its own next wake.
    let depth = if cause.author == Some(stream.id) { 0 } else { cause.depth };
    subscription::moved(tx, stream, source.entity.as_ref(), depth)?;
    Ok(end)
}

/// Closes a stream and tells who reads it.
pub(crate) fn close(tx: &Tx<'_>, stream: &mut StreamRow) -> Result<(), SqlError> {
    stream.closed = true;
    tx.update_stream(stream)?;
    let tail = tx.tail_of(stream)?;
    tx.notify(Notify { topic: Topic::Stream(stream.id), from: tail, to: tail, bytes: None });
    Ok(())
}

/// Entries up to this size are handed to waiting readers from memory.
const SHARED: usize = 64 << 10;
