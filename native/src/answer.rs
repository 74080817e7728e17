//! Answers on their way out, and those that the host itself must give because the engine could not.

use std::io;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{Either, Full};
use hyper::StatusCode;
use reveille_core::http::{Refusal, Response, dress};

/// A body: whole, or sent piece by piece.
pub(crate) type Body = Either<Full<Bytes>, UnsyncBoxBody<Bytes, io::Error>>;

/// What goes to the client.
pub(crate) type Answer = hyper::Response<Body>;

/// A whole answer.
pub(crate) fn whole(response: Response) -> Answer {
    let mut answer = hyper::Response::new(Either::Left(Full::new(Bytes::from(response.body))));
    *answer.status_mut() = response.status;
    *answer.headers_mut() = response.headers;
    answer
}

/// Why a request was not served. Nothing of it was kept; trying again is safe.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Busy {
    /// The engine's queue is full.
    Queue,
    /// There are too many live readers.
    LiveReaders,
    /// The server is shutting down.
    Stopping,
    /// The store could not be read.
    Failed,
}

/// The 503 for `path`.
pub(crate) fn refuse(busy: Busy, path: &str) -> Answer {
    let (code, message, retry_after) = match busy {
        Busy::Queue => ("OVERLOADED", "more requests are waiting than the server keeps in line; try again", "1"),
        Busy::LiveReaders => ("OVERLOADED", "more live readers are connected than the server keeps; try again", "5"),
        Busy::Stopping => ("SERVER_STOPPING", "Server is shutting down", "1"),
        Busy::Failed => ("STORE_UNAVAILABLE", "the store could not be read; try again", "1"),
    };
    let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, code, message).with("retry-after", retry_after);
    let mut response = refusal.response();
    dress(&mut response, path);
    whole(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_may_read_why_it_was_turned_away_and_when_to_come_again() {
        for (busy, code) in [
            (Busy::Queue, "OVERLOADED"),
            (Busy::LiveReaders, "OVERLOADED"),
            (Busy::Stopping, "SERVER_STOPPING"),
            (Busy::Failed, "STORE_UNAVAILABLE"),
        ] {
            let answer = refuse(busy, "/_electric/entities");
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(answer.headers()["access-control-allow-origin"], "*", "{busy:?}");
            assert!(answer.headers().contains_key("retry-after"), "{busy:?}");
            let Either::Left(body) = answer.into_body() else { panic!("it is whole") };
            let text = format!("{body:?}");
            assert!(text.contains(code), "{text}");
        }
    }
}
