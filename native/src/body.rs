//! Reading a body: no more than admitted, and no longer than patience lasts.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use tokio::time::{Instant, timeout, timeout_at};

use crate::limits::{DRAIN, DRAIN_TIME, Patience};

/// Why a body was not read.
#[derive(Debug)]
pub(crate) enum Unread {
    /// It is longer than admitted; the rest is still to come.
    TooLarge(Incoming),
    /// It stopped coming, or came too slowly.
    TooSlow,
    /// The client has gone, or sent something that is not HTTP.
    Broken,
}

/// The whole body, at most `limit` bytes.
pub(crate) async fn read(mut body: Incoming, limit: usize, patience: Patience) -> Result<Vec<u8>, Unread> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(limit);
    let mut read = Vec::with_capacity(announced.min(limit).min(64 << 10));
    let start = Instant::now();
    loop {
        let earned = Duration::from_secs_f64(read.len() as f64 / patience.rate as f64);
        let deadline = (start + patience.silence + earned).min(Instant::now() + patience.silence);
        match timeout_at(deadline, body.frame()).await {
            Err(_) => return Err(Unread::TooSlow),
            Ok(None) => return Ok(read),
            Ok(Some(Err(_))) => return Err(Unread::Broken),
            Ok(Some(Ok(frame))) => {
                let data = data(frame);
                if read.len() + data.len() > limit {
                    return Err(Unread::TooLarge(body));
                }
                read.extend_from_slice(&data);
            }
        }
    }
}

/// Reads and throws away what is left of a refused body, up to a bound, beside its answer: closing the connection on a
/// client that is still sending would take the answer from it.
pub(crate) fn drain(mut body: Incoming) {
    if body.is_end_stream() {
        return;
    }
    tokio::spawn(timeout(DRAIN_TIME, async move {
        let mut drained = 0;
        while let Some(Ok(frame)) = body.frame().await {
            drained += data(frame).len();
            if drained > DRAIN {
                return;
            }
        }
    }));
}

/// Trailers are nobody's business here.
fn data(frame: Frame<Bytes>) -> Bytes {
    frame.into_data().unwrap_or_default()
}
