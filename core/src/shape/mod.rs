//! Shapes of the server's own tables, as clients of Electric read them: a snapshot of the rows that a principal may see, then
//! what changes in them, from the change log (electric shapes).
//!
//! An offset is a commit: `{txid}_0` means that everything through it was delivered, `{txid}_{n}` that a snapshot taken at
//! it has come so far, and `{txid}_inf` that some rows were told as they were later, so that what comes next is told whole.
//! What a reader is told is worked out when it asks: each row that was touched since is taken as it
//! is and, by undoing the log, as it was; whether the reader sees the one and the other makes an insert, an update, a
//! delete or nothing. So no reader has state here, and handles survive restarts.

mod answer;
mod ask;
mod columns;
mod delta;
mod filter;
mod handle;
mod poll;
#[cfg(feature = "fuzz")]
pub(crate) mod probe;
mod scope;
mod snapshot;

use http::StatusCode;

use crate::effect::Touch;
use crate::engine::Reply;
use crate::http::{Call, Error};
use crate::live::Live;
use crate::store::{Read, SqlError, Table};

use ask::{Ask, Start};
use handle::Place;
use poll::Mode;
pub(crate) use poll::Poll;
use scope::{Past, Scope};

/// A shape: which rows of which table, as whom, told how.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    spec: &'static columns::Spec,
    scope: Scope,
    filter: Option<filter::Filter>,
    /// Whether updates and deletes carry whole rows.
    full: bool,
    /// Names all of the above.
    hash: String,
}

impl Shape {
    /// Whether it is of dispatches, whose changes are logged only while somebody looks.
    fn is_of_dispatches(&self) -> bool {
        matches!(self.spec.table, Table::DispatchState | Table::WakeNotifications | Table::ConsumerClaims)
    }

    /// Whether all that has changed in it since a commit was logged.
    fn is_logged_since(&self, read: &Read<'_>, commit: i64) -> Result<bool, SqlError> {
        if !self.is_of_dispatches() {
            return Ok(true);
        }
        let clock = read.clock()?;
        Ok(clock.watch.is_on(read.now.max(clock.now)) && clock.watch.since <= commit)
    }

    /// Has it remembered that somebody looks, where that matters.
    fn look(&self, read: &Read<'_>) -> Result<(), SqlError> {
        if self.is_of_dispatches() && read.clock()?.watch.wants_look(read.now) {
            read.touch(Touch::Dispatches);
        }
        Ok(())
    }

    /// Whether a row, as it was, was in it at an earlier commit.
    fn saw(&self, read: &Read<'_>, row: &columns::Row, past: &Past, budget: &filter::Budget) -> Result<bool, SqlError> {
        let passes = self.filter.as_ref().is_none_or(|filter| filter.lets_in(row, budget));
        Ok(passes && self.scope.saw(read, self.spec, row, past)?)
    }

    /// Whether a row may have been in it since an earlier commit: whoever was told of it may be told that it is gone.
    fn may_have_seen(&self, read: &Read<'_>, row: &columns::Row, past: &Past) -> Result<bool, SqlError> {
        Ok(self.scope.saw(read, self.spec, row, past)? || past.touches(self.scope.on(self.spec, row)))
    }

    /// Whether a row is in it.
    fn sees(&self, read: &Read<'_>, row: &columns::Row, budget: &filter::Budget) -> Result<bool, SqlError> {
        let passes = self.filter.as_ref().is_none_or(|filter| filter.lets_in(row, budget));
        Ok(passes && self.scope.sees(read, self.spec, row)?)
    }
}

/// `GET /_electric/electric/v1/shape` (electric shapes, section 1).
pub(crate) fn read(call: &Call<'_, Read<'_>>) -> Result<Reply, Error> {
    let (read, by) = (call.store, call.by()?);
    // The table of routes passes over a slash at the end; Electric's clients never send one.
    if call.request.path.ends_with('/') {
        return Ok(Reply::Whole(crate::http::Response::empty(StatusCode::NOT_FOUND)));
    }
    let ask = match Ask::of(call.request, by)? {
        Ok(ask) => ask,
        Err(invalid) => return Ok(Reply::Whole(invalid.response())),
    };
    let Ask { shape, start, live, cursor, changes_only } = ask;
    shape.look(read)?;
    let answer = match start {
        Start::Now => answer::nothing(read, &shape, read.commit()?)?,
        Start::Beginning if changes_only => answer::no_rows(read, &shape, read.commit()?)?,
        Start::Beginning => snapshot::read(read, &shape, handle::fresh(read, &shape)?, read.commit()?, 0)?,
        Start::Handle { handle, .. } if !handle::fits(read, &shape, &handle)? => answer::gone(read, &shape, &handle)?,
        Start::Handle { handle, place } if place.within > 0 => snapshot::go_on(read, &shape, handle, place)?,
        // A long-poll finds out by itself whether its log is gone; a stream of events can only be refused before it begins.
        Start::Handle { handle, place } if live == Some(Mode::LongPoll) => {
            return Ok(live_read(read, shape, handle, place, Mode::LongPoll, cursor));
        }
        Start::Handle { handle, place } => match (delta::since(read, &shape, place)?, live) {
            (None, _) => answer::gone(read, &shape, &handle)?,
            (Some(_), Some(mode)) => return Ok(live_read(read, shape, handle, place, mode, cursor)),
            (Some(delta), None) if delta.too_expensive => answer::too_expensive(),
            (Some(delta), None) => answer::changes(&handle, &delta).with("electric-schema", shape.spec.schema()),
        },
    };
    Ok(Reply::Whole(answer))
}

fn live_read(read: &Read<'_>, shape: Shape, handle: String, place: Place, mode: Mode, cursor: i64) -> Reply {
    Reply::Live(Box::new(Live::shape(Poll::new(read, shape, handle, place, mode, cursor))))
}

/// `GET /_electric/electric/v1/health`: always up, where the server is.
pub(crate) fn health(call: &Call<'_, Read<'_>>) -> Result<Reply, Error> {
    call.by()?;
    let body = serde_json::json!({ "status": "active" });
    Ok(Reply::Whole(crate::http::Response::json(StatusCode::OK, &body)))
}
