//! Who waits for what, and what they are owed: a wake row for each match, one for all that was gathered, one for nothing.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::cluster::Cluster;
use super::model::{Author, Row};
use crate::{Span, Time};

pub(super) struct Registration {
    pub(super) subscriber: usize,
    pub(super) source: String,
    pub(super) condition: Condition,
    pub(super) key: String,
    pub(super) terms: Terms,
    /// When it ends by itself.
    pub(super) lapses: Option<Time>,
    /// When it is told that nothing came, unless something does.
    times_out: Option<Time>,
    gathered: Option<Gathered>,
    /// When its timers ring.
    alarms: BTreeSet<Time>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    RunFinished,
    Change,
    Named(&'static str),
    /// What a filter of a webhook source lets through.
    Passed,
}

/// How it waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) debounce: Option<Span>,
    pub(super) timeout: Option<Span>,
    pub(super) one_shot: bool,
}

/// What has matched and was not told yet.
struct Gathered {
    first: Time,
    last: Time,
    changes: Vec<String>,
}

/// An event as conditions see it.
pub(super) struct Change {
    pub(super) kind: &'static str,
    /// What it is recognised by in a wake row.
    pub(super) id: String,
    pub(super) finishes: bool,
    /// Whether it is too large to wait for more.
    pub(super) fat: bool,
    /// Whether the filter of a webhook source lets it through.
    pub(super) passes: bool,
}

impl Change {
    pub(super) fn of(kind: &'static str, id: &str) -> Self {
        Self { kind, id: id.to_owned(), finishes: false, fat: false, passes: false }
    }
}

impl Registration {
    pub(super) fn new(
        (subscriber, source): (usize, String),
        condition: Condition,
        key: String,
        terms: Terms,
        now: Time,
    ) -> Self {
        let times_out = terms.timeout.map(|span| now + span);
        Self {
            subscriber,
            source,
            condition,
            key,
            terms,
            lapses: None,
            times_out,
            gathered: None,
            alarms: BTreeSet::new(),
        }
    }

    pub(super) fn until(self, lapses: Option<Time>) -> Self {
        Self { lapses, ..self }
    }

    /// Puts it in its place among others (wake specification, section 1.1; the last write under a manifest key wins). What
    /// one has gathered goes with it.
    pub(super) fn put(self, among: &mut Vec<Self>) {
        let alike = |r: &Self| r.source == self.source && r.condition == self.condition;
        let rivals = |r: &Self| r.subscriber == self.subscriber && r.key == self.key;
        if among.iter().any(|r| rivals(r) && alike(r) && r.terms == self.terms && r.lapses == self.lapses) {
            return;
        }
        among.retain(|r| !rivals(r) || (self.key.is_empty() && !alike(r)));
        among.push(self);
    }

    /// Takes a change that matches. Gives back what is to be told now.
    fn meet(&mut self, change: &Change, label: String, now: Time) -> Option<Vec<String>> {
        self.times_out = None;
        let Some(debounce) = self.terms.debounce else { return Some(vec![label]) };
        let gathered = self.gathered.get_or_insert_with(|| {
            self.alarms.insert(now + debounce);
            Gathered { first: now, last: now, changes: Vec::new() }
        });
        gathered.last = now;
        gathered.changes.push(label);
        (change.fat || gathered.changes.len() >= MOST).then(|| self.gathered.take()).flatten().map(|g| g.changes)
    }

    /// A timer rings. Gives back what is to be told now: nothing, if more has come since it was wound.
    fn ring(&mut self, at: Time, now: Time) -> Option<Vec<String>> {
        self.alarms.remove(&at);
        let (gathered, debounce) = (self.gathered.as_ref()?, self.terms.debounce?);
        let due = (gathered.last + debounce).min(gathered.first + longest(debounce));
        if due > now {
            self.alarms.insert(due);
            return None;
        }
        self.gathered.take().map(|g| g.changes)
    }

    fn row(&self, timeout: bool, changes: Vec<String>) -> Row {
        Row { source: self.source.clone(), timeout, changes }
    }

    /// The first that it waits for, in the order in which what is due at one moment comes.
    fn next(&self) -> Option<(Time, bool)> {
        let alarm = self.alarms.first().map(|at| (*at, false));
        alarm.into_iter().chain(self.times_out.map(|at| (at, true))).min()
    }
}

impl Condition {
    /// What a wake row says of a change that matches.
    fn label(self, change: &Change, author: Author) -> Option<String> {
        let named_only = matches!(author, Author::Server | Author::About(_));
        let collection = match self {
            Self::RunFinished => (change.finishes && !named_only).then_some("runs"),
            Self::Change => (!named_only).then_some(change.kind),
            Self::Named(kind) => (change.kind == kind).then_some(kind),
            Self::Passed => change.passes.then_some("webhook_event"),
        };
        collection.map(|collection| format!("{collection} {}", change.id))
    }

