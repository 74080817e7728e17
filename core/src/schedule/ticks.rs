//! Chains of ticks: one stream for each spelling of an expression and a zone, which says when it was time. A chain ticks
//! while somebody observes it, and begins again when somebody does (wake specification, section 3.6).

use http::StatusCode;
use serde_json::json;

use super::cron::{CronError, Spec, next_fire};
use crate::engine::Done;
use crate::http::{Body, Call, Error, Refusal, Response, failure};
use crate::store::{CronRow, SqlError, TimerKind, Tx};
use crate::stream::{Cause, Class, Content, write};
use crate::subscription;
use crate::time::{Span, Time};

failure! {
    /// The expression or the zone does not exist, or never comes.
    BadCron { why: String } => BAD_REQUEST "INVALID_REQUEST", "{why}"
}

impl From<CronError> for Error {
    fn from(error: CronError) -> Self {
        BadCron { why: error.to_string() }.into()
    }
}

/// `POST /_electric/observations/cron/ensure-stream {"expression","timezone"?}`: 200 `{"streamUrl"}`.
pub(crate) fn ensure_stream(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    call.by()?;
    let body = Body::of(call.request)?;
    let (expression, zone) = (body.required_text("expression"), body.text("timezone"));
    body.check()?;
    let spec = Spec::parse(&expression, zone.as_deref())?;
    ensure(call.store, &spec)?;
    Ok(Response::json(StatusCode::OK, &json!({ "streamUrl": spec.path() })).into())
}

/// Sees that a chain's stream exists and that it ticks.
pub(crate) fn ensure(tx: &Tx<'_>, spec: &Spec) -> Result<(), Error> {
    let known = tx.cron(spec.path())?;
    // One that should have ticked long ago has lost its timer.
    if known.as_ref().is_some_and(|cron| cron.due_at.is_some_and(|due| due + LATE > tx.now)) {
        return Ok(());
    }
    let due = next_fire(spec, tx.now)?;
    let (id, tick) = match known {
        Some(cron) => (cron.id, cron.tick),
        None => (make_stream(tx, spec.path())?, 0),
    };
    tx.write_cron(&CronRow { id, path: spec.path().to_owned(), tick, due_at: Some(due) })?;
    Ok(tx.arm(due, TimerKind::Cron, id)?)
}

fn make_stream(tx: &Tx<'_>, path: &str) -> Result<i64, Error> {
    match tx.stream(path)? {
        Some(stream) if stream.deleted || stream.closed || !stream.is_json() => {
            let message = format!("a stream that cannot tick stands at `{path}`: delete it first");
            Err(Refusal::new(StatusCode::CONFLICT, "INVALID_REQUEST", message).into())
        }
        Some(stream) => Ok(stream.id),
        None => {
            let mut stream = tx.insert_stream(path, "application/json")?;
            subscription::has_come(tx, &mut stream)?;
            Ok(stream.id)
        }
    }
}

/// It is time: the chain ticks, and goes on from now while anybody observes it. After a downtime there is one tick for
/// all that were missed.
pub(crate) fn tick(tx: &Tx<'_>, id: i64) -> Result<(), Error> {
    let is_due = |cron: &CronRow| cron.due_at.is_some_and(|due| due <= tx.now);
    let Some(mut cron) = tx.cron_by_id(id)?.filter(is_due) else { return Ok(()) };
    let spec = Spec::of_path(&cron.path).ok_or_else(|| SqlError::new(format!("`{}` is no chain", cron.path)))?;
    if let Some(mut stream) = tx.stream_by_id(id)?.filter(|s| !s.closed && !s.deleted) {
        let event = event(&spec, cron.tick, tx.now);
        write(tx, &mut stream, &Content::Json(vec![&event]), Cause::outside(Class::Any))?;
    }
    cron.tick += 1;
    cron.due_at = match next_fire(&spec, tx.now) {
        Ok(next) if tx.is_source(&cron.path)? => Some(next),
        _ => None,
    };
    tx.write_cron(&cron)?;
    match cron.due_at {
        Some(next) => Ok(tx.arm(next, TimerKind::Cron, id)?),
        None => Ok(()),
    }
}

fn event(spec: &Spec, tick: i64, now: Time) -> String {
    let stamp = now.iso();
    json!({
        "type": "cron_tick",
        "key": format!("tick-{tick}"),
        "value": { "expression": spec.expression(), "timezone": spec.zone(), "firedAt": stamp, "tickNumber": tick },
        "headers": { "operation": "insert", "timestamp": stamp },
    })
    .to_string()
}

/// How late a tick may be that still comes.
const LATE: Span = Span::secs(3600);
