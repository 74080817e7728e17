//! `GET` and `HEAD` on a stream: catch-up, and the beginning of a live read (stream protocol, section 6).

use http::StatusCode;

use super::access::Owner;
use super::find::find;
use super::live::{Follow, Mode};
use super::offset::Offset;
use super::touch::wants_use;
use crate::effect::Touch;
use crate::engine::Reply;
use crate::http::{Call, Error, Refusal, Response};
use crate::limits::READ;
use crate::live::Live;
use crate::observe::asleep;
use crate::store::{Read, SqlError, StreamRow};
use crate::time::Time;

/// Reads the stream at the request's path from the `offset` of its query.
pub(crate) fn read(call: &Call<'_, Read<'_>>) -> Result<Reply, Error> {
    let (read, request) = (call.store, call.request);
    let by = call.by()?;
    let path = call.stream_path();
    let stream = find(read, path)?;
    Owner::of(read, path)?.check_read(read, by, path)?;
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
    let tail = stream.tail;
    let start = offsets.first().map_or("-1", AsRef::as_ref);
    let from = match start {
        "-1" => Offset::ZERO,
        "now" => tail,
        text => Offset::parse(text).ok_or_else(|| bad(&format!("`{text}` is not an offset")))?.min(tail),
    };
    if wants_use(read, &stream)? {
        read.touch(Touch::Stream(stream.id));
    }
    let cursor = cursor(read.now, request.query_one("cursor").as_deref(), stream.id);
    match mode {
        Some(Mode::LongPoll) if from == tail && stream.closed => Ok(Reply::Whole(nothing_new(&stream, tail, &cursor))),
        Some(mode) if mode == Mode::Sse || from == tail => {
            let follow = Follow::new(read, stream, by, mode, from, cursor);
            Ok(Reply::Live(Box::new(Live::stream(follow))))
        }
        live => {
            let mut body = gather(read, &stream, from)?;
            body.cacheable = !(start == "now" && body.at == tail);
            let mut response = answer(&stream, start, body);
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
    let path = call.stream_path();
    let stream = find(read, path)?;
    Owner::of(read, path)?.check_read(read, by, path)?;
    if asleep::wants_look(read, &stream)? {
        read.touch(Touch::Stream(stream.id));
    }
    let mut response = Response::empty(StatusCode::OK)
        .with("content-type", &stream.content_type)
        .with("stream-next-offset", stream.tail.to_string())
        .with("cache-control", "no-store");
    if stream.closed {
        response.set("stream-closed", "true");
    }
    if let Some(ttl) = stream.lifetime.ttl {
        response.set("stream-ttl", (ttl.as_millis() / 1000).to_string());
    }
    if let Some(at) = &stream.lifetime.expires_at {
        response.set("stream-expires-at", at);
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
    let ahead = usize::try_from(stream.tail.bytes() - from.bytes()).unwrap_or(READ).min(READ);
    let mut bytes = Vec::with_capacity(ahead + ahead / 8 + 2);
    let json = stream.is_json();
    let at = read.entries(stream, from, READ, |_, entry| {
        if json {
            bytes.push(if bytes.is_empty() { b'[' } else { b',' });
        }
        bytes.extend_from_slice(entry);
    })?;
    if json {
        if bytes.is_empty() {
            bytes.push(b'[');
        }
        bytes.push(b']');
    }
    Ok(Body { at, bytes, cacheable: true })
}

/// JSON messages joined by commas, as an array.
pub(super) fn array(joined: &[u8]) -> Vec<u8> {
    [b"[", joined, b"]"].concat()
}

/// A 200 with what was gathered.
pub(super) fn answer(stream: &StreamRow, start: &str, body: Body) -> Response {
    let Body { at, bytes, cacheable } = body;
    let complete = at >= stream.tail;
    let mut response = Response { body: bytes, ..Response::empty(StatusCode::OK) }
        .with("content-type", &stream.content_type)
        .with("stream-next-offset", at.to_string());
    if complete {
        response.set("stream-up-to-date", "true");
    }
    let closed = stream.closed && complete;
    if closed {
        response.set("stream-closed", "true");
    }
    if cacheable {
        let mark = match (complete, closed) {
            (false, _) => ":p",
            (true, false) => "",
            (true, true) => ":c",
        };
        response.set("etag", format!("\"{}:{start}:{at}{mark}\"", stream.id));
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
    let ahead = client
        .filter(|c| !c.is_empty() && c.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|c| c.parse::<i64>().ok())
        .filter(|c| *c < i64::MAX / 2);
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
