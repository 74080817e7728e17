//! The streams of an HTTP/2 connection. Its socket is read for all of them, so each is watched by itself: one whose reader
//! takes nothing is reset, and the others go on.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use hyper::rt::Executor;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep_until};

use crate::answer::{Answer, Body};

/// Runs the streams of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Streams {
    stall: Duration,
    open: watch::Sender<usize>,
}

impl Streams {
    /// Streams that are reset when an answer has waited for `stall`.
    pub(crate) fn new(stall: Duration) -> Self {
        Self { stall, open: watch::Sender::new(0) }
    }

    /// Waits until there has been none for this long.
    pub(crate) async fn idle(&self, quiet: Duration) {
        let mut open = self.open.subscribe();
        loop {
            let _ = open.wait_for(|open| *open == 0).await;
            if tokio::time::timeout(quiet, open.wait_for(|open| *open > 0)).await.is_err() {
                return;
            }
        }
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        self.open.send_modify(|open| *open += 1);
        let (counted, stall) = (Open(self.open.clone()), self.stall);
        tokio::spawn(async move {
            let _counted = counted;
            let pace = Arc::new(Pace::default());
            tokio::select! {
                () = PACE.scope(Arc::clone(&pace), stream) => {}
                () = pace.stalled(stall) => tracing::debug!("a stream whose reader took nothing is reset"),
            }
        });
    }
}

/// A stream, counted for as long as it is open.
struct Open(watch::Sender<usize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

tokio::task_local! {
    static PACE: Arc<Pace>;
}

/// Since when an answer waits for its reader to take a piece.
#[derive(Debug, Default)]
struct Pace(Mutex<Option<Instant>>);

impl Pace {
    fn set(&self, since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    /// Waits until it has waited for `stall`.
    async fn stalled(&self, stall: Duration) {
        loop {
            let since = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let until = since.unwrap_or_else(Instant::now) + stall;
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }
}

/// The body of an answer, in pieces that are handed over when the last has been taken.
#[derive(Debug)]
pub(crate) struct Paced {
    body: Body,
    left: Bytes,
    pace: Arc<Pace>,
    _place: Option<OwnedSemaphorePermit>,
}

/// An answer for the stream that runs, which keeps its place until it has been taken.
pub(crate) fn paced(answer: Answer, place: Option<OwnedSemaphorePermit>) -> hyper::Response<Paced> {
    let pace = PACE.try_with(Arc::clone).unwrap_or_default();
    answer.map(|body| Paced { body, left: Bytes::new(), pace, _place: place })
}

impl hyper::body::Body for Paced {
    type Data = Bytes;
    type Error = <Body as hyper::body::Body>::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.pace.set(None);
        while self.left.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.left = data,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                end => return Poll::Ready(end),
            }
        }
        let length = self.left.len();
        let piece = self.left.split_to(next_piece(length));
        self.pace.set(Some(Instant::now()));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (mut hint, left) = (self.body.size_hint(), self.left.len() as u64);
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + left);
        }
        hint.set_lower(hint.lower() + left);
        hint
    }
}

/// How much of so many bytes goes next. The last piece is small: what its reader does not take stays with the connection,
/// and nobody watches it.
fn next_piece(left: usize) -> usize {
    if left <= LAST_PIECE { left } else { PIECE.min(left - LAST_PIECE) }
}

const PIECE: usize = 16 << 10;
const LAST_PIECE: usize = 1 << 10;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use http_body_util::{BodyExt, Either, Full};

    use super::*;

    #[test]
    fn an_answer_goes_in_pieces_of_which_the_last_is_small() {
        let mut left = 100_000;
        let mut pieces = Vec::new();
        while left > 0 {
            pieces.push(next_piece(left));
            left -= pieces.last().unwrap();
        }
        assert_eq!(pieces, [16_384, 16_384, 16_384, 16_384, 16_384, 16_384, 672, 1024]);
        assert_eq!([next_piece(1024), next_piece(1025), next_piece(17_408)], [1024, 1, 16_384]);
    }

    #[tokio::test]
    async fn a_body_in_pieces_is_the_body() {
        let whole = Bytes::from((0..100_000_u32).map(|n| n as u8).collect::<Vec<_>>());
        let paced = paced(hyper::Response::new(Either::Left(Full::new(whole.clone()))), None).into_body();
        assert_eq!(hyper::body::Body::size_hint(&paced).exact(), Some(100_000));
        assert_eq!(paced.collect().await.unwrap().to_bytes(), whole);
    }

    #[tokio::test]
    async fn a_connection_is_idle_when_its_last_stream_has_been_over_for_a_while() {
        let streams = Streams::new(Duration::from_secs(30));
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        streams.execute(async { drop(ended.await) });
        let quiet = Duration::from_millis(50);
        let waited = tokio::time::timeout(quiet * 4, streams.idle(quiet));
        assert!(waited.await.is_err(), "a stream is open");
        drop(end);
        tokio::time::timeout(Duration::from_secs(10), streams.idle(quiet)).await.unwrap();
    }
}
