//! An append to an entity's stream that carries rows of its manifest: what they stand for is made, changed or undone in
//! the transaction of the append, in the order of the stream. A registration that stays the same is kept.

use std::collections::BTreeSet;

use http::StatusCode;
use serde_json::Value as Json;

use super::condition::Filter;
use super::manifest::{Entry, Wanted, manifest};
use super::register::{Asked, NotTheSources, put, readable};
use crate::dispatch::journal;
use crate::entity::{attachments, scheduled};
use crate::http::{Error, Refusal};
use crate::limits::MANIFEST_ROW;
use crate::observe::webhook_sources::{self, FilterName};
use crate::permission;
use crate::schedule::ticks;
use crate::store::{EntityRow, SqlError, Tx};
use crate::stream::{Event, json, shared_state};
use crate::tenant::Principal;

/// Projects the rows of a manifest among the events of an append. A message goes where who asked a route for it may send,
/// and otherwise where the entity's creator may.
pub(crate) fn project(
    tx: &Tx<'_>,
    owner: &EntityRow,
    asked_by: Option<&Principal>,
    events: &[Event<'_>],
) -> Result<(), SqlError> {
    let mut projection = Projection { tx, owner, asked_by, left: BTreeSet::new() };
    for event in events.iter().filter(|e| e.kind.as_deref() == Some("manifest")) {
        let Some(key) = event.key.as_deref().filter(|key| !key.is_empty() && key.len() <= LONGEST_KEY) else {
            continue;
        };
        let value = event.value.filter(|_| event.operation.as_deref() != Some("delete"));
        if value.is_some_and(|value| value.get().len() > MANIFEST_ROW) {
            projection.refuse(key, &format!("it is longer than {MANIFEST_ROW} bytes"))?;
            continue;
        }
        match value.map(|value| json::parse(value.get())) {
            Some(Err(_)) => projection.refuse(key, "a number in it is out of range, or it nests too deep")?,
            Some(Ok(value)) => projection.row(key, &value)?,
            None => projection.row(key, &Json::Null)?,
        }
    }
    // At the end, so that a row that goes and comes again takes nothing from who reads its state.
    for state in &projection.left {
        permission::left(tx, None, &shared_state::path(state))?;
    }
    Ok(())
}

struct Projection<'a> {
    tx: &'a Tx<'a>,
    owner: &'a EntityRow,
    asked_by: Option<&'a Principal>,
    /// The shared states that rows stood for and do not any more.
    left: BTreeSet<String>,
}

impl Projection<'_> {
    fn row(&mut self, key: &str, value: &Json) -> Result<(), SqlError> {
        let entry = match manifest(value) {
            Ok(entry) => entry,
            Err(bad) => return self.refuse(key, &bad.to_string()),
        };
        match self.apply(key, value, &entry) {
            Ok(()) => Ok(()),
            Err(Error::Store(error)) => Err(error),
            Err(Error::Refused(refusal)) => self.refuse(key, &refusal.message),
        }
    }

    /// An agent's append is not refused because of what it cannot have; the row stands for nothing, and the journal says so.
    fn refuse(&mut self, key: &str, why: &str) -> Result<(), SqlError> {
        let (tx, owner) = (self.tx, self.owner);
        tx.delete_registrations_under(owner.id, key)?;
        scheduled::cancel_under(tx, owner.id, key)?;
        self.left.extend(shared_state::link(tx, owner, key, None)?);
        journal::refused(tx, owner.id, key, why)
    }

    fn apply(&mut self, key: &str, value: &Json, entry: &Entry) -> Result<(), Error> {
        let (tx, owner) = (self.tx, self.owner);
        attachments::project(tx, owner, key, value)?;
        if let Some(spec) = &entry.cron {
            ticks::ensure(tx, spec)?;
        }
        self.left.extend(shared_state::link(tx, owner, key, entry.state.as_deref())?);
        match &entry.wake {
            Some(wanted) => register(tx, owner, key, wanted)?,
            None => tx.delete_registrations_under(owner.id, key)?,
        }
        scheduled::replace(tx, owner, self.asked_by, key, value, &entry.send)
    }
}

fn register(tx: &Tx<'_>, owner: &EntityRow, key: &str, wanted: &Wanted) -> Result<(), Error> {
    let by = Principal::parse(&owner.created_by).ok_or_else(|| NotTheSources { url: wanted.source.clone() })?;
    readable(tx, &by, &wanted.source)?;
    let filter = wanted.filter.as_ref().map(|name| filter(tx, name)).transpose()?.flatten();
    let asked = Asked {
        subscriber: owner.url.clone(),
        source: None,
        condition: wanted.condition.clone().filtered(filter),
        manifest_key: key.to_owned(),
        include_response: wanted.include_response,
        debounce: wanted.debounce,
        timeout: wanted.timeout,
        one_shot: false,
        until: wanted.until,
    };
    put(tx, owner, &wanted.source, &asked)
}

/// A filter that the catalogue of webhook sources has; `None` when it lets everything through.
fn filter(tx: &Tx<'_>, name: &FilterName) -> Result<Option<Filter>, Error> {
    let refuse = |why| Refusal::new(StatusCode::BAD_REQUEST, "INVALID_REQUEST", why);
    let schema = webhook_sources::filter(tx.config, name).map_err(refuse)?;
    Ok(schema.map(|schema| Filter { key: name.filter.clone(), schema }))
}

/// The longest key that stands for something.
const LONGEST_KEY: usize = 2048;
