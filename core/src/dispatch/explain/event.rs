//! Why one event did or did not wake an entity: each of its registrations on the source is asked again.

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::{Value as Json, json};

use super::super::journal::show::{records, steps};
use super::super::journal::step::cut;
use super::header;
use crate::entity::Status;
use crate::http::{Error, Refusal, Request, failure};
use crate::observe::webhook_sources::is_ingress;
use crate::store::{EntityRow, Observed, Read, StreamRow};
use crate::stream::{Class, Event, Offset, Owner, messages};
use crate::tenant::{Permission, Principal, permission};
use crate::time::Span;
use crate::wake::{evaluate, why_not};

failure! {
    /// Nothing stands at the source.
    NoSource { source: String } => NOT_FOUND "NOT_FOUND", "there is no entity and no stream at `{source}`"
}

failure! {
    /// No append holds the offset.
    NoEvent { source: String, offset: Offset } => NOT_FOUND "NOT_FOUND", "nothing on `{source}` ends at `{offset}`"
}

failure! {
    /// The append has fewer events.
    NoSuchIndex { index: usize, count: usize } => NOT_FOUND "NOT_FOUND", "the append has {count} events, and none is number {index}"
}

/// Which event is asked about.
pub(super) struct Asked {
    source: String,
    offset: Offset,
    index: Option<usize>,
}

impl Asked {
    /// Reads `source`, `offset` and `index` of a request; `None` when no event is asked about.
    pub(super) fn of(request: &Request) -> Result<Option<Self>, Refusal> {
        let query = |name: &str| request.query_one(name).filter(|v| !v.is_empty()).map(std::borrow::Cow::into_owned);
        let refuse = |message: &str| Err(Refusal::new(StatusCode::BAD_REQUEST, "INVALID_REQUEST", message));
        let (source, offset, index) = (query("source"), query("offset"), query("index"));
        let (source, offset) = match (source, offset) {
            (None, None) if index.is_none() => return Ok(None),
            (Some(source), Some(offset)) => (source, offset),
            _ => return refuse("an event is named by `source` and `offset`, and perhaps `index`"),
        };
        let Some(offset) = Offset::parse(&offset).filter(|o| *o > Offset::ZERO) else {
            return refuse("`offset` is where an append ended, such as 0000000000000000_0000000000000186");
        };
        let Ok(index) = index.map(|index| index.parse()).transpose() else {
            return refuse("`index` is the number of an event in its append, from 0");
        };
        Ok(Some(Self { source, offset, index }))
    }
}

/// What each registration of `entity` on the source makes of the event.
pub(super) fn explain(read: &Read<'_>, by: &Principal, entity: &EntityRow, asked: &Asked) -> Result<Json, Error> {
    let (source, stream, from) = find(read, by, asked)?;
    let before = Offset::at(asked.offset.bytes() - 1);
    let found = read.entry_after(&stream, before)?.filter(|(end, _)| *end == asked.offset);
    let (end, bytes) = found.ok_or_else(|| NoEvent { source: source.clone(), offset: asked.offset })?;
    let all = messages(&bytes);
    if let Some(index) = asked.index.filter(|index| *index >= all.len()) {
        return Err(NoSuchIndex { index, count: all.len() }.into());
    }
    let observed = read.observed(entity.id, Some(&source), SHOWN)?;
    let journal = Journal::of(steps(&[(entity, records(read, entity)?)]));
    let most = (JUDGED / observed.len().max(1)).max(1);
    let wanted = |index: &usize| asked.index.is_none_or(|wanted| wanted == *index);
    let mut events = Vec::new();
    for (index, message) in all.iter().enumerate().filter(|(index, _)| wanted(index)).take(most) {
        let event = Event::of(message);
        let class = class_of(&event, message, from.as_ref(), &source);
        let position = format!("{end}:{index}");
        let judge = Judge {
            event: &event,
            class,
            end,
            position,
            entity,
            from: from.as_ref(),
            is_of_membership: source.starts_with("/_entities/"),
            journal: &journal,
        };
        let registrations: Vec<Json> = observed.iter().map(|one| judge.judge(one)).collect();
        events.push(json!({
            "index": index,
            "type": event.kind.as_deref().map(cut),
            "key": event.key.as_deref().map(cut),
            "operation": event.operation.as_deref().map(cut),
            "class": match class { Class::Any => "any", Class::Named => "named", Class::Never => "never" },
            "registrations": registrations,
        }));
    }
    let more = asked.index.is_none() && events.len() < all.len();
    let why = if from.as_ref().is_some_and(|from| from.id == entity.id) {
        Some(served(read, entity, end)?)
    } else {
        observed.is_empty().then(|| format!("{} holds no registration on {source}", entity.url))
    };
    Ok(json!({ "source": source, "offset": end, "events": events, "more": more, "why": why }))
}

