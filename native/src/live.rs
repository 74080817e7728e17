//! Live reads: long-polls and SSE. The host subscribes to a read's topics, then asks for its next piece, then waits;
//! in that order nothing falls between. Whoever drops the answer ends the read.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use hyper::header::{CONNECTION, HeaderValue};
use reveille_core::store::SqlError;
use reveille_core::stream::Next;
use reveille_core::{Live, Time, Topic, engine};

use crate::answer::{Answer, Body, Busy, refuse, whole};
use crate::hub::{Notice, Subscription};
use crate::metrics::Held;
use crate::now::now;
use crate::server::Shared;

/// Answers a live read: at once with the head of a stream of events, or when a long-poll has its answer.
pub(crate) async fn answer(live: Box<Live>, path: &str, shared: &Arc<Shared>) -> Answer {
    let Ok(place) = Arc::clone(&shared.live_readers).try_acquire_owned() else {
        shared.metrics.turned_away.add(1);
        return refuse(Busy::LiveReaders, path);
    };
    let mut topics = live.topics();
    if shared.config.virtual_time.is_some() && !topics.contains(&Topic::Clock) {
        topics.push(Topic::Clock);
    }
    let mut reading = Reading {
        subscription: shared.hub.subscribe(topics),
        live: Some(live),
        until: None,
        shared: Arc::clone(shared),
        _place: place,
        _counted: shared.metrics.live_readers.hold(),
    };
    match reading.next().await {
        Some(Next::Open(head)) => {
            let mut answer = hyper::Response::new(events(reading));
            *answer.status_mut() = head.status;
            *answer.headers_mut() = head.headers;
            // The server ends this answer sooner or later; a client that had put its next request behind it would
            // lose that.
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            answer
        }
        Some(Next::Respond(response)) => whole(response),
        Some(Next::Send(_) | Next::Finish(_) | Next::Wait(_)) => refuse(Busy::Failed, path),
        None if *shared.stopping.borrow() => refuse(Busy::Stopping, path),
        None => refuse(Busy::Failed, path),
    }
}

/// The body of an SSE answer: asked for its next piece only when the last has been taken.
fn events(reading: Reading) -> Body {
    let stream = futures_util::stream::unfold(Some(reading), |reading| async {
        let mut reading = reading?;
        match reading.next().await? {
            Next::Send(bytes) => Some((Ok(Frame::data(Bytes::from(bytes))), Some(reading))),
            Next::Finish(bytes) => Some((Ok(Frame::data(Bytes::from(bytes))), None)),
            Next::Open(_) | Next::Respond(_) | Next::Wait(_) => None,
        }
    });
    http_body_util::Either::Right(StreamBody::new(stream).boxed_unsync())
}

/// A live read under way.
struct Reading {
    /// Absent while a reader has it.
    live: Option<Box<Live>>,
    /// Until when there is nothing to do but wait; `None` when the store must be asked.
    until: Option<Time>,
    subscription: Subscription,
    shared: Arc<Shared>,
    _place: tokio::sync::OwnedSemaphorePermit,
    _counted: Held,
}

impl Reading {
    /// The next piece, however long it takes; never `Wait`. `None` when the read is over without one: the store
    /// failed, or the server is shutting down.
    async fn next(&mut self) -> Option<Next> {
        loop {
            let Some(until) = self.until else {
                match self.ask().await? {
                    Next::Wait(until) => self.until = Some(until),
                    next => return Some(next),
                }
                continue;
            };
            let wait = match &self.shared.config.virtual_time {
                // Only the clock's own topic moves virtual time.
                Some(_) => Duration::MAX,
                None => Duration::from_millis(until.since(now()).as_millis().unsigned_abs()),
            };
            let mut stopping = self.shared.stopping.clone();
            tokio::select! {
                notice = self.subscription.next() => match self.take(notice) {
                    Some(next) => return Some(next),
                    None => self.until = None,
                },
                () = tokio::time::sleep(wait) => self.until = None,
                _ = stopping.wait_for(|stopping| *stopping) => return None,
            }
        }
    }

    /// The piece that a notification brings to a reader who stands exactly where it begins. Those that came too early
    /// are passed over; `None` when the store must be asked.
    fn take(&mut self, first: Notice) -> Option<Next> {
        let mut notice = Some(first);
        while let Some(Notice::One(one)) = notice {
            if one.topic == Topic::Clock {
                return None;
            }
            if let Some(next) = self.live.as_mut()?.accept(&one) {
                return Some(next);
            }
            notice = self.subscription.ready();
        }
        None
    }

    async fn ask(&mut self) -> Option<Next> {
        let mut lent = Some(self.live.take()?);
        let config = Arc::clone(&self.shared.config);
        let asked = self.shared.readers.read(move |sql| {
            let mut live = lent.take()?;
            let next = engine::next(sql, &config, &mut live, now());
            Some((live, next))
        });
        let failed = |error: &SqlError| tracing::error!(%error, "a live read failed");
        let (live, next) = asked.await.inspect_err(failed).ok()??;
        self.live = Some(live);
        let (next, touch) = next.inspect_err(failed).ok()?;
        touch.into_iter().for_each(|touch| self.shared.queue.touch(touch));
        Some(next)
    }
}
