//! `PUT` on a stream: create it, or confirm that it is as asked (stream protocol, section 3).

use http::StatusCode;

use super::access::Owner;
use super::content::Content;
use super::delete::remove;
use super::fork::{self, AskedFork};
use super::lifetime::Lifetime;
use super::write::{Cause, close, write};
use crate::engine::Done;
use crate::http::{Call, Error, Refusal, Request, Response};
use crate::limits::KEPT_HEADER;
use crate::store::{SqlError, StreamRow, Tx, is_json, media_type};
use crate::subscription;

/// Creates the stream at the request's path: 201, or 200 when it exists with the same configuration.
pub(crate) fn create(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let (tx, request) = (call.store, call.request);
    let by = call.by()?;
    let path = call.stream_path();
    let asked = Asked::of(request, tx)?;
    let owner = Owner::of(tx, path)?;
    owner.check_write(tx, by, request, path)?;
    if let Some(existing) = tx.stream(path)? {
        if existing.deleted {
            return Err(kept_for_forks(path).into());
        }
        if !existing.lifetime.is_over(tx.now) {
            return confirm(tx, &existing, &asked).map(Done::from);
        }
        if existing.refs > 0 {
            return Err(kept_for_forks(path).into());
        }
        remove(tx, existing)?;
    }
    let origin = asked.fork.as_ref().map(|fork| fork::resolve(tx, by, fork)).transpose()?;
    let source = origin.as_ref().map(|origin| &origin.source);
    let content_type = asked.content_type(source);
    if let Some(source) = source
        && media_type(&source.content_type) != media_type(content_type)
    {
        let message = format!("a fork holds what its source does: `{}`, not `{content_type}`", source.content_type);
        return Err(Refusal::plain(StatusCode::CONFLICT, message).into());
    }
    let content = if request.body.is_empty() {
        Content::Bytes(&[])
    } else {
        Content::parse(is_json(content_type), &request.body)?
    };

    let lifetime = asked.lifetime(source, tx);
    let mut stream = match &origin {
        Some(origin) => fork::branch(tx, path, content_type, lifetime, origin)?,
        None => tx.insert_stream_with(path, content_type, lifetime, None, false)?,
    };
    subscription::has_come(tx, &mut stream)?;
    stream.closed = asked.closing;
    if !content.is_empty() {
        write(tx, &mut stream, &content, Cause::outside(owner.class()))?;
    }
    if asked.closing {
        close(tx, &mut stream)?;
    }
    let location = format!("{}{path}", tx.root_url()?);
    Ok(describe(&stream, StatusCode::CREATED).with("location", location).into())
}

/// Whether the request closes the stream: only the value `true`, in any case, counts.
pub(super) fn wants_close(request: &Request) -> bool {
    request.header("stream-closed").is_some_and(|v| v.eq_ignore_ascii_case("true"))
}

/// What a request asks a stream to be.
struct Asked<'a> {
    content_type: Option<&'a str>,
    lifetime: Lifetime,
    closing: bool,
    fork: Option<AskedFork>,
}

impl<'a> Asked<'a> {
    fn of(request: &'a Request, tx: &Tx<'_>) -> Result<Self, Refusal> {
        let lifetime = Lifetime::of(request, tx.now)?;
        let fork = AskedFork::of(request, &tx.config.stream_root)?;
        let content_type = request.header("content-type").filter(|t| is_content_type(t));
        if content_type.is_some_and(|t| t.len() > KEPT_HEADER) {
            let message = format!("a content type is at most {KEPT_HEADER} bytes long");
            return Err(Refusal::plain(StatusCode::BAD_REQUEST, message));
        }
        Ok(Self { content_type, lifetime, closing: wants_close(request), fork })
    }

    fn content_type<'b>(&self, source: Option<&'b StreamRow>) -> &'b str
    where
        'a: 'b,
    {
        self.content_type.or(source.map(|s| s.content_type.as_str())).unwrap_or("application/octet-stream")
    }

    fn lifetime(&self, source: Option<&StreamRow>, tx: &Tx<'_>) -> Lifetime {
        match source {
            Some(source) if self.lifetime == Lifetime::default() => source.lifetime.inherited(tx.now),
            _ => self.lifetime.clone(),
        }
    }
}

/// Compares a live stream with what is asked for: what a fork's request leaves out is its source's.
fn confirm(tx: &Tx<'_>, existing: &StreamRow, asked: &Asked<'_>) -> Result<Response, Error> {
    let source = match existing.fork {
        Some(fork) => tx.stream_by_id(fork.source)?,
        None => None,
    };
    let content_type = asked.content_type(source.as_ref());
    let conflict = if media_type(&existing.content_type) != media_type(content_type) {
        format!("the stream exists with content type `{}`", existing.content_type)
    } else if !existing.lifetime.is_like(&asked.lifetime(source.as_ref(), tx)) {
        "the stream exists with another lifetime".to_owned()
    } else if existing.closed != asked.closing {
        format!("the stream exists and is {}", if existing.closed { "closed" } else { "open" })
    } else if !fork::is_like(existing.fork, source.as_ref(), asked.fork.as_ref()) {
        "the stream exists with another origin".to_owned()
    } else {
        return Ok(describe(existing, StatusCode::OK));
    };
    Err(Refusal::plain(StatusCode::CONFLICT, conflict).into())
}

/// Makes a JSON stream for the server's own sake where none is: one whose time is over gives way, and whoever waited for it
/// is told.
///
/// # Errors
/// When one that is deleted is kept there for its forks.
pub(crate) fn make_if_free(tx: &Tx<'_>, path: &str) -> Result<(), Error> {
    if let Some(existing) = tx.stream(path)? {
        let over = existing.lifetime.is_over(tx.now);
        if existing.deleted || over && existing.refs > 0 {
            return Err(kept_for_forks(path).into());
        }
        if !over {
            return Ok(());
        }
        remove(tx, existing)?;
    }
    let mut stream = tx.insert_stream(path, "application/json")?;
    Ok(subscription::has_come(tx, &mut stream)?)
}

fn describe(stream: &StreamRow, status: StatusCode) -> Response {
    let mut response = Response::empty(status)
        .with("content-type", &stream.content_type)
        .with("stream-next-offset", stream.tail.to_string());
    if stream.closed {
        response.set("stream-closed", "true");
    }
    response
}

fn kept_for_forks(path: &str) -> Refusal {
    Refusal::plain(StatusCode::CONFLICT, format!("`{path}` was deleted and is kept for its forks"))
}

/// Whether a text is a content type: `type/subtype`, whatever follows.
pub(crate) fn is_content_type(text: &str) -> bool {
    let word = |part: &str| part.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    text.split_once('/').is_some_and(|(kind, rest)| {
        word(rest) && !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    })
}

/// Creates a stream to announce wakes on, at a path that has none.
pub(crate) fn make_wake_stream(tx: &Tx<'_>, path: &str) -> Result<StreamRow, SqlError> {
    let mut stream = tx.insert_wake_stream(path)?;
    subscription::has_come(tx, &mut stream)?;
    Ok(stream)
}
