//! From an append to the wake rows it causes, in registration order, in the append's transaction.

use std::collections::BTreeMap;

use super::condition::Filter;
use super::debounce;
use super::evaluate::{Match, evaluate_by};
use super::fan_out;
use super::finished::{FinishedChild, answered, bare};
use super::row::{Wake, row};
use super::source::{Runs, Source};
use crate::dispatch::journal;
use crate::limits::{ANSWERS, DEPTH, LOOKS, SPACING};
use crate::store::{EntityRow, MAX_INT, MAX_VALUE, Reached, Registration, SqlError, TimerKind, Tx};
use crate::stream::{Cause, Class, Content, Event, Matched, Offset, Why, write};
use crate::time::Span;

/// Evaluates an append that ends at `end` against the registrations on its source, and delivers what matches: the first
/// of them now, and if there are more, those later.
pub(crate) fn wake(
    tx: &Tx<'_>,
    source: &Source,
    events: &[Event<'_>],
    end: Offset,
    runs: &Runs,
    cause: Cause<'_>,
) -> Result<(), SqlError> {
    if events.is_empty() || cause.class == Class::Never || !source.watched {
        return Ok(());
    }
    let left = match tx.next_fan_out(&source.name)? {
        Some(_) => Some(Reached::default()),
        None if cause.later => Some(Reached::default()),
        None => chunk(tx, source, events, end, runs, &cause, Reached::default(), MAX_INT)?,
    };
    left.map_or(Ok(()), |reached| fan_out::queue(tx, source, end, runs, &cause, reached))
}

/// Evaluates an append against one chunk of the registrations that were made before another: up to so many of them, so
/// many matches, and so many events. Says how far it reached when there may be more.
#[allow(clippy::too_many_arguments, reason = "an append, and a stretch of registrations")]
pub(super) fn chunk(
    tx: &Tx<'_>,
    source: &Source,
    events: &[Event<'_>],
    end: Offset,
    runs: &Runs,
    cause: &Cause<'_>,
    from: Reached,
    before: i64,
) -> Result<Option<Reached>, SqlError> {
    let mut filters = Filters::default();
    let mut answers = Answers { runs, known: Vec::new() };
    let size = tx.config.fan_out;
    let (mut matches, mut looks) = (0, 0);
    let mut after = from.after;
    let registrations = tx.registrations_on(&source.name, after, before, size)?;
    for registration in &registrations {
        let seen = from.within.filter(|(id, _)| *id == registration.id).map_or(0, |(_, event)| event);
        let deaf = cause.author == Some(registration.subscriber) || registration.is_over(tx.now);
        for (index, event) in events.iter().enumerate().skip(if deaf { events.len() } else { seen }) {
            if matches >= size || looks >= LOOKS {
                return Ok(Some(Reached { after, within: Some((registration.id, index)) }));
            }
            looks += 1;
            let passes = |filter: &Filter| filters.pass(filter, index, event);
            if let Some(found) = evaluate_by(&registration.condition, event, cause.class, passes) {
                matches += 1;
                let position = format!("{end}:{index}");
                deliver(tx, source, registration, &found, &position, &mut answers, cause.depth)?;
                if registration.one_shot && tx.registration(registration.id)?.is_none() {
                    break;
                }
            }
        }
        after = registration.id;
    }
    Ok((registrations.len() == size).then_some(Reached { after, within: None }))
}

/// A wake that waited for its turn is written now.
pub(crate) fn release(tx: &Tx<'_>, id: i64) -> Result<(), SqlError> {
    let Some(waiting) = tx.waiting_wake(id)? else { return Ok(()) };
    tx.delete_waiting_wake(id)?;
    match tx.entity_by_id(waiting.subscriber)? {
        Some(subscriber) => {
            let cause = Cause { depth: waiting.depth, why: Why::Waited, ..Cause::outside(Class::Never) };
            append(tx, &subscriber, &waiting.event, cause)
        }
        None => Ok(()),
    }
}

/// What passes which filter: each is asked once of an event, for all who have it.
#[derive(Default)]
struct Filters(BTreeMap<(String, usize), bool>);

impl Filters {
    fn pass(&mut self, filter: &Filter, index: usize, event: &Event<'_>) -> bool {
        let asked = || filter.complaints(event).is_empty();
        *self.0.entry((filter.schema.clone(), index)).or_insert_with(asked)
    }
}

/// The answers of finished runs: each is read once, for all who wait for it.
struct Answers<'a> {
    runs: &'a Runs,
    known: Vec<(String, FinishedChild)>,
}

impl Answers<'_> {
    fn of(&mut self, tx: &Tx<'_>, child: &EntityRow, run: &str, status: &str) -> Result<FinishedChild, SqlError> {
        if let Some((_, known)) = self.known.iter().find(|(key, _)| key == run) {
            return Ok(known.clone());
        }
        if self.known.len() >= ANSWERS {
            return Ok(bare(child, status));
        }
        let start = self.runs.start(tx, child.id, run)?;
        let answer = answered(tx, child, run, status, start)?;
        self.known.push((run.to_owned(), answer.clone()));
        Ok(answer)
    }
}

