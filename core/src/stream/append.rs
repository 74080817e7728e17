//! `POST` on a stream: append, close, or both (stream protocol, sections 4 and 5).

use std::collections::BTreeSet;

use http::StatusCode;

use super::access::Owner;
use super::content::Content;
use super::create::wants_close;
use super::find::find;
use super::producer::{Accepted, Judgement, Producer, judge};
use super::write::{Cause, close, write};
use crate::dispatch::write_token::{self, InvalidWriteToken};
use crate::engine::Done;
use crate::entity::{added_rows, validate};
use crate::http::{Call, Error, Refusal, Request, Response};
use crate::limits::KEPT_HEADER;
use crate::store::{StreamRow, Tx};

/// Appends the request's body to the stream at its path.
pub(crate) fn append(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let (tx, request) = (call.store, call.request);
    let by = call.by()?;
    let path = call.stream_path();
    let producer = Producer::of(request)?;
    let owner = Owner::of(tx, path)?;
    let cause = match &owner {
        Owner::Entity(entity) => write_token::check(tx, entity, request.claim_token())?,
        Owner::Attachment(_) => return Err(InvalidWriteToken.into()),
        _ => {
            owner.check_write(tx, by, request, path)?;
            Cause::outside(owner.class())
        }
    };
    let mut stream = find(tx, path)?;
    let (closing, empty) = (wants_close(request), request.body.is_empty());
    if empty && !closing {
        return Err(Refusal::plain(StatusCode::BAD_REQUEST, "an append has a body, or closes the stream").into());
    }
    let content_type = request.header("content-type");
    if !empty && content_type.is_none() {
        return Err(Refusal::plain(StatusCode::BAD_REQUEST, "an append with a body names its `content-type`").into());
    }
    let used = stream.lifetime.use_at(tx.now);
    if stream.closed {
        let repeat = answer_closed(&stream, producer.as_ref(), empty)?;
        return remember(tx, &stream, used).map(|()| repeat.into());
    }
    if let Some(given) = content_type.filter(|given| !empty && !stream.takes(given)) {
        let message = format!("the stream holds `{}`, not `{given}`", stream.content_type);
        return Err(Refusal::plain(StatusCode::CONFLICT, message).into());
    }
    if let Some(producer) = &producer
        && let Some(repeat) = judge_producer(tx, &stream, producer)?
    {
        return remember(tx, &stream, used).map(|()| repeat.into());
    }
    let content = if empty { None } else { Some(Content::parse(stream.is_json(), &request.body)?) };
    if content.as_ref().is_some_and(Content::is_empty) {
        return Err(Refusal::plain(StatusCode::BAD_REQUEST, "an append of no messages").into());
    }
    let mut only_added = BTreeSet::new();
    if let (Owner::Entity(entity), Some(Content::Json(messages))) = (&owner, &content) {
        only_added = added_rows::only_added(validate::events(tx, entity, messages)?.as_ref());
    }
    let sequenced = check_seq(&mut stream, seq_of(request)?)?;

    stream.closed = closing;
    if let Some(content) = &content {
        let end = write(tx, &mut stream, content, cause)?;
        if let Content::Json(messages) = content {
            added_rows::note(tx, &stream, &only_added, messages, end, &[])?;
        }
    }
    if let Some(producer) = &producer {
        tx.write_producer(stream.id, &producer.name, Accepted { epoch: producer.epoch, seq: producer.seq })?;
    }
    if closing {
        stream.closed_by = producer.as_ref().map(closer);
        close(tx, &mut stream)?;
    } else {
        remember(tx, &stream, sequenced || used)?;
    }
    let status = if producer.is_some() && content.is_some() { StatusCode::OK } else { StatusCode::NO_CONTENT };
    Ok(answer(&stream, status, producer.as_ref().map(|p| (p.epoch, p.seq))).into())
}

/// Writes what has changed of a stream, if anything has: a repeated append is a use, too.
fn remember(tx: &Tx<'_>, stream: &StreamRow, changed: bool) -> Result<(), Error> {
    if changed { Ok(tx.update_stream(stream)?) } else { Ok(()) }
}

