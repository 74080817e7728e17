//! `POST /_electric/pg-sync/register`: a shape is followed from now on (control plane, section 13).

use http::StatusCode;
use serde_json::json;

use super::follow::{ask, rests, take};
use super::options::Options;
use super::page::{HEADERS, Page, rejection};
use super::path;
use crate::effect::{EffectId, Fetch, Fetched};
use crate::egress;
use crate::engine::Done;
use crate::http::{Body, Call, Error, Response, failure};
use crate::limits::{FETCH_SLACK, SHAPE_PAGE, SHAPE_PROBE, SHAPES};
use crate::pending::Pending;
use crate::store::{PgSyncRow, Tx};
use crate::subscription;
use crate::tenant::{Permission, Principal, permission};
use crate::time::Time;

failure! {
    /// There are as many as there may be.
    TooMany => CONFLICT "LIMIT_EXCEEDED", "{SHAPES} shapes are followed already"
}

failure! {
    /// Nothing answers there.
    Unreachable { url: String, why: String } => BAD_REQUEST "INVALID_REQUEST", "pgSync source at {url} is unreachable: {why}"
}

failure! {
    /// What answers there does not want to.
    Rejected { url: String, answer: String } => BAD_REQUEST "INVALID_REQUEST",
    "pgSync source at {url} rejected the shape request ({answer}"
}

failure! {
    /// What answers there is something else.
    NotAShape { url: String, usual: String } => BAD_REQUEST "INVALID_REQUEST",
    "pgSync source at {url} responded but is not a shape log (missing electric-handle header) — the Electric shape API is usually served at {usual}"
}

/// Follows a shape: 200 `{"sourceRef","streamUrl"}`, once the shape has answered. One that is followed already is not
/// asked again.
pub(crate) fn register(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let (tx, by) = (call.store, call.by()?);
    let options = Options::of(&Body::of(call.request)?, by)?;
    check_entity(tx, by, &options)?;
    let url = options.request()?;
    egress::judge(&tx.config.egress, &url)?;
    if let Some(mut shape) = tx.pg_sync(&options.reference())? {
        // One that has come to rest goes on.
        if rests(tx, &shape)? {
            ask(tx, &mut shape)?;
            tx.update_pg_sync(&shape)?;
        }
        return Ok(answer(&shape));
    }
    if tx.pg_syncs()? >= SHAPES {
        return Err(TooMany.into());
    }
    let deadline = tx.now + SHAPE_PROBE + FETCH_SLACK;
    Ok(Done::Park(Pending::Probe(Box::new(Probe { options, url, by: by.clone(), deadline }))))
}

/// Refuses to say in the name of an entity that is another's what its shape's server may believe.
fn check_entity(tx: &Tx<'_>, by: &Principal, options: &Options) -> Result<(), Error> {
    match options.entity().map(|url| tx.entity(url)).transpose()?.flatten() {
        Some(entity) => permission::check(tx, by, Permission::Write, &entity),
        None => Ok(()),
    }
}

/// A registration that waits for its shape to answer.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    options: Options,
    url: String,
    by: Principal,
    pub(crate) deadline: Time,
}

impl Probe {
    /// The question whether there is a shape, and where it stands.
    pub(crate) fn fetch(&self, number: u64) -> Fetch {
        Fetch {
            id: EffectId::Pending(number),
            method: http::Method::GET,
            url: format!("{}&log=changes_only&offset=now", self.url),
            headers: Vec::new(),
            body: Vec::new(),
            wanted: HEADERS,
            time_limit: SHAPE_PROBE,
            size_limit: SHAPE_PAGE,
        }
    }

    /// Follows the shape from where its answer says that it stands: what changes after the caller is told is not missed.
    pub(crate) fn resume(&self, tx: &Tx<'_>, result: &Fetched) -> Result<Done, Error> {
        let url = self.options.shown().to_owned();
        let found = result.as_ref().map_err(|why| Unreachable { url: url.clone(), why: why.clone() })?;
        if !(200..300).contains(&found.status) {
            return Err(Rejected { url, answer: bracketed(&rejection(found)) }.into());
        }
        if found.header("electric-handle").is_none_or(str::is_empty) {
            return Err(NotAShape { url, usual: self.options.usual() }.into());
        }
        check_entity(tx, &self.by, &self.options)?;
        let reference = self.options.reference();
        if let Some(shape) = tx.pg_sync(&reference)? {
            return Ok(answer(&shape));
        }
        if tx.pg_syncs()? >= SHAPES {
            return Err(TooMany.into());
        }
        let mut stream = tx.insert_stream(&path(&reference), "application/json")?;
        let mut shape = PgSyncRow {
            id: stream.id,
            reference,
            principal: self.by.url(),
            entity: self.options.entity().map(str::to_owned),
            url: self.url.clone(),
            cursor: None,
            columns: None,
            skips: true,
            caught_up: false,
            cache_key: None,
            turn: 0,
            asked_at: None,
            attempt: 0,
            error: None,
            due_at: tx.now,
        };
        tx.insert_pg_sync(&shape)?;
        subscription::has_come(tx, &mut stream)?;
        if let Ok(Page::Next(next)) = Page::of(found) {
            take(tx, &mut shape, &next)?;
        }
        ask(tx, &mut shape)?;
        tx.update_pg_sync(&shape)?;
        Ok(answer(&shape))
    }
}

/// `500: body` as `500): body`, whose opening bracket stands before it.
fn bracketed(answer: &str) -> String {
    match answer.split_once(": ") {
        Some((status, body)) => format!("{status}): {body}"),
        None => format!("{answer})"),
    }
}

fn answer(shape: &PgSyncRow) -> Done {
    let body = json!({ "sourceRef": shape.reference, "streamUrl": path(&shape.reference) });
    Response::json(StatusCode::OK, &body).into()
}
