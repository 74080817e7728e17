//! From an append to the wake rows it causes, in registration order, in the append's transaction.

use serde::Serialize;

use super::evaluate::{Change, Match, evaluate};
use super::finished::{FinishedChild, answered, bare};
use super::source::{Runs, Source};
use crate::dispatch::journal;
use crate::limits::{ANSWERS, FAN_OUT};
use crate::store::{EntityRow, Registration, SqlError, Tx};
use crate::stream::{Cause, Class, Content, Event, Matched, Offset, Why, write};

/// Evaluates an append that ends at `end` against every registration on its source, and delivers what matches.
pub(crate) fn wake(
    tx: &Tx<'_>,
    source: &Source,
    events: &[Event<'_>],
    end: Offset,
    runs: &Runs,
    cause: Cause<'_>,
) -> Result<(), SqlError> {
    if events.is_empty() || cause.class == Class::Never {
        return Ok(());
    }
    let mut answers = Answers { runs, known: Vec::new() };
    let mut after = 0;
    loop {
        let registrations = tx.registrations_on(&source.name, after, FAN_OUT)?;
        for registration in &registrations {
            if cause.author == Some(registration.subscriber) {
                continue;
            }
            for (index, event) in events.iter().enumerate() {
                if let Some(found) = evaluate(&registration.condition, event, cause.class) {
                    let position = format!("{end}:{index}");
                    deliver(tx, source, registration, &found, &position, &mut answers, cause.depth)?;
                }
            }
        }
        match registrations.last() {
            Some(last) if registrations.len() == FAN_OUT => after = last.id,
            _ => return Ok(()),
        }
    }
}

/// A wake row that an earlier release let wait for its turn is written now: it is its dispatch that waits.
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
    let timestamp = tx.now.iso();
    let row = Row {
        r#type: "wake",
        key: format!("wake-{}-{position}", registration.id),
        value: Value {
            timestamp: &timestamp,
            source: &source.name,
            timeout: false,
            changes: [&found.change],
            finished_child: finished,
        },
        headers: Headers { operation: "insert" },
    };
    let event = serde_json::to_string(&row).expect("our own values serialise");
    append(tx, &subscriber, &event, Cause { depth, why: Why::Wake(&matched), ..Cause::outside(Class::Never) })
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

/// A wake row (wake specification, section 1.7).
#[derive(Serialize)]
struct Row<'a> {
    r#type: &'static str,
    key: String,
    value: Value<'a>,
    headers: Headers,
}

#[derive(Serialize)]
struct Value<'a> {
    timestamp: &'a str,
    source: &'a str,
    timeout: bool,
    changes: [&'a Change<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_child: Option<FinishedChild>,
}

#[derive(Serialize)]
struct Headers {
    operation: &'static str,
}
