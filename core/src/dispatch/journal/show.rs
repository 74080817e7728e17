//! `GET …/journal`: what an entity's wakes, a runner's or one wake went through.

use http::StatusCode;
use serde_json::{Value as Json, json};

use super::step::Step;
use super::{Kept, Record};
use crate::dispatch::runner;
use crate::engine::Reply;
use crate::entity::find;
use crate::http::{Call, Error, Response, failure};
use crate::store::{EntityRow, Read, SqlError, SubscriptionRow};
use crate::subscription::subscription_of;
use crate::tenant::{Permission, permission};

failure! {
    /// No wake has this id, or it is forgotten.
    UnknownWake => NOT_FOUND "NOT_FOUND", "no wake of this id is remembered"
}

/// `GET /_reveille/entities/{type}/{id}/journal`: `{"steps"}`, oldest first.
pub(crate) fn of_entity(call: &Call<'_, Read<'_>>) -> Result<Reply, Error> {
    let entity = find(call, call.store)?;
    permission::check(call.store, call.by()?, Permission::Read, &entity)?;
    Ok(answer(steps(&[(&entity, records(call.store, &entity)?)])))
}

/// `GET /_reveille/runners/{id}/journal`: of the entities that a runner was last told of, what they last went through.
pub(crate) fn of_runner(call: &Call<'_, Read<'_>>) -> Result<Reply, Error> {
    let read = call.store;
    let runner = runner::own(call, read)?;
    let mut all = Vec::new();
    for subscription in read.latest_of_runner(&runner.id, ENTITIES)? {
        let kept = kept(&subscription)?;
        if let Some(entity) = kept.first().map(|record| read.entity_by_id(record.entity)).transpose()?.flatten() {
            all.push((entity, kept));
        }
    }
    let all: Vec<_> = all.iter().map(|(entity, records)| (entity, records.clone())).collect();
    Ok(answer(steps(&all)))
}

/// `GET /_reveille/wakes/{wake}/journal`: of one dispatch, and the wake rows that it serves.
pub(crate) fn of_wake(call: &Call<'_, Read<'_>>) -> Result<Reply, Error> {
    let (read, wake) = (call.store, call.decoded("wake")?);
    let subscription = subscription_of(&wake).ok_or(UnknownWake)?;
    let stream = read.last_trigger(subscription)?.ok_or(UnknownWake)?;
    // Who may not read it is not told that it exists.
    let by = call.by()?;
    let entity = read.entity_by_id(stream)?.ok_or(UnknownWake)?;
    if !permission::may(read, by, Permission::Read, &entity)? {
        return Err(UnknownWake.into());
    }
    let mut records = records(read, &entity)?;
    let range = records.iter().find(|r| r.wake.as_ref() == Some(&wake)).map(|r| (r.from, r.to)).ok_or(UnknownWake)?;
    records.retain(|r| r.wake.as_ref() == Some(&wake) || (r.wake.is_none() && range.0 < r.to && r.to <= range.1));
    Ok(answer(steps(&[(&entity, records)])))
}

/// All records of an entity, in the order in which they began.
pub(in crate::dispatch) fn records(read: &Read<'_>, entity: &EntityRow) -> Result<Vec<Record>, SqlError> {
    let mut records = Vec::new();
    for text in read.filed(entity.id)? {
        records.push(Record::parse(&text)?);
    }
    for subscription in read.dispatches_of(entity.id)? {
        records.extend(kept(&subscription)?.into_iter().filter(|r| r.entity == entity.id));
    }
    records.sort_by_key(|record| record.steps.first().map(Step::number));
    Ok(records)
}

fn kept(subscription: &SubscriptionRow) -> Result<Vec<Record>, SqlError> {
    let Kept { last, now, .. } = Kept::of(subscription)?;
    Ok(last.into_iter().chain(now).collect())
}

/// The steps of entities' records, in the order in which they happened. A wake row is of the dispatch that served it.
pub(in crate::dispatch) fn steps(all: &[(&EntityRow, Vec<Record>)]) -> Vec<Json> {
    let mut steps = Vec::new();
    for (entity, records) in all {
        for record in records {
            let of = match record.wake {
                Some(_) => Some(record),
                None => records.iter().find(|r| r.wake.is_some() && r.from < record.to && record.to <= r.to),
            };
            let wake = of.and_then(|r| Some((r.wake.as_deref()?, r.generation)));
            steps.extend(record.steps.iter().map(|step| (step.number(), step.show(&entity.url, wake))));
        }
    }
    steps.sort_by_key(|(number, _)| *number);
    let most = steps.len().saturating_sub(STEPS);
    steps.drain(..most);
    steps.into_iter().map(|(_, step)| step).collect()
}

fn answer(steps: Vec<Json>) -> Reply {
    Reply::Whole(Response::json(StatusCode::OK, &json!({ "steps": steps })))
}

/// How many steps are shown, the newest.
const STEPS: usize = 2000;
/// How many entities a runner's journal looks at.
const ENTITIES: usize = 100;
