//! The journal: what each dispatch went through and why, so that somebody can be told.
//!
//! One record a dispatch. That of the dispatch in flight stands in its subscription's row, which every step writes
//! anyway; when the next one is claimed it is filed. A wake row that no dispatch began with has a record of its own. So a
//! journal costs no row but one a dispatch and one such a wake row, and both are bounded.

mod past;
pub(crate) mod show;
pub(crate) mod step;
pub(crate) mod told;

use serde::{Deserialize, Serialize};

use self::past::Past;
use self::step::Step;
use crate::limits::{JOURNAL_STEPS, WHY};
use crate::store::{EntityRow, Link, SqlError, SubscriptionRow, Tx};
use crate::stream::{Cause, Matched, Offset, Why};
use crate::time::Time;

/// What became of one dispatch, or of one wake row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The entity that it is about, by its main stream.
    entity: i64,
    /// The wake; none before it has begun, and for a wake row.
    #[serde(skip_serializing_if = "Option::is_none")]
    wake: Option<String>,
    generation: i64,
    /// What it serves: what lies after `from`, up to `to`. A wake row stands at `to`.
    from: i64,
    to: i64,
    steps: Vec<Step>,
}

/// What a subscription's row keeps.
#[derive(Default, Serialize, Deserialize)]
struct Kept {
    /// The dispatch before, until it is filed.
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<Record>,
    /// The dispatch in flight, or the last that was; or, before it begins, the one that waits for its turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<Record>,
    /// What those before came to, which are filed.
    #[serde(default, skip_serializing_if = "Past::is_empty")]
    past: Past,
}

