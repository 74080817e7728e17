//! Live reads of streams: long-poll and SSE, driven by the host and answered here.
//!
//! A reader that stands exactly where a notification begins is served its bytes from memory by [`Follow::accept`]; every
//! other asks. Each piece is authorised when asked for.

use http::StatusCode;

use super::access::Owner;
use super::offset::Offset;
use super::read::{Body, answer, array, gather, nothing_new};
use super::sse;
use super::touch::wants_use;
use crate::effect::{Notify, Topic, Touch};
use crate::http::{Error, Refusal, Response, dress};
use crate::store::{Read, SqlError, StreamRow};
use crate::tenant::Principal;
use crate::time::{Span, Time};

/// How a live read is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// One answer: the next data, or 204 after a while.
    LongPoll,
    /// An event stream.
    Sse,
}

/// The next piece of a live read.
#[derive(Debug)]
pub enum Next {
    /// The head of an event stream: send status and headers, and go on asking.
    Open(Response),
    /// The whole answer; the read is over.
    Respond(Response),
    /// Bytes of the body; go on asking.
    Send(Vec<u8>),
    /// The last bytes of the body; the read is over.
    Finish(Vec<u8>),
    /// Nothing yet: ask again when a topic moves, or at this moment.
    Wait(Time),
}

/// A live read of a stream in progress.
#[derive(Clone, Debug)]
pub(crate) struct Follow {
    stream: StreamRow,
    by: Principal,
    mode: Mode,
    at: Offset,
    cursor: String,
    started: Option<Time>,
    deadline: Time,
    quiet_until: Time,
    keep_alive: Span,
    /// Whether its reader may read the stream for good: pieces from memory are not judged.
    for_good: bool,
}

impl Follow {
    pub(super) fn new(
        read: &Read<'_>,
        stream: StreamRow,
        by: &Principal,
        mode: Mode,
        at: Offset,
        cursor: String,
    ) -> Self {
        let lifetime = if mode == Mode::Sse { read.config.sse } else { read.config.long_poll };
        Self {
            stream,
            by: by.clone(),
            mode,
            at,
            cursor,
            started: None,
            deadline: read.now + lifetime,
            quiet_until: read.now,
            keep_alive: KEEP_ALIVE,
            for_good: false,
        }
    }

    /// What to subscribe to before asking.
    pub(crate) fn topics(&self) -> Vec<Topic> {
        vec![Topic::Stream(self.stream.id)]
    }

    /// The next piece, as of a snapshot.
    pub(crate) fn next(&mut self, read: &Read<'_>) -> Result<Next, SqlError> {
        let stream = read.stream_by_id(self.stream.id)?;
        let Some(stream) = stream.filter(|s| !s.deleted && !s.lifetime.is_over(read.now)) else {
            return Ok(self.end(Refusal::plain(StatusCode::NOT_FOUND, format!("no stream at `{}`", self.stream.path))));
        };
        self.stream = stream;
        let owner = Owner::of(read, &self.stream.path)?;
        self.for_good = owner.is_for_good(read, &self.by);
        match owner.check_read(read, &self.by, &self.stream.path) {
            Ok(()) => {}
            Err(Error::Refused(refusal)) => return Ok(self.end(refusal)),
            Err(Error::Store(error)) => return Err(error),
        }
        if self.mode == Mode::Sse && self.started.is_none() {
            self.started = Some(read.now);
            return Ok(Next::Open(self.dressed(sse::head(&self.stream.content_type))));
        }
        if wants_use(read, &self.stream)? {
            read.touch(Touch::Stream(self.stream.id));
        }
        if self.stream.tail > self.at {
            let body = gather(read, &self.stream, self.at)?;
            self.quiet_until = read.now + self.keep_alive;
            return Ok(self.data(body));
        }
        Ok(self.idle(read.now))
    }

    /// Serves a notification from memory when the reader stands exactly where it begins.
    pub(crate) fn accept(&mut self, notify: &Notify) -> Option<Next> {
        // One without bytes may say that the reader is to be judged anew: nothing is handed on before that.
        self.for_good &= notify.bytes.is_some();
        let fresh = notify.topic == Topic::Stream(self.stream.id) && notify.from == self.at;
        let ready = self.for_good && (self.mode == Mode::LongPoll || self.started.is_some());
        let bytes = notify.bytes.as_ref().filter(|_| fresh && ready)?;
        self.stream.tail = notify.to;
        let bytes = if self.stream.is_json() { array(bytes) } else { bytes.to_vec() };
        Some(self.data(Body { at: notify.to, bytes, cacheable: true }))
    }

    fn data(&mut self, body: Body) -> Next {
        let from = std::mem::replace(&mut self.at, body.at);
        match self.mode {
            Mode::LongPoll => {
                let response = answer(&self.stream, &from.to_string(), body).with("stream-cursor", &self.cursor);
                Next::Respond(self.dressed(response))
            }
            Mode::Sse => {
                let complete = self.at >= self.stream.tail;
                let closed = self.stream.closed && complete;
                // Where a reader stands within an entry there may be nothing left but to say so.
                let nothing = body.bytes.is_empty() || self.stream.is_json() && body.bytes == b"[]";
                let data = if nothing { String::new() } else { sse::data(&self.stream.content_type, &body.bytes) };
                let piece = data + &self.control(complete, closed);
                if closed { Next::Finish(piece.into_bytes()) } else { Next::Send(piece.into_bytes()) }
            }
        }
    }

    /// At the tail: closed, out of time, due for a sign of life, or waiting.
    fn idle(&mut self, now: Time) -> Next {
        match self.mode {
            Mode::LongPoll if self.stream.closed || now >= self.deadline => {
                Next::Respond(self.dressed(nothing_new(&self.stream, self.at, &self.cursor)))
            }
            Mode::LongPoll => Next::Wait(self.deadline),
            Mode::Sse if self.stream.closed => Next::Finish(self.control(true, true).into_bytes()),
            Mode::Sse if now >= self.deadline => Next::Finish(Vec::new()),
            Mode::Sse if now >= self.quiet_until => {
                self.quiet_until = now + self.keep_alive;
                Next::Send(self.control(true, false).into_bytes())
            }
            Mode::Sse => Next::Wait(self.deadline.min(self.quiet_until)),
        }
    }

    fn control(&self, up_to_date: bool, closed: bool) -> String {
        sse::control(self.at, (!closed).then_some(self.cursor.as_str()), up_to_date, closed)
    }

    fn end(&self, refusal: Refusal) -> Next {
        match (self.mode, self.started) {
            (Mode::Sse, Some(_)) => Next::Finish(Vec::new()),
            _ => Next::Respond(self.dressed(refusal.response())),
        }
    }

    fn dressed(&self, mut response: Response) -> Response {
        dress(&mut response, &self.stream.path);
        response
    }
}

/// How often a quiet event stream shows that it lives.
const KEEP_ALIVE: Span = Span::secs(15);
