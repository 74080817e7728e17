//! Answers: the headers and control messages that clients cannot do without (electric shapes, sections 1.3 and 1.6).

use http::StatusCode;
use serde_json::{Value as Json, json};

use super::Shape;
use super::delta::Delta;
use super::handle::{self, Place};
use crate::http::Response;
use crate::store::{Read, SqlError};
use crate::time::Time;

/// What a snapshot of rows has come to.
pub(super) struct Rows {
    pub(super) messages: Vec<Json>,
    /// Where it stands, when there is more.
    pub(super) within: Option<i64>,
}

/// Rows, and when they are complete, that they are.
pub(super) fn rows(shape: &Shape, handle: &str, at: i64, rows: Rows, loose: bool) -> Response {
    let mut messages = rows.messages;
    let complete = rows.within.is_none();
    if complete {
        let next = (at + 1).to_string();
        messages.push(json!({ "headers": { "control": "snapshot-end", "xmin": next, "xmax": next, "xip_list": [] } }));
        messages.push(up_to_date(at));
    }
    let place = Place { at, within: rows.within.unwrap_or(0), loose: complete && loose };
    whole(handle, place, &messages, complete, true).with("electric-schema", shape.spec.schema())
}

/// That there are no rows before a commit that anybody wants.
pub(super) fn no_rows(read: &Read<'_>, shape: &Shape, at: i64) -> Result<Response, SqlError> {
    Ok(rows(shape, &handle::fresh(read, shape)?, at, Rows { messages: Vec::new(), within: None }, false))
}

/// That everything before a commit is passed over.
pub(super) fn nothing(read: &Read<'_>, shape: &Shape, at: i64) -> Result<Response, SqlError> {
    let answer =
        whole(&handle::fresh(read, shape)?, Place { at, within: 0, loose: false }, &[up_to_date(at)], true, false);
    Ok(answer.with("electric-schema", shape.spec.schema()))
}

/// Changes, and when they are all, that they are.
pub(super) fn changes(handle: &str, delta: &Delta) -> Response {
    let messages = delta.told();
    whole(handle, delta.to, &messages, delta.complete, !delta.messages.is_empty())
}

/// That the condition costs more than an answer may.
pub(super) fn too_expensive() -> Response {
    let body = json!({ "message": "Invalid request", "errors": { "where": ["is too expensive on these rows"] } });
    Response::json(StatusCode::BAD_REQUEST, &body).with("cache-control", "no-store")
}

/// That the reader must begin anew.
pub(super) fn gone(read: &Read<'_>, shape: &Shape, refused: &str) -> Result<Response, SqlError> {
    let body = json!([{ "headers": { "control": "must-refetch" } }]);
    let response =
        Response::json(StatusCode::CONFLICT, &body).with("electric-handle", handle::instead(read, shape, refused)?);
    Ok(response.with("cache-control", "no-store"))
}

fn whole(handle: &str, place: Place, messages: &[Json], up_to_date: bool, has_data: bool) -> Response {
    let mut response = headed(Response::json(StatusCode::OK, &messages), handle, place);
    if up_to_date {
        response.headers.insert("electric-up-to-date", http::HeaderValue::from_static(""));
    }
    response.with("electric-has-data", if has_data { "true" } else { "false" })
}

/// The headers of every answer that knows its shape.
pub(super) fn headed(response: Response, handle: &str, place: Place) -> Response {
    response.with("electric-handle", handle).with("electric-offset", place.text()).with("cache-control", "no-store")
}

/// The message that ends everything which is complete.
pub(super) fn up_to_date(at: i64) -> Json {
    json!({ "headers": { "control": "up-to-date", "global_last_seen_lsn": at.to_string() } })
}

/// The cursor of a live answer: it moves with time, and past the one that was sent.
pub(super) fn cursor(now: Time, sent: i64) -> String {
    let current = (now.as_secs() - CURSOR_EPOCH).max(0) / CURSOR_STEP * CURSOR_STEP + CURSOR_STEP;
    if current > sent { current } else { sent.saturating_add(1 + sent.rem_euclid(3600)) }.to_string()
}

/// 2024-10-09T00:00:00Z.
const CURSOR_EPOCH: i64 = 1_728_432_000;
const CURSOR_STEP: i64 = 20;
