//! `GET` and `HEAD` on a stream: catch-up, and the beginning of a live read (stream protocol, section 6).

use http::StatusCode;

use super::access::Owner;
use super::live::{Live, Mode};
use super::offset::Offset;
use crate::engine::Reply;
use crate::http::{Call, Error, Refusal, Response};
use crate::limits::READ;
use crate::store::{Read, SqlError, StreamRow};
use crate::time::Time;

/// Reads the stream at the request's path from the `offset` of its query.
pub(crate) fn read(call: &Call<'_, Read<'_>>) -> Result<Reply, Error> {
    let (read, request) = (call.store, call.request);
    let by = call.by()?;
    let path = call.stream_path()?;
    let stream = find(read, path)?;
    Owner::of(read, path)?.check_read(by, path)?;
    let offsets = request.query_all("offset");
    if offsets.len() > 1 {
        return Err(bad("more than one `offset`"));
    }
    let mode = match request.query_one("live").as_deref() {
        None => None,
        Some("long-poll") => Some(Mode::LongPoll),
        Some("sse") => Some(Mode::Sse),
        Some(other) => return Err(bad(&format!("`live` is `long-poll` or `sse`, not `{other}`"))),
    };
    if mode.is_some() && offsets.is_empty() {
        return Err(bad("a live read names its `offset`"));
    }
    let tail = read.tail(stream.id)?;
    let from = match offsets.first().map(AsRef::as_ref) {
        None | Some("-1") => Offset::ZERO,
        Some("now") => tail,
        Some(text) => Offset::parse(text).ok_or_else(|| bad(&format!("`{text}` is not an offset")))?.min(tail),
    };
    let now = offsets.first().is_some_and(|o| o == "now");
    let start = offsets.first().map_or("-1", AsRef::as_ref);
    let cursor = cursor(read.now, request.query_one("cursor").as_deref(), stream.id);
    match mode {
        Some(Mode::Sse) => Ok(Reply::Live(Box::new(Live::new(read, &stream, by, Mode::Sse, from, cursor)))),
        Some(Mode::LongPoll) if from == tail && !stream.closed => {
            Ok(Reply::Live(Box::new(Live::new(read, &stream, by, Mode::LongPoll, from, cursor))))
        }
        Some(Mode::LongPoll) if from == tail => Ok(Reply::Whole(nothing_new(&stream, tail, &cursor))),
        live => {
            let mut body = gather(read, &stream, from)?;
            if body.at == tail && now {
                body.cacheable = false;
            }
            let mut response = answer(&stream, start, &body, tail);
            if live.is_some() {
                response.set("stream-cursor", &cursor);
            }
            Ok(Reply::Whole(unless_known(response, request.header("if-none-match"))))
        }
    }
}

/// The metadata of the stream at the request's path.
pub(crate) fn head(call: &Call<'_, Read<'_>>) -> Result<Reply, Error> {
    let read = call.store;
    let by = call.by()?;
    let path = call.stream_path()?;
    let stream = find(read, path)?;
    Owner::of(read, path)?.check_read(by, path)?;
    let mut response = Response::empty(StatusCode::OK)
        .with("content-type", &stream.content_type)
        .with("stream-next-offset", read.tail(stream.id)?.to_string())
        .with("cache-control", "no-store");
    if stream.closed {
        response.set("stream-closed", "true");
    }
    Ok(Reply::Whole(response))
}

/// What a read gathers: whole entries after an offset, at most about [`READ`] bytes.
pub(super) struct Body {
    /// Where it ends.
    pub(super) at: Offset,
    /// The bytes as a reader gets them: a JSON array, or the entries end to end.
    pub(super) bytes: Vec<u8>,
    /// Whether caches may keep it.
    pub(super) cacheable: bool,
}

/// Gathers what follows `from`.
pub(super) fn gather(read: &Read<'_>, stream: &StreamRow, from: Offset) -> Result<Body, SqlError> {
    let mut joined = Vec::new();
    let json = stream.is_json();
    let at = read.entries(stream.id, from, READ, |_, entry| {
        if json && !joined.is_empty() {
            joined.push(b',');
        }
        joined.extend_from_slice(entry);
    })?;
    Ok(Body { at, bytes: if json { array(joined) } else { joined }, cacheable: true })
}

