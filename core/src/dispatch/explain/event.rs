//! Why one event did or did not wake an entity: each of its registrations on the source is asked again.

use http::StatusCode;
use serde_json::{Value as Json, json};

use super::super::journal::show::{records, steps};
use crate::entity::Status;
use crate::http::{Error, Refusal, Request, failure};
use crate::limits::REGISTRATIONS;
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
        let source = source.strip_suffix("/main").map(str::to_owned).unwrap_or(source);
        Ok(Some(Self { source, offset, index }))
    }
}

/// What each registration of `entity` on the source makes of the event.
pub(super) fn explain(read: &Read<'_>, by: &Principal, entity: &EntityRow, asked: &Asked) -> Result<Json, Error> {
    let (source, stream, from) = find(read, by, asked)?;
    let before = Offset::at(asked.offset.bytes() - 1);
    let found = read.entry_after(&stream, before)?;
    let (end, bytes) = found.ok_or_else(|| NoEvent { source: source.clone(), offset: asked.offset })?;
    let all = messages(&bytes);
    if let Some(index) = asked.index.filter(|index| *index >= all.len()) {
        return Err(NoSuchIndex { index, count: all.len() }.into());
    }
    let observed = read.observed(entity.id, Some(&source), REGISTRATIONS)?;
    let journal = steps(&[(entity, records(read, entity)?)]);
    let mut events = Vec::new();
    for (index, message) in all.iter().enumerate().filter(|(i, _)| asked.index.is_none_or(|wanted| wanted == *i)) {
        let event = Event::of(message);
        let class = class_of(&event, from.as_ref());
        let judge =
            Judge { event: &event, class, end, position: format!("{end}:{index}"), entity, from: from.as_ref() };
        let registrations: Vec<Json> = observed.iter().map(|one| judge.judge(one, &journal)).collect();
        events.push(json!({
            "index": index,
            "type": event.kind,
            "key": event.key,
            "operation": event.operation,
            "class": match class { Class::Any => "any", Class::Named => "named", Class::Never => "never" },
            "registrations": registrations,
        }));
    }
    let none = observed.is_empty().then(|| format!("{} holds no registration on {source}", entity.url));
    Ok(json!({ "source": source, "offset": end, "events": events, "why": none }))
}

/// The source's name, its stream, and the entity whose main stream that is.
fn find(read: &Read<'_>, by: &Principal, asked: &Asked) -> Result<(String, StreamRow, Option<EntityRow>), Error> {
    let missing = || NoSource { source: asked.source.clone() };
    if let Some(entity) = read.entity(&asked.source)? {
        permission::check(by, Permission::Read, &entity)?;
        let stream = read.stream_by_id(entity.id)?.ok_or_else(missing)?;
        return Ok((entity.url.clone(), stream, Some(entity)));
    }
    let stream = read.live_stream(&asked.source)?.ok_or_else(missing)?;
    Owner::of(read, &stream.path)?.check_read(by, &stream.path)?;
    Ok((stream.path.clone(), stream, None))
}

/// Which conditions an event may match, by who can have written it: on an entity's stream, wake rows, messages and what
/// stands at its birth are the server's.
fn class_of(event: &Event<'_>, entity: Option<&EntityRow>) -> Class {
    let inserts = event.operation.as_deref().is_none_or(|op| op == "insert");
    match event.kind.as_deref() {
        Some("wake") => Class::Never,
        Some("inbox" | "entity_created" | "slash_command") if entity.is_some() && inserts => Class::Named,
        _ => Class::Any,
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
}

impl Judge<'_> {
    fn judge(&self, one: &Observed, journal: &[Json]) -> Json {
        let matched = evaluate(&one.condition, self.event, self.class).is_some();
        let why = match why_not(&one.condition, self.event, self.class) {
            Some(why) => why,
            None => self.outcome(one, journal),
        };
        json!({ "registration": one.id, "condition": one.condition.wire(), "matched": matched, "why": why })
    }

    /// What became of a match.
    fn outcome(&self, one: &Observed, journal: &[Json]) -> String {
        let own = self.from.is_some_and(|source| source.id == self.entity.id);
        let is_signal = self.event.kind.as_deref() == Some("signal");
        if self.end <= one.since {
            return "it matches, and the registration was made after it".to_owned();
        }
        if own && self.class == Class::Any && !is_signal {
            return "it matches, and an entity is not woken by what it wrote under its own claim".to_owned();
        }
        let is_it = |step: &&Json| step["registration"] == one.id && step["position"] == self.position.as_str();
        let gathered = "it matched, and became one wake with what came soon before or after";
        let Some(at) = journal.iter().position(|step| step["what"] == "evaluated" && is_it(&step)) else {
            let forgotten = "it matches; what became of it is no longer remembered";
            return if one.debounce > Span::ZERO { gathered } else { forgotten }.to_owned();
        };
        let then = journal.get(at + 1);
        match then.map(|step| (step["what"].as_str().unwrap_or(""), step)) {
            Some(("suppressed", step)) => {
                format!("it matches, and no wake row was written: {}", step["why"].as_str().unwrap_or(""))
            }
            Some(("debounced", _)) => gathered.to_owned(),
            Some(("slowed", step)) if step["wake"].is_null() => {
                let until = step["until"].as_str().unwrap_or("?");
                format!(
                    "it matched, and its wake row was held back until {until}: {}",
                    step["why"].as_str().unwrap_or("")
                )
            }
            Some((_, step)) => {
                let row = step["offset"].as_str().unwrap_or("?");
                match step["wake"].as_str() {
                    Some(wake) => format!("it matched: its wake row ends at {row}, and {wake} serves it"),
                    None if self.entity.status == Status::Paused => {
                        format!("it matched: its wake row ends at {row}, and waits until the entity is continued")
                    }
                    None => format!("it matched: its wake row ends at {row}, and waits for the next wake"),
                }
            }
            None => "it matched".to_owned(),
        }
    }
}
