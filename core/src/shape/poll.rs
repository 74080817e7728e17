//! Live questions: one waits for the next change that its reader sees, or stays open and tells each (electric shapes,
//! section 1.6). A change that the reader does not see wakes nobody.

use http::StatusCode;

use super::delta::{Delta, since};
use super::{Place, Scope, Shape, answer};
use crate::effect::Topic;
use crate::http::{Response, dress};
use crate::limits::SHAPE_HOLD;
use crate::store::{Read, SqlError};
use crate::stream::Next;
use crate::time::{Span, Time};

/// How a live question is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Once: with what changes, or that nothing has.
    LongPoll,
    /// By an event stream.
    Sse,
}

/// A live question.
#[derive(Clone, Debug)]
pub(crate) struct Poll {
    shape: Shape,
    handle: String,
    /// Up to where the reader knows everything.
    place: Place,
    mode: Mode,
    cursor: i64,
    opened: bool,
    deadline: Time,
    quiet_until: Time,
}

impl Poll {
    pub(super) fn new(read: &Read<'_>, shape: Shape, handle: String, place: Place, mode: Mode, cursor: i64) -> Self {
        let lifetime = if mode == Mode::Sse { read.config.sse } else { SHAPE_HOLD.min(read.config.long_poll) };
        let (now, deadline) = (read.now, read.now + lifetime);
        Self { shape, handle, place, mode, cursor, opened: false, deadline, quiet_until: now + KEEP_ALIVE }
    }

    /// What to wait for.
    pub(crate) fn topics(&self) -> Vec<Topic> {
        Scope::tables(self.shape.spec.table).iter().map(|table| Topic::Table(*table)).collect()
    }

    /// The next piece, as of a snapshot.
    pub(crate) fn next(&mut self, read: &Read<'_>) -> Result<Next, SqlError> {
        let now = read.now;
        if self.mode == Mode::Sse && !self.opened {
            self.opened = true;
            let head = Response::empty(StatusCode::OK).with("content-type", "text/event-stream");
            return Ok(Next::Open(self.dressed(self.live(head, now))));
        }
        let Some(delta) = since(read, &self.shape, self.place)? else {
            return Ok(match self.mode {
                Mode::LongPoll => Next::Respond(self.dressed(answer::gone(read, &self.shape, &self.handle)?)),
                Mode::Sse => Next::Finish(Vec::new()),
            });
        };
        if delta.too_expensive {
            return Ok(match self.mode {
                Mode::LongPoll => Next::Respond(self.dressed(answer::too_expensive())),
                Mode::Sse => Next::Finish(Vec::new()),
            });
        }
        self.place = delta.to;
        Ok(match self.mode {
            Mode::LongPoll if delta.messages.is_empty() && delta.complete && now < self.deadline => {
                Next::Wait(self.deadline)
            }
            Mode::LongPoll => {
                let response = answer::changes(&self.handle, &delta);
                Next::Respond(self.dressed(self.live(response, now)))
            }
            Mode::Sse => self.event(&delta, now),
        })
    }

    fn event(&mut self, delta: &Delta, now: Time) -> Next {
        if !delta.messages.is_empty() {
            self.quiet_until = now + KEEP_ALIVE;
            let events: String = delta.told().iter().map(|message| format!("data: {message}\n\n")).collect();
            return Next::Send(events.into_bytes());
        }
        if now >= self.deadline {
            return Next::Finish(Vec::new());
        }
        if now >= self.quiet_until {
            self.quiet_until = now + KEEP_ALIVE;
            return Next::Send(format!("data: {}\n\n", answer::up_to_date(self.place.at)).into_bytes());
        }
        Next::Wait(self.deadline.min(self.quiet_until))
    }

    fn live(&self, response: Response, now: Time) -> Response {
        let response = answer::headed(response, &self.handle, self.place);
        response.with("electric-cursor", answer::cursor(now, self.cursor))
    }

    fn dressed(&self, mut response: Response) -> Response {
        dress(&mut response, "/_electric/electric/v1/shape");
        response
    }
}

/// How often a quiet event stream shows that it lives.
const KEEP_ALIVE: Span = Span::secs(21);