/// What becomes of something on the entity's own stream.
fn served(read: &Read<'_>, entity: &EntityRow, end: Offset) -> Result<String, Error> {
    let records = records(read, entity)?;
    if let Some(wake) = records.iter().rev().find_map(|record| record.serves(end)) {
        return Ok(format!("it stands on the entity's own stream, and {wake} serves it"));
    }
    let mut acked = false;
    for subscription in read.dispatches_of(entity.id)? {
        let links = read.links(subscription.id)?;
        acked |= links.iter().any(|l| l.stream == Some(entity.id) && l.acked.is_some_and(|acked| acked >= end));
    }
    Ok(if acked {
        "it stands on the entity's own stream, and is acknowledged; which wake served it is no longer remembered, if one did"
    } else {
        "it stands on the entity's own stream, and waits for the next wake"
    }
    .to_owned())
}

/// The source's name, its stream, and the entity whose main stream that is.
fn find(read: &Read<'_>, by: &Principal, asked: &Asked) -> Result<(String, StreamRow, Option<EntityRow>), Error> {
    let missing = || NoSource { source: asked.source.clone() };
    if let Some(entity) = read.entity(&asked.source)? {
        permission::check(read, by, Permission::Read, &entity)?;
        let stream = read.stream_by_id(entity.id)?.ok_or_else(missing)?;
        return Ok((entity.url.clone(), stream, Some(entity)));
    }
    if let Some(entity) = asked.source.strip_suffix("/main").map(|url| read.entity(url)).transpose()?.flatten() {
        permission::check(read, by, Permission::Read, &entity)?;
        let stream = read.stream_by_id(entity.id)?.ok_or_else(missing)?;
        return Ok((entity.url.clone(), stream, Some(entity)));
    }
    let stream = read.live_stream(&asked.source)?.ok_or_else(missing)?;
    Owner::of(read, &stream.path)?.check_read(read, by, &stream.path)?;
    Ok((stream.path.clone(), stream, None))
}

/// Which conditions an event may match, by who can have written it: what comes by webhooks, and on an entity's stream, wake
/// rows, messages and their edits, tags, rows that routes write and what stands at its birth are the server's.
fn class_of(event: &Event<'_>, message: &str, entity: Option<&EntityRow>, source: &str) -> Class {
    let inserts = event.operation.as_deref().is_none_or(|op| op == "insert");
    match event.kind.as_deref() {
        Some("wake") => Class::Never,
        _ if is_ingress(source) => Class::Named,
        _ if entity.is_none() => Class::Any,
        Some("inbox" | "entity_created" | "slash_command") if inserts => Class::Named,
        Some("inbox") if header(message, "txid").is_some() => Class::Named,
        Some("tags") => Class::Named,
        Some("manifest") if header(message, "txid").is_some() || was_told(event) => Class::Named,
        _ if header(message, "principal").is_some() => Class::Named,
        _ => Class::Any,
    }
}

/// Whether a row of a manifest says what became of its message.
fn was_told(event: &Event<'_>) -> bool {
    ["sentAt", "failedAt"].iter().any(|name| event.value_member(name).is_some())
}

/// The journal, by what matched and where.
struct Journal {
    steps: Vec<Json>,
    /// Where the last match stands of a registration at a position.
    matches: BTreeMap<(i64, String), usize>,
}

impl Journal {
    fn of(steps: Vec<Json>) -> Self {
        let at = |(i, step): (usize, &Json)| {
            let matched = step["what"] == "evaluated";
            let key = (step["registration"].as_i64()?, step["position"].as_str()?.to_owned());
            matched.then_some((key, i))
        };
        let matches = steps.iter().enumerate().filter_map(at).collect();
        Self { steps, matches }
    }