/// JSON messages joined by commas, as an array.
pub(super) fn array(mut joined: Vec<u8>) -> Vec<u8> {
    joined.insert(0, b'[');
    joined.push(b']');
    joined
}

/// A 200 with what was gathered.
pub(super) fn answer(stream: &StreamRow, start: &str, body: &Body, tail: Offset) -> Response {
    let complete = body.at >= tail;
    let mut response = Response { body: body.bytes.clone(), ..Response::empty(StatusCode::OK) }
        .with("content-type", &stream.content_type)
        .with("stream-next-offset", body.at.to_string());
    if complete {
        response.set("stream-up-to-date", "true");
    }
    let closed = stream.closed && complete;
    if closed {
        response.set("stream-closed", "true");
    }
    if body.cacheable {
        let mark = if closed { ":c" } else { "" };
        response.set("etag", format!("\"{}:{start}:{}{mark}\"", stream.id, body.at));
        response.set("cache-control", "private, max-age=60, stale-while-revalidate=300");
    } else {
        response.set("cache-control", "no-store");
    }
    response
}

/// The 204 of a long-poll that ends without data.
pub(super) fn nothing_new(stream: &StreamRow, at: Offset, cursor: &str) -> Response {
    let mut response = Response::empty(StatusCode::NO_CONTENT)
        .with("stream-next-offset", at.to_string())
        .with("stream-up-to-date", "true")
        .with("stream-cursor", cursor)
        .with("cache-control", "no-store");
    if stream.closed {
        response.set("stream-closed", "true");
    }
    response
}

/// The cursor of a live answer: 20-second intervals since October 2024, always ahead of the client's (section 6.3).
pub(super) fn cursor(now: Time, client: Option<&str>, stream: i64) -> String {
    let current = (now.as_secs() - CURSOR_EPOCH).max(0) / CURSOR_INTERVAL;
    let ahead =
        client.filter(|c| !c.is_empty() && c.bytes().all(|b| b.is_ascii_digit())).and_then(|c| c.parse::<i64>().ok());
    match ahead {
        // Spread over an hour, so that clients that share a cache do not come back together.
        Some(client) if client >= current => client.saturating_add(1 + (client ^ stream).rem_euclid(180)).to_string(),
        _ => current.to_string(),
    }
}

fn unless_known(response: Response, known: Option<&str>) -> Response {
    let (Some(known), Some(tag)) = (known, response.headers.get("etag").and_then(|v| v.to_str().ok())) else {
        return response;
    };
    let matches = known.split(',').any(|k| k.trim().trim_start_matches("W/") == tag || k.trim() == "*");
    if !matches {
        return response;
    }
    let mut unchanged = Response { headers: response.headers, ..Response::empty(StatusCode::NOT_MODIFIED) };
    unchanged.headers.remove("content-type");
    unchanged
}

fn find(read: &Read<'_>, path: &str) -> Result<StreamRow, Error> {
    Ok(read.stream(path)?.ok_or_else(|| Refusal::plain(StatusCode::NOT_FOUND, format!("no stream at `{path}`")))?)
}

fn bad(message: &str) -> Error {
    Refusal::plain(StatusCode::BAD_REQUEST, message).into()
}

const CURSOR_EPOCH: i64 = 1_728_432_000;
const CURSOR_INTERVAL: i64 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_cursor_is_always_ahead_of_the_clients() {
        let now = Time::from_millis((CURSOR_EPOCH + 100) * 1000);
        assert_eq!(cursor(now, None, 1), "5");
        assert_eq!(cursor(now, Some("4"), 1), "5");
        assert_eq!(cursor(now, Some("nonsense"), 1), "5");
        for client in ["5", "6", "900"] {
            let next: i64 = cursor(now, Some(client), 1).parse().expect("digits");
            assert!(next > client.parse().expect("digits"));
        }
    }
}
