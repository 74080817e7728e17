//! `GET /_reveille/entities/{type}/{id}/explain`: why an entity woke or did not, what it waits for, and what happens
//! next: in words, and in data. With `?source=&offset=[&index=]` also why one event did or did not wake it.

mod event;
pub(crate) mod next;
mod words;

use http::StatusCode;
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};

use self::words::{Claim, Dead, Notice, RunnerIs, Situation, Stand, Told};
use super::journal::show::{records, steps};
use super::journal::step::{cut, target};
use super::machine::State;
use super::runner::health::{Facts, liveness};
use super::{dead, link};
use crate::engine::Reply;
use crate::entity::find;
use crate::http::{Call, Error, Response};
use crate::limits::{DEPTH, SPACING};
use crate::store::{DeadLetter, EntityRow, Kind, Link, Read, SqlError, SubscriptionRow};
use crate::stream::{Event, members, messages};
use crate::subscription;
use crate::tenant::{Permission, permission};
use crate::time::Time;

/// Explains the entity at the request's path.
pub(crate) fn explain(call: &Call<'_, Read<'_>>) -> Result<Reply, Error> {
    let read = call.store;
    let entity = find(call, read)?;
    permission::check(read, call.by()?, Permission::Read, &entity)?;
    let asked = event::Asked::of(call.request)?;
    let situated = Situated::of(read, &entity)?;
    let dispatch = situated.dispatch.as_ref();
    let last = latest(read, &entity)?;
    let Told { summary, waiting_for, next } = words::tell(&situated.situation(read, &entity, &last));
    let mut body = json!({
        "entity": entity.url,
        "status": entity.status.as_str(),
        "summary": summary,
        "waiting_for": waiting_for,
        "next": next::all(read, &entity, next)?,
        "dispatch": dispatch.map_or_else(|| json!({ "state": "none" }), Dispatch::json),
        "pending": dispatch.map(|d| d.pending(read)).transpose()?.flatten(),
        "budget": budget(read, dispatch),
        "registrations": registrations(read, &entity)?,
        "last": last,
    });
    if let Some(asked) = asked {
        body["event"] = event::explain(read, call.by()?, &entity, &asked)?;
    }
    Ok(Reply::Whole(Response::json(StatusCode::OK, &body)))
}

/// The steps of an entity's latest dispatch.
fn latest(read: &Read<'_>, entity: &EntityRow) -> Result<Vec<Json>, SqlError> {
    let newest = records(read, entity)?.into_iter().rfind(|r| r.is_dispatch());
    Ok(newest.map_or_else(Vec::new, |newest| steps(&[(entity, vec![newest])])))
}

/// An entity's situation, as it was read.
struct Situated {
    dispatch: Option<Dispatch>,
    locked_until: Option<Time>,
    has_policy: bool,
    observes: usize,
    gathers: bool,
}

impl Situated {
    fn of(read: &Read<'_>, entity: &EntityRow) -> Result<Self, SqlError> {
        Ok(Self {
            dispatch: match read.dispatches_of(entity.id)?.into_iter().next() {
                Some(subscription) => Some(Dispatch::of(read, entity, subscription)?),
                None => None,
            },
            locked_until: if entity.locked { read.locked_until(entity.id)? } else { None },
            has_policy: link::policy_of(entity)?.is_some(),
            observes: read.registrations_held(entity.id)?,
            gathers: !read.gathered_for(entity.id)?.is_empty(),
        })
    }

    fn situation<'a>(&'a self, read: &Read<'_>, entity: &'a EntityRow, last: &'a [Json]) -> Situation<'a> {
        Situation {
            entity: &entity.url,
            status: entity.status,
            locked_until: self.locked_until,
            held_until: Some(held_until(entity)).filter(|until| *until > read.now),
            has_policy: self.has_policy,
            stand: self.dispatch.as_ref().map_or(Stand::Nobody, |d| d.stand(read)),
            observes: self.observes,
            gathers: self.gathers,
            last,
        }
    }
}

/// The one way in which an entity is dispatched, as it stands.
struct Dispatch {
    subscription: SubscriptionRow,
    link: Option<Link>,
    state: State,
    runner: Option<RunnerIs>,
    letter: Option<Json>,
}

impl Dispatch {
    fn of(read: &Read<'_>, entity: &EntityRow, subscription: SubscriptionRow) -> Result<Self, SqlError> {
        let link = read.links(subscription.id)?.into_iter().find(|l| l.stream == Some(entity.id));
        let state = match subscription::state(&subscription) {
            State::Idle if link.as_ref().is_some_and(Link::is_pending) => State::Pending,
            state => state,
        };
        let runner = match &subscription.kind {
            Kind::Runner { runner } => Some(runner_is(read, runner)?),
            _ => None,
        };
        let letter = match read.dead_letter(subscription.id)? {
            Some(letter) => {
                let letter = DeadLetter { subscription: subscription.id, entity: entity.id, letter };
                Some(dead::show(read, &letter, entity)?)
            }
            None => None,
        };
        Ok(Self { subscription, link, state, runner, letter })
    }