    /// The match of a registration at a position, or the one in which what was gathered there came to something; and what
    /// follows it.
    fn follow(&self, registration: i64, position: &str) -> Option<(&str, &Json)> {
        let mut at = *self.matches.get(&(registration, position.to_owned()))?;
        let what = |at: usize| self.steps.get(at).and_then(|step| step["what"].as_str());
        if what(at + 1) == Some("debounced") {
            let flushed = (at + 1..self.steps.len()).find(|i| {
                what(*i) == Some("evaluated")
                    && self.steps[*i]["registration"] == registration
                    && what(*i + 1) != Some("debounced")
            });
            at = flushed.unwrap_or(at);
        }
        what(at + 1).map(|what| (what, &self.steps[at + 1]))
    }
}

/// One event, to be judged by one registration after another.
struct Judge<'a> {
    event: &'a Event<'a>,
    class: Class,
    end: Offset,
    position: String,
    entity: &'a EntityRow,
    from: Option<&'a EntityRow>,
    is_of_membership: bool,
    journal: &'a Journal,
}

impl Judge<'_> {
    fn judge(&self, one: &Observed) -> Json {
        // What is remembered to have matched has, whoever seems to have written it.
        let remembered = self.journal.matches.contains_key(&(one.id, self.position.clone()));
        let class = if remembered && self.class == Class::Named { Class::Any } else { self.class };
        let matches = evaluate(&one.condition, self.event, class).is_some();
        let matched = matches && (remembered || self.of_itself() || !self.of_no_account());
        let why = match why_not(&one.condition, self.event, class) {
            Some(why) => why,
            None if matched => self.outcome(one),
            None => "it says that a member's status or time has changed, which wakes nobody".to_owned(),
        };
        json!({ "registration": one.id, "condition": one.condition.wire(), "matched": matched, "why": why })
    }

    /// Whether it is a change of a member: those that wake somebody, changes of tags, are remembered.
    fn of_no_account(&self) -> bool {
        self.is_of_membership && self.event.operation.as_deref() == Some("update")
    }

    /// Whether a membership says something of the entity itself.
    fn of_itself(&self) -> bool {
        self.is_of_membership && self.event.key.as_deref() == Some(&*self.entity.url)
    }

    /// What became of a match.
    fn outcome(&self, one: &Observed) -> String {
        let own = self.from.is_some_and(|source| source.id == self.entity.id);
        let is_signal = self.event.kind.as_deref() == Some("signal");
        if self.end <= one.since {
            return "it matches, and the registration was made after it".to_owned();
        }
        if own && self.class == Class::Any && !is_signal {
            return "it matches, and an entity is not woken by what it wrote under its own claim".to_owned();
        }
        if self.of_itself() {
            return "it matches, and an entity is not woken by what a membership says of it".to_owned();
        }
        let Some((what, step)) = self.journal.follow(one.id, &self.position) else {
            let gathered = "it matched, and was gathered with what came soon before or after into one wake";
            let forgotten = "it matches; what became of it is no longer remembered";
            return if one.debounce > Span::ZERO { gathered } else { forgotten }.to_owned();
        };
        let text = |name: &str| step[name].as_str().unwrap_or("?");
        match what {
            "suppressed" => format!("it matches, and no wake row was written: {}", text("why")),
            "debounced" => {
                format!("it matched, and is gathered: it becomes a wake at {}, unless more comes", text("until"))
            }
            "slowed" if step["wake"].is_null() => {
                format!("it matched, and its wake row was held back until {}: {}", text("until"), text("why"))
            }
            _ => {
                let then = match step["wake"].as_str() {
                    Some(wake) => format!("{wake} serves it"),
                    None if self.entity.status == Status::Paused => "it waits until the entity is continued".to_owned(),
                    None => "it waits for the next wake".to_owned(),
                };
                format!("it matched: its wake row ends at {}, and {then}", text("offset"))
            }
        }
    }
}

/// How many registrations are asked, and how often one may be asked about the events of an append.
const SHOWN: usize = 100;
const JUDGED: usize = 2000;