fn deliver(
    tx: &Tx<'_>,
    source: &Source,
    registration: &Registration,
    found: &Match<'_>,
    position: &str,
    answers: &mut Answers<'_>,
    depth: i64,
) -> Result<(), SqlError> {
    let Some(subscriber) = tx.entity_by_id(registration.subscriber)? else { return Ok(()) };
    let child = source.entity.as_ref().filter(|s| s.parent.as_deref() == Some(&subscriber.url));
    let finished = match (child, &found.run) {
        (Some(child), Some(status)) if registration.include_response => {
            Some(answers.of(tx, child, &found.change.key, status)?)
        }
        (Some(child), Some(status)) => Some(bare(child, status)),
        _ => None,
    };
    let matched = Matched {
        registration: registration.id,
        source: &source.name,
        position,
        collection: &found.change.collection,
        kind: found.change.kind,
        key: &found.change.key,
    };
    if registration.timeout > Span::ZERO && !registration.consumed {
        tx.consume_timeout(registration.id)?;
    }
    let change = serde_json::to_string(&found.change).expect("our own values serialise");
    let finished = finished.map(|f| serde_json::to_string(&f).expect("our own values serialise"));
    if registration.debounce > Span::ZERO {
        return debounce::gather(tx, registration, &subscriber, &matched, &change, finished, depth);
    }
    let event = row(tx, &Wake { matched: &matched, timeout: false, changes: &change, finished: finished.as_deref() });
    emit(tx, subscriber, &event, &matched, depth)?;
    if registration.one_shot { tx.delete_registration(registration.id) } else { Ok(()) }
}

/// Writes a wake row to its subscriber's stream: now, or in its turn when its cause lies too deep.
pub(super) fn emit(
    tx: &Tx<'_>,
    mut subscriber: EntityRow,
    event: &str,
    matched: &Matched<'_>,
    depth: i64,
) -> Result<(), SqlError> {
    let cause = Cause { depth, why: Why::Wake(matched), ..Cause::outside(Class::Never) };
    if depth <= DEPTH {
        return append(tx, &subscriber, event, cause);
    }
    // Too deep to be honest haste: from here on one entity's wake rows stand apart, and none is lost. Its budget keeps
    // its dispatches apart, but an agent that keeps its claim reads a row without being dispatched.
    let turn = subscriber.next_wake.max(tx.now);
    subscriber.next_wake = turn + SPACING;
    tx.update_entity(&subscriber)?;
    if turn <= tx.now || event.len() > MAX_VALUE {
        return append(tx, &subscriber, event, cause);
    }
    tx.count(|c| c.wakes_slowed += 1);
    journal::held(tx, &subscriber, matched, turn, depth)?;
    let id = tx.insert_waiting_wake(subscriber.id, event, depth)?;
    tx.arm(turn, TimerKind::Wake, id)
}

fn append(tx: &Tx<'_>, subscriber: &EntityRow, event: &str, cause: Cause<'_>) -> Result<(), SqlError> {
    let stream = tx.stream_by_id(subscriber.id)?.filter(|s| !s.closed);
    let Some(mut stream) = stream.filter(|_| subscriber.status.accepts_writes()) else {
        tx.count(|c| c.wakes_suppressed += 1);
        if let Why::Wake(matched) = cause.why {
            let why = format!("the entity is {}", subscriber.status.as_str());
            journal::suppressed(tx, subscriber, matched, &why)?;
        }
        return Ok(());
    };
    tx.count(|c| c.wakes += 1);
    write(tx, &mut stream, &Content::Json(vec![event]), cause)?;
    Ok(())
}