    /// The same for the words.
    fn stand(&self, read: &Read<'_>) -> Stand<'_> {
        let s = &self.subscription;
        let to = match &s.kind {
            Kind::Webhook { url } => words::To::Webhook(url),
            Kind::Runner { runner } => words::To::Runner(runner, self.runner.unwrap_or(RunnerIs::Unknown)),
            Kind::Stream { path } => words::To::Webhook(path),
        };
        match (self.state, &s.wake) {
            (State::Dead, _) => Stand::Dead(Dead { to, letter: self.letter.as_ref() }),
            (State::Claimed, Some(wake)) => Stand::Claimed(Claim {
                to,
                wake: &wake.id,
                since: wake.claimed_at.unwrap_or(read.now),
                until: wake.lease_until.unwrap_or(read.now),
                more: self.link.as_ref().is_some_and(|l| l.is_pending()),
            }),
            (State::Outstanding, Some(wake)) => Stand::Outstanding(Notice {
                to,
                wake: &wake.id,
                attempt: wake.attempt,
                again: wake.due_at,
                error: s.error.as_deref(),
            }),
            (State::Pending, _) => Stand::Pending { slowed_until: s.slowed_until, deep: s.depth > DEPTH },
            _ => Stand::Idle { to },
        }
    }

    fn json(&self) -> Json {
        let s = &self.subscription;
        let mut json = json!({
            "state": self.state.as_str(),
            "target": target(&s.kind),
            "subscription": s.name,
            "generation": s.generation,
            "changed_at": s.at.iso(),
        });
        let mut put = |name: &str, value: Option<Json>| {
            if let Some(value) = value {
                json[name] = value;
            }
        };
        put("slowed_until", s.slowed_until.map(|at| at.iso().into()));
        put("dead", self.letter.clone());
        put("error", s.error.clone().map(Json::from));
        put("runner", self.runner.map(|is| is.as_str().into()));
        let Some(wake) = &s.wake else { return json };
        put("wake", Some(wake.id.as_str().into()));
        put("attempt", Some(wake.attempt.into()));
        put("depth", Some(s.serving.into()));
        put("announced_again_at", wake.due_at.filter(|at| *at >= Time::LINE).map(|at| at.iso().into()));
        put("holder", wake.holder.clone().map(Json::from));
        put("since", wake.claimed_at.map(|at| at.iso().into()));
        put("heartbeat_at", wake.heartbeat_at.map(|at| at.iso().into()));
        put("lease_expires_at", wake.lease_until.map(|at| at.iso().into()));
        json
    }

    /// What is not acknowledged: where it lies, and what its first entries are.
    fn pending(&self, read: &Read<'_>) -> Result<Option<Json>, SqlError> {
        let Some(link) = self.link.as_ref().filter(|l| l.is_pending()) else { return Ok(None) };
        let from = link.acked.unwrap_or(crate::stream::Offset::ZERO);
        let mut entries = Vec::new();
        if let Some(stream) = link.stream.map(|id| read.stream_by_id(id)).transpose()?.flatten() {
            read.entries(&stream, from, PENDING_BYTES, |end, bytes| {
                for message in messages(bytes) {
                    if entries.len() < PENDING_ENTRIES {
                        let event = Event::of(&message);
                        entries.push(json!({ "offset": stamp(&message).unwrap_or_else(|| end.to_string()), "type": event.kind.as_deref().map(cut), "key": event.key.as_deref().map(cut) }));
                    }
                }
            })?;
        }
        Ok(Some(json!({ "from": from, "to": link.tail, "entries": entries })))
    }
}

/// When the newest of its wake rows is written that a deep chain of causes holds back.
fn held_until(entity: &EntityRow) -> Time {
    Time::from_millis((entity.next_wake.as_millis() - SPACING.as_millis()).max(0))
}

/// The offset that a message carries.
fn stamp(message: &str) -> Option<String> {
    serde_json::from_str(header(message, "offset")?.get()).ok()
}

/// A header of a message, as JSON text.
fn header<'a>(message: &'a str, name: &str) -> Option<&'a RawValue> {
    let (_, headers) = members(message).into_iter().rfind(|(n, _)| n == "headers")?;
    members(headers.get()).into_iter().rfind(|(n, _)| n == name).map(|(_, value)| value)
}

fn runner_is(read: &Read<'_>, id: &str) -> Result<RunnerIs, SqlError> {
    let Some(runner) = read.runner(id)? else { return Ok(RunnerIs::Unknown) };
    let facts = Facts {
        enabled: runner.enabled,
        lease_until: runner.lease_until,
        seen: runner.last_seen_at.is_some(),
        client: None,
    };
    let client: Json = runner.diagnostics.as_deref().and_then(|d| serde_json::from_str(d).ok()).unwrap_or_default();
    Ok(match liveness(&facts, read.now) {
        _ if !runner.enabled => RunnerIs::Disabled,
        _ if client["status"] == "stopped" => RunnerIs::Stopped,
        "online" => RunnerIs::Online,
        "expired" => RunnerIs::Silent,
        _ => RunnerIs::Unseen,
    })
}

fn budget(read: &Read<'_>, dispatch: Option<&Dispatch>) -> Json {
    let wakes = read.config.wakes;
    let left = dispatch.and_then(|d| wakes.left(d.subscription.budget, read.now));
    json!({ "wakes_a_minute": wakes.wakes_a_minute(), "at_once": wakes.at_once(), "left": left })
}

fn registrations(read: &Read<'_>, entity: &EntityRow) -> Result<Vec<Json>, SqlError> {
    let observed = read.observed(entity.id, None, REGISTRATIONS)?;
    let show = |o: crate::store::Observed| json!({ "registration": o.id, "source": o.source, "condition": o.condition.wire(), "since": o.since });
    Ok(observed.into_iter().map(show).collect())
}

/// How much of what is pending is looked at, and shown.
const PENDING_BYTES: usize = 64 << 10;
const PENDING_ENTRIES: usize = 20;
/// How many registrations are shown.
const REGISTRATIONS: usize = 100;
