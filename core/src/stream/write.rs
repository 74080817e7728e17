//! The one place where entries are written, and where what an append causes begins: live readers are told, runs are
//! projected, wakes are evaluated, subscriptions become pending. All in the transaction of the append.

use std::sync::Arc;

use super::content::Content;
use super::offset::Offset;
use super::seal;
use crate::dispatch::journal;
use crate::effect::{Notify, Topic};
use crate::store::{SqlError, StreamRow, Tx};
use crate::tenant::Principal;
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

/// What an append is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Why<'a> {
    /// A client's, or what the server says of itself.
    Append,
    /// A message to an entity.
    Message {
        /// The principal URL of who sent it.
        from: &'a str,
        /// Its key.
        key: &'a str,
    },
    /// A signal to an entity, by its name.
    Signal(&'static str),
    /// A wake row, and the match that it says.
    Wake(&'a Matched<'a>),
    /// A wake row that waited for its turn.
    Waited,
}

/// A condition that matched an event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matched<'a> {
    /// The registration whose condition it is.
    pub(crate) registration: i64,
    /// What the registration is on.
    pub(crate) source: &'a str,
    /// Where the append ended that holds the event, and which of its events it is.
    pub(crate) position: &'a str,
    /// What kind of row changed.
    pub(crate) collection: &'a str,
    /// How it did.
    pub(crate) kind: &'a str,
    /// Its key.
    pub(crate) key: &'a str,
}

/// Where an append comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cause<'a> {
    /// Which conditions it may match.
    pub(crate) class: Class,
    /// The entity that wrote it under its own claim, which it does not wake.
    pub(crate) author: Option<i64>,
    /// How many causes led to it, one under the claim of another.
    pub(crate) depth: i64,
    /// Whether it makes subscriptions pending: an announcement on a wake stream does not.
    pub(crate) announces: bool,
    /// Whether its wakes follow by the timer, because much is written at once.
    pub(crate) later: bool,
    /// Who asked a route for a row of a manifest: what that stands for is judged as theirs, not as the entity's creator's.
    pub(crate) asked_by: Option<&'a Principal>,
    /// What it is, for the journal.
    pub(crate) why: Why<'a>,
}

impl Cause<'_> {
    /// From outside any claim.
    pub(crate) fn outside(class: Class) -> Self {
        Self { class, author: None, depth: 0, announces: true, later: false, asked_by: None, why: Why::Append }
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
    cause: Cause<'_>,
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
    let bytes = (!stream.closed && stored.len() <= SHARED).then(|| Arc::from(&*stored));
    tx.notify(Notify { topic: Topic::Stream(stream.id), from: start, to: end, bytes });

    if source.is_observed() {
        let runs = wake::project_runs(tx, &source, &events, start)?;
        wake::wake(tx, &source, &events, end, &runs, cause)?;
        runs.settle(tx, stream.id)?;
        if let Some(owner) = &source.entity {
            wake::project(tx, owner, cause.asked_by, &events)?;
        }
    }
    if start == stream.base || stream.unmatched {
        match_patterns(tx, stream, cause)?;
    }
    let follows = stream.followed && cause.announces;
    let taken = follows && subscription::moved(tx, stream, source.entity.as_ref(), &cause, end)?;
    if !taken {
        journal::wake_row(tx, stream.id, &cause.why, end)?;
    }
    Ok(end)
}

/// A client's first append to a stream has every pattern looked at. An announcement is none: it leaves that to the next.
fn match_patterns(tx: &Tx<'_>, stream: &mut StreamRow, cause: Cause<'_>) -> Result<(), SqlError> {
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