    pub(super) fn json(self) -> Json {
        match self {
            Self::RunFinished => json!("runFinished"),
            Self::Change => json!({ "on": "change" }),
            Self::Named(kind) => json!({ "on": "change", "collections": [kind] }),
            Self::Passed => unreachable!("a filter is not asked for by itself"),
        }
    }
}

impl Terms {
    /// Mostly none; otherwise some of each kind.
    pub(super) fn some(c: &mut Cluster) -> Self {
        if c.dice.percent(50) {
            return Self::default();
        }
        let debounce =
            c.dice.percent(60).then(|| c.dice.pick(&[200, 2_000, 15_000, 900_000]).map(Span::millis)).flatten();
        let timeout = c.dice.percent(40).then(|| Span::millis(c.dice.between(100, 100_000)));
        Self { debounce, timeout, one_shot: c.dice.percent(45) }
    }

    pub(super) fn write(self, wake: &mut Json) {
        if let Some(debounce) = self.debounce {
            wake["debounceMs"] = json!(debounce.as_millis());
        }
        if let Some(timeout) = self.timeout {
            wake["timeoutMs"] = json!(timeout.as_millis());
        }
        if self.one_shot {
            wake["oneShot"] = json!(true);
        }
    }
}

impl Cluster {
    /// Events were appended to a source: whoever waits for them is owed a wake row.
    pub(super) fn changed(&mut self, source: &str, author: Author, changes: &[Change]) {
        let now = self.world.now;
        let mut all = std::mem::take(&mut self.registrations);
        all.retain_mut(|it| {
            let own = matches!(author, Author::Agent(me) | Author::About(me) if me == it.subscriber);
            let label = |c| Some((c, it.condition.label(c, author)?));
            let mut labels: Vec<_> = changes.iter().filter_map(label).collect();
            let over = it.lapses.is_some_and(|at| at <= now);
            if own || over || it.source != source || labels.is_empty() {
                return true;
            }
            if it.terms.one_shot && it.terms.debounce.is_none() {
                labels.truncate(1);
            }
            for (change, label) in labels {
                if let Some(told) = it.meet(change, label, now) {
                    self.owe(it.subscriber, it.row(false, told));
                    if it.terms.debounce.is_some() {
                        self.heard.insert("enough".to_owned());
                    }
                    if it.terms.one_shot {
                        self.heard.insert("one shot".to_owned());
                        return false;
                    }
                }
            }
            true
        });
        self.registrations = all;
    }

    /// The timers of registrations ring that are due before a moment and by now, each in its turn.
    pub(super) fn ring(&mut self, before: Time) {
        let now = self.world.now;
        let next = |(at, r): (usize, &Registration)| r.next().map(|(due, timeout)| (due, timeout, at));
        while let Some((due, timeout, at)) = self.registrations.iter().enumerate().filter_map(next).min() {
            if due >= before || due > now {
                return;
            }
            let it = &mut self.registrations[at];
            let subscriber = it.subscriber;
            if timeout {
                it.times_out = None;
                self.heard.insert("timed out".to_owned());
                let row = it.row(true, Vec::new());
                self.owe(subscriber, row);
            } else if let Some(told) = it.ring(due, now) {
                self.heard.insert(if told.len() > 1 { "gathered" } else { "debounced" }.to_owned());
                let row = it.row(false, told);
                if it.terms.one_shot {
                    self.registrations.remove(at);
                    self.heard.insert("one shot".to_owned());
                }
                self.owe(subscriber, row);
            }
        }
    }

    /// A source ends. What its end and the moment at which it was to be told have in common is chance.
    pub(super) fn part(&mut self, source: &str) {
        let now = self.world.now;
        for it in self.registrations.iter().filter(|r| r.source == source) {
            let perhaps = &mut self.entities[it.subscriber].perhaps;
            if it.times_out.is_some_and(|at| at <= now) {
                perhaps.push(it.row(true, Vec::new()));
            }
            if let Some(gathered) = it.gathered.as_ref().filter(|_| it.alarms.first().is_some_and(|at| *at <= now)) {
                perhaps.push(it.row(false, gathered.changes.clone()));
            }
        }
    }

    fn owe(&mut self, subscriber: usize, row: Row) {
        let it = &mut self.entities[subscriber];
        if it.accepts() {
            it.wakes.push(row);
        }
    }
}

/// How long a debounce may postpone a wake: ten times as long as it is, and no longer than an hour.
fn longest(debounce: Span) -> Span {
    Span::millis((debounce.as_millis() * 10).min(3_600_000))
}

/// How many changes one row may carry.
const MOST: usize = 100;