/// Why a dispatch begins.
#[derive(Clone, Copy)]
pub(crate) enum Because<'a> {
    /// An append, which ends at an offset.
    Append(&'a Cause<'a>, Offset),
    /// Something came before, and could not begin one then.
    Meanwhile(&'static str),
    /// Somebody took it back.
    Revived(&'a str),
}

/// A dispatch has begun, of the wake in flight, about one of its links. The row is the caller's to write.
pub(crate) fn begin(
    tx: &Tx<'_>,
    subscription: &mut SubscriptionRow,
    link: &Link,
    because: Because<'_>,
) -> Result<(), SqlError> {
    let Some(wake) = &subscription.wake else { return Ok(()) };
    let (wake, generation) = (wake.id.clone(), subscription.generation);
    let mut kept = Kept::of(subscription)?;
    let (from, to) = (link.acked.map_or(-1, Offset::bytes), link.tail.bytes());
    let mut record = match kept.now.take_if(|now| now.wake.is_none()) {
        // It had waited for its turn.
        Some(mut waiting) => {
            if let Because::Append(..) = because {
                waiting.steps.extend(because.steps(tx, link));
            }
            waiting
        }
        None => {
            kept.advance(tx)?;
            let steps = because.steps(tx, link);
            Record { entity: link.stream.unwrap_or_default(), wake: None, generation, from, to, steps }
        }
    };
    (record.wake, record.generation, record.from, record.to) = (Some(wake), generation, from, to);
    kept.now = Some(record);
    kept.keep(subscription);
    Ok(())
}

/// A dispatch cannot begin yet: its entity has used up its budget. The row is the caller's to write.
pub(crate) fn wait(
    tx: &Tx<'_>,
    subscription: &mut SubscriptionRow,
    link: &Link,
    because: Because<'_>,
    (until, why): (Time, &str),
) -> Result<(), SqlError> {
    let mut kept = Kept::of(subscription)?;
    if kept.now.as_ref().is_none_or(|now| now.wake.is_some()) {
        kept.advance(tx)?;
        let entity = link.stream.unwrap_or_default();
        let (from, to) = (link.acked.map_or(-1, Offset::bytes), link.tail.bytes());
        kept.now = Some(Record { entity, wake: None, generation: 0, from, to, steps: because.steps(tx, link) });
    }
    if let Some(now) = &mut kept.now {
        now.push(step::slowed(tx, until, why));
    }
    kept.keep(subscription);
    Ok(())
}

/// A step of the dispatch in flight, or of the last. The row is the caller's to write.
pub(crate) fn note(subscription: &mut SubscriptionRow, step: Step) -> Result<(), SqlError> {
    if subscription.plain {
        return Ok(());
    }
    let mut kept = Kept::of(subscription)?;
    if let Some(now) = &mut kept.now {
        now.push(step);
        kept.keep(subscription);
    }
    Ok(())
}

/// Files the dispatch before the one in flight, if it is not filed yet. The row is the caller's to write.
pub(crate) fn file(tx: &Tx<'_>, subscription: &mut SubscriptionRow) -> Result<(), SqlError> {
    if subscription.journal.is_none() {
        return Ok(());
    }
    let mut kept = Kept::of(subscription)?;
    if let Some(last) = kept.last.take() {
        last.file(tx)?;
        kept.past.remember(&last);
        kept.keep(subscription);
    }
    Ok(())
}

/// Files all that a subscription's row keeps: its entity goes. The row is the caller's to write.
pub(crate) fn file_all(tx: &Tx<'_>, subscription: &mut SubscriptionRow) -> Result<(), SqlError> {
    let kept = Kept::of(subscription)?;
    subscription.journal = None;
    kept.last.iter().chain(&kept.now).try_for_each(|record| record.file(tx))
}

/// Something was appended and began no dispatch: if it is a wake row, the next one will serve it.
pub(crate) fn wake_row(tx: &Tx<'_>, entity: i64, why: &Why<'_>, end: Offset) -> Result<(), SqlError> {
    match why {
        Why::Wake(_) | Why::Waited => lone(tx, entity, end.bytes(), told(tx, why, end)),
        Why::Append | Why::Message { .. } | Why::Signal(_) => Ok(()),
    }
}

/// A condition matched, and the wake row has to wait for its turn.
pub(crate) fn held(
    tx: &Tx<'_>,
    subscriber: &EntityRow,
    matched: &Matched<'_>,
    until: Time,
    depth: i64,
) -> Result<(), SqlError> {
    let steps = vec![step::evaluated(tx, matched), step::slowed(tx, until, &deep(depth))];
    lone(tx, subscriber.id, -1, steps)
}

/// A condition matched, and its registration waits whether more comes.
pub(crate) fn debounced(
    tx: &Tx<'_>,
    subscriber: &EntityRow,
    matched: &Matched<'_>,
    until: Time,
) -> Result<(), SqlError> {
    lone(tx, subscriber.id, -1, vec![step::evaluated(tx, matched), step::debounced(tx, until)])
}

/// A row of an entity's manifest asks for what cannot be.
pub(crate) fn refused(tx: &Tx<'_>, entity: i64, key: &str, why: &str) -> Result<(), SqlError> {
    let why: String = why.chars().take(WHY).collect();
    lone(tx, entity, -1, vec![step::refused(tx, key, &why)])
}

/// What is said of a chain of causes that is too deep.
pub(crate) fn deep(depth: i64) -> String {
    format!("its cause lies {depth} causes deep")
}

/// A condition matched, and no wake row was written.
pub(crate) fn suppressed(
    tx: &Tx<'_>,
    subscriber: &EntityRow,
    matched: &Matched<'_>,
    why: &str,
) -> Result<(), SqlError> {
    lone(tx, subscriber.id, -1, vec![step::evaluated(tx, matched), step::suppressed(tx, why)])
}

/// Somebody called under a wake that is over.
pub(crate) fn fenced(
    tx: &Tx<'_>,
    subscription: &mut SubscriptionRow,
    wake: &str,
    generation: i64,
    step: Step,
) -> Result<(), SqlError> {
    let mut kept = Kept::of(subscription)?;
    let here = [&mut kept.now, &mut kept.last].into_iter().flatten().find(|r| r.wake.as_deref() == Some(wake));
    if let Some(record) = here {
        record.push(step);
        kept.keep(subscription);
        return tx.update_subscription(subscription);
    }
    let Some(entity) = tx.last_trigger(subscription.id)? else { return Ok(()) };
    let filed = tx.filed_dispatch(entity, generation)?.map(|text| Record::parse(&text)).transpose()?;
    if let Some(mut record) = filed.filter(|r| r.wake.as_deref() == Some(wake)) {
        record.push(step);
        record.file(tx)?;
    }
    Ok(())
}

/// The steps of an append that ends at an offset.
fn told(tx: &Tx<'_>, why: &Why<'_>, end: Offset) -> Vec<Step> {
    let mut steps = Vec::new();
    if let Why::Wake(matched) = why {
        steps.push(step::evaluated(tx, matched));
    }
    steps.push(step::appended(tx, end, why));
    steps
}

fn lone(tx: &Tx<'_>, entity: i64, at: i64, steps: Vec<Step>) -> Result<(), SqlError> {
    let record = Record { entity, wake: None, generation: 0, from: at, to: at, steps };
    tx.file_wake_row(entity, &record.json())
}

impl Because<'_> {
    fn steps(self, tx: &Tx<'_>, link: &Link) -> Vec<Step> {
        match self {
            Self::Append(cause, end) => told(tx, &cause.why, end),
            Self::Meanwhile(why) => vec![step::pending(tx, link, why)],
            Self::Revived(by) => vec![step::revived(tx, by)],
        }
    }
}