/// An append to a closed stream: 409, unless it repeats the close that was accepted.
fn answer_closed(stream: &StreamRow, producer: Option<&Producer>, close_only: bool) -> Result<Response, Error> {
    let repeats = match producer {
        Some(producer) => stream.closed_by.as_deref() == Some(&closer(producer)),
        None => close_only,
    };
    if repeats {
        return Ok(answer(stream, StatusCode::NO_CONTENT, producer.map(|p| (p.epoch, p.seq))));
    }
    Err(Refusal::plain(StatusCode::CONFLICT, "the stream is closed")
        .with("stream-closed", "true")
        .with("stream-next-offset", stream.tail.to_string())
        .into())
}

/// Refuses an append out of order; `Some` answers one that was seen before.
fn judge_producer(tx: &Tx<'_>, stream: &StreamRow, producer: &Producer) -> Result<Option<Response>, Error> {
    let last = tx.producer(stream.id, &producer.name)?;
    match judge(last, producer.epoch, producer.seq) {
        Judgement::Accept => Ok(None),
        Judgement::Duplicate => Ok(Some(answer(stream, StatusCode::NO_CONTENT, last.map(|l| (l.epoch, l.seq))))),
        Judgement::Fenced => {
            let current = last.map_or(0, |l| l.epoch);
            let message = format!("epoch {} is fenced: the producer is at epoch {current}", producer.epoch);
            Err(Refusal::plain(StatusCode::FORBIDDEN, message).with("producer-epoch", current.to_string()).into())
        }
        Judgement::BadEpoch => {
            Err(Refusal::plain(StatusCode::BAD_REQUEST, "a new epoch begins with `producer-seq` 0").into())
        }
        Judgement::Gap { expected } => {
            let message = format!("sequence {} is out of order: {expected} is next", producer.seq);
            Err(Refusal::plain(StatusCode::CONFLICT, message)
                .with("producer-expected-seq", expected.to_string())
                .with("producer-received-seq", producer.seq.to_string())
                .into())
        }
    }
}

/// The `stream-seq` of a request.
fn seq_of(request: &Request) -> Result<Option<&str>, Refusal> {
    let refuse = |_| Refusal::plain(StatusCode::BAD_REQUEST, "`stream-seq` is plain ASCII");
    let value = request.headers.get("stream-seq").map(|value| value.to_str().map_err(refuse)).transpose()?;
    Ok(value.map(str::trim).filter(|value| !value.is_empty()))
}

/// Refuses a `stream-seq` that does not follow the last. Says whether there was one.
fn check_seq(stream: &mut StreamRow, seq: Option<&str>) -> Result<bool, Refusal> {
    let Some(seq) = seq else { return Ok(false) };
    if seq.len() > KEPT_HEADER {
        let message = format!("`stream-seq` is at most {KEPT_HEADER} bytes long");
        return Err(Refusal::plain(StatusCode::BAD_REQUEST, message));
    }
    if let Some(last) = stream.last_seq.as_deref().filter(|last| seq.as_bytes() <= last.as_bytes()) {
        let message = format!("Sequence conflict: `{seq}` does not follow `{last}`");
        return Err(Refusal::plain(StatusCode::CONFLICT, message));
    }
    stream.last_seq = Some(seq.to_owned());
    Ok(true)
}

fn answer(stream: &StreamRow, status: StatusCode, producer: Option<(i64, i64)>) -> Response {
    let mut response = Response::empty(status).with("stream-next-offset", stream.tail.to_string());
    if stream.closed {
        response.set("stream-closed", "true");
    }
    if let Some((epoch, seq)) = producer {
        response.set("producer-epoch", epoch.to_string());
        response.set("producer-seq", seq.to_string());
    }
    response
}

/// Who closed a stream, as it is stored.
fn closer(producer: &Producer) -> String {
    serde_json::json!([producer.name, producer.epoch, producer.seq]).to_string()
}
