//! `GET /_reveille/entities/{type}/{id}/next`: what happens to an entity by itself, and when: its wakes that wait, what is
//! gathered for it, timeouts, schedules, messages on their way, retries, leases.

use http::StatusCode;
use serde_json::{Value as Json, json};

use super::{Situated, latest, words};
use crate::engine::Reply;
use crate::entity::find;
use crate::http::{Call, Error, Response};
use crate::limits::REGISTRATIONS;
use crate::observe::pg_sync;
use crate::store::{EntityRow, Read, SqlError};
use crate::tenant::{Permission, permission};
use crate::time::Time;
use crate::wake::debounce;

/// Something that comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Coming {
    pub(super) at: Time,
    /// `wake`, `debounce`, `timeout`, `schedule`, `message`, `announcement`, `retry` (also of a shape that it observes),
    /// `lease`, `lock`, or the `end` of what it observes for a while.
    pub(super) kind: &'static str,
    pub(super) what: String,
}

/// What comes, soonest first.
pub(crate) fn show(call: &Call<'_, Read<'_>>) -> Result<Reply, Error> {
    let read = call.store;
    let entity = find(call, read)?;
    permission::check(read, call.by()?, Permission::Read, &entity)?;
    let situated = Situated::of(read, &entity)?;
    let last = latest(read, &entity)?;
    let told = words::tell(&situated.situation(read, &entity, &last));
    Ok(Reply::Whole(Response::json(StatusCode::OK, &json!({ "next": all(read, &entity, told.next)? }))))
}

/// What comes of an entity's dispatch, and all else that comes to it.
pub(super) fn all(read: &Read<'_>, entity: &EntityRow, mut coming: Vec<Coming>) -> Result<Vec<Json>, SqlError> {
    for (source, gathered, span) in read.gathered_for(entity.id)? {
        let what = format!("{} changes of {source} become one wake, unless more come", gathered.count);
        coming.push(Coming { at: debounce::due_at(gathered.first_at, gathered.last_at, span), kind: "debounce", what });
    }
    for observed in read.observed(entity.id, None, REGISTRATIONS)? {
        if let Some(at) = observed.timeout_at {
            let what = format!("it is told that nothing has matched on {}, unless something does", observed.source);
            coming.push(Coming { at, kind: "timeout", what });
        }
        if let Some(at) = observed.until {
            let what = format!("it no longer observes {}", observed.source);
            coming.push(Coming { at, kind: "end", what });
        }
        if let Some(at) = if observed.source.starts_with("/_cron/") { read.cron_due(&observed.source)? } else { None } {
            let what = format!("{} ticks", observed.source);
            coming.push(Coming { at, kind: "schedule", what });
        }
        let shape =
            pg_sync::reference_of(&observed.source).map(|reference| read.pg_sync(reference)).transpose()?.flatten();
        if let Some(shape) = shape.filter(|shape| shape.attempt > 0) {
            let why = shape.error.as_deref().unwrap_or("it failed");
            let what = format!("the shape behind {} is asked again: {why}", observed.source);
            coming.push(Coming { at: shape.due_at.max(read.now), kind: "retry", what });
        }
    }
    let locked_until = if entity.locked { read.locked_until(entity.id)? } else { None };
    for (at, to) in read.sends_of(entity.id)? {
        let arrives = to.is_none();
        if arrives && !entity.status.accepts_writes() {
            continue;
        }
        let at = if arrives { at.max(locked_until.unwrap_or(at)) } else { at };
        let what = match to {
            None => "a message arrives".to_owned(),
            Some(to) => format!("a message that it has scheduled arrives at {to}"),
        };
        coming.push(Coming { at, kind: "message", what });
    }
    coming.sort_by_key(|c| c.at);
    coming.truncate(NEXT);
    Ok(coming.into_iter().map(|c| json!({ "at": c.at.iso(), "kind": c.kind, "what": c.what })).collect())
}

/// How many are shown.
const NEXT: usize = 200;