impl Kept {
    fn of(subscription: &SubscriptionRow) -> Result<Self, SqlError> {
        let Some(text) = &subscription.journal else { return Ok(Self::default()) };
        serde_json::from_str(text).map_err(|e| SqlError::new(format!("a stored journal does not parse: {e}")))
    }

    fn keep(&self, subscription: &mut SubscriptionRow) {
        subscription.journal = Some(serde_json::to_string(self).expect("our own values serialise"));
    }

    /// Makes room for the next dispatch.
    fn advance(&mut self, tx: &Tx<'_>) -> Result<(), SqlError> {
        if let Some(unfiled) = std::mem::replace(&mut self.last, self.now.take()) {
            unfiled.file(tx)?;
            self.past.remember(&unfiled);
        }
        Ok(())
    }
}

impl Record {
    fn parse(text: &str) -> Result<Self, SqlError> {
        serde_json::from_str(text).map_err(|e| SqlError::new(format!("a stored journal does not parse: {e}")))
    }

    fn json(&self) -> String {
        serde_json::to_string(self).expect("our own values serialise")
    }

    fn file(&self, tx: &Tx<'_>) -> Result<(), SqlError> {
        match self.wake {
            Some(_) => tx.file_dispatch(self.entity, self.generation, &self.json()),
            None => tx.file_wake_row(self.entity, &self.json()),
        }
    }

    /// Its last step of some kinds.
    fn last(&self, kinds: &[&str]) -> Option<&Step> {
        self.steps.iter().rev().find(|step| kinds.iter().any(|kind| step.is(kind)))
    }

    /// Whether it is of a dispatch, and not of a wake row.
    pub(in crate::dispatch) fn is_dispatch(&self) -> bool {
        self.wake.is_some() || (self.to >= 0 && self.steps.iter().any(|step| step.is("slowed")))
    }

    /// The wake that serves what ends at an offset, if it is this.
    pub(in crate::dispatch) fn serves(&self, end: Offset) -> Option<&str> {
        self.wake.as_deref().filter(|_| self.from < end.bytes() && end.bytes() <= self.to)
    }

    /// Adds a step. One that repeats the last takes its place; of too many, those in the middle are dropped.
    fn push(&mut self, mut step: Step) {
        if let Some(last) = self.steps.last() {
            if step.is("emitted") && last.is("retried") {
                return;
            }
            if step.repeats(last) {
                step.continues(last);
                self.steps.pop();
            }
        }
        if self.steps.len() >= JOURNAL_STEPS {
            self.steps.remove(JOURNAL_STEPS / 2);
        }
        self.steps.push(step);
    }
}
