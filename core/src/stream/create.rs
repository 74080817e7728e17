//! `PUT` on a stream: create it, or confirm that it is as asked (stream protocol, section 3).

use http::StatusCode;

use super::access::Owner;
use super::content::Content;
use super::write::{Cause, Class, close, write};
use crate::engine::Done;
use crate::http::{Call, Error, Refusal, Response};
use crate::store::{StreamRow, Tx, media_type};

/// Creates the stream at the request's path: 201, or 200 when it exists with the same configuration.
pub(crate) fn create(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let (tx, request) = (call.store, call.request);
    call.by()?;
    let path = call.stream_path()?;
    for unsupported in
        ["stream-ttl", "stream-expires-at", "stream-forked-from", "stream-fork-offset", "stream-fork-sub-offset"]
    {
        if request.headers.contains_key(unsupported) {
            return Err(
                Refusal::plain(StatusCode::NOT_IMPLEMENTED, format!("`{unsupported}` is not supported yet")).into()
            );
        }
    }
    Owner::of(tx, path)?.check_write(path)?;
    let content_type =
        request.header("content-type").filter(|t| is_content_type(t)).unwrap_or("application/octet-stream");
    let closing = wants_close(request);
    if let Some(existing) = tx.stream(path)? {
        return confirm(tx, &existing, content_type, closing).map(Done::from);
    }
    let json = media_type(content_type) == "application/json";
    let content = if request.body.is_empty() { Content::Bytes(&[]) } else { Content::parse(json, &request.body)? };
    let mut stream = tx.insert_stream(path, content_type, tx.now)?;
    stream.closed = closing;
    if !content.is_empty() {
        write(tx, &stream, &content, Cause::outside(Class::Any))?;
    }
    if closing {
        close(tx, &mut stream)?;
    }
    let location = format!("{}{path}", tx.public_url()?);
    Ok(describe(tx, &stream, StatusCode::CREATED)?.with("location", location).into())
}

/// Whether the request closes the stream: only the value `true`, in any case, counts.
pub(super) fn wants_close(request: &crate::http::Request) -> bool {
    request.header("stream-closed").is_some_and(|v| v.eq_ignore_ascii_case("true"))
}

fn confirm(tx: &Tx<'_>, existing: &StreamRow, content_type: &str, closing: bool) -> Result<Response, Error> {
    if media_type(&existing.content_type) != media_type(content_type) {
        let message = format!("the stream exists with content type `{}`", existing.content_type);
        return Err(Refusal::plain(StatusCode::CONFLICT, message).into());
    }
    if existing.closed != closing {
        let state = if existing.closed { "closed" } else { "open" };
        return Err(Refusal::plain(StatusCode::CONFLICT, format!("the stream exists and is {state}")).into());
    }
    Ok(describe(tx, existing, StatusCode::OK)?)
}

fn describe(tx: &Tx<'_>, stream: &StreamRow, status: StatusCode) -> Result<Response, crate::store::SqlError> {
    let mut response = Response::empty(status)
        .with("content-type", &stream.content_type)
        .with("stream-next-offset", tx.tail_of(stream)?.to_string());
    if stream.closed {
        response.set("stream-closed", "true");
    }
    Ok(response)
}

/// `type/subtype`, whatever follows.
fn is_content_type(text: &str) -> bool {
    let word = |part: &str| part.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    text.split_once('/').is_some_and(|(kind, rest)| {
        word(rest) && !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    })
}
