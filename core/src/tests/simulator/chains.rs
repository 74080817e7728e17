//! Chains of ticks: somebody observes one, or has a schedule for it; it ticks while anybody does, and ends with the last.
//! After a downtime there is one tick for all that were missed.

use serde_json::{Value as Json, json};

use super::super::world::Got;
use super::cluster::{Cluster, text};
use super::host::Op;
use super::model::Author;
use super::people::{observes, some};
use super::registrations::{Change, Condition, Terms};
use crate::limits::FAN_OUT;
use crate::{Span, Time};

/// A chain, whose ticks are at the multiples of a span.
pub(super) struct Chain {
    pub(super) expression: &'static str,
    every: Span,
    pub(super) path: String,
    /// The number of the next tick, and when that is, while anybody observes it.
    number: u64,
    due: Option<Time>,
    /// Whether its last observer went at the moment of a tick, so that nobody can say whether it ends.
    unsure: bool,
}

/// Asks for each of the chains that there are.
pub(super) fn found(c: &mut Cluster) {
    for (expression, every) in [("*/10 * * * *", 600), ("*/30 * * * *", 1_800), ("0 * * * *", 3_600)] {
        let got = c.world.post(ENSURE, &json!({ "expression": expression }));
        assert_eq!(got.status, 200, "{}", got.body);
        let path = text(&got.json()["streamUrl"]);
        let mut chain = Chain { expression, every: Span::secs(every), path, number: 0, due: None, unsure: false };
        chain.ensure(c.world.now);
        c.chains.push(chain);
    }
}

/// Somebody asks for a chain: it ticks at least once.
pub(super) fn asks(c: &mut Cluster) -> Option<Op> {
    let at = c.dice.below(c.chains.len());
    let body = json!({ "expression": c.chains[at].expression });
    Some(Op::ask(format!("ensure {body}"), ("POST", ENSURE), &[], &body, move |c, got| {
        assert_eq!(got.status, 200, "{}", got.body);
        let now = c.world.now;
        c.chains[at].ensure(now);
    }))
}

/// An entity is to be told at each tick, as a row of its manifest says.
pub(super) fn schedules(c: &mut Cluster) -> Option<Op> {
    let (owner, at) = (some(c)?, c.dice.below(c.chains.len()));
    let id = c.dice.pick(&["s", "t"])?;
    let terms = Terms { one_shot: false, ..Terms::some(c) };
    let mut body = json!({ "scheduleType": "cron", "expression": c.chains[at].expression, "payload": 1 });
    terms.write(&mut body);
    let (url, chain) = (c.entities[owner].url.clone(), c.chains[at].path.clone());
    let path = format!("/_electric/entities{url}/schedules/{id}");
    let settle = move |c: &mut Cluster, got: &Got| {
        if c.entities[owner].is_over() {
            assert_eq!((got.status, got.code()), (409, "NOT_RUNNING".to_owned()), "{}", got.body);
            return;
        }
        assert_eq!(got.status, 200, "{}", got.body);
        c.delayed.retain(|d| d.of != Some((owner, id)));
        c.rewrite(owner, id);
        c.doubt_itself(owner, id);
        observes(c, owner, chain, Condition::Change, format!("schedule:{id}"), terms);
    };
    Some(Op::ask(format!("{url} schedules {id}: {body}"), ("PUT", &path), &[], &body, settle))
}

/// A registration was made on a source, or is to be: if it is a chain, that ticks.
pub(super) fn is_observed(c: &mut Cluster, source: &str) {
    let now = c.world.now;
    if let Some(chain) = c.chains.iter_mut().find(|chain| chain.path == source) {
        chain.ensure(now);
    }
}

impl Chain {
    fn ensure(&mut self, now: Time) {
        if self.due.is_none() {
            self.due = Some(self.next(now));
        }
    }

    /// The first multiple of its span that is later.
    fn next(&self, now: Time) -> Time {
        let every = self.every.as_millis();
        Time::from_millis((now.as_millis() / every + 1) * every)
    }
}

impl Cluster {
    /// When the first chain ticks, and which.
    pub(super) fn next_tick(&self) -> Option<(Time, usize)> {
        let due = |(at, chain): (usize, &Chain)| Some((chain.due?, at));
        self.chains.iter().enumerate().filter_map(due).min()
    }

    /// A chain ticks, and goes on from now while anybody observes it.
    pub(super) fn strike(&mut self, at: usize) {
        let now = self.world.now;
        let chain = &mut self.chains[at];
        let (path, tick, next) = (chain.path.clone(), format!("tick-{}", chain.number), chain.next(now));
        if chain.due.is_some_and(|due| due + chain.every <= now) {
            self.heard.insert("ticks are missed".to_owned());
        }
        chain.number += 1;
        let watched = self.is_watched(&path);
        self.changed(&path, Author::Outside, &[Change::of("cron_tick", &tick)]);
        let goes_on = self.is_watched(&path);
        // Where an append is told a few at a time, those who wanted one tick may not have been told of it yet.
        let slow = self.world.engine.config().fan_out < FAN_OUT;
        let unsure = std::mem::take(&mut self.chains[at].unsure) || slow && watched && !goes_on;
        let due = if unsure { self.stored(at).1 } else { goes_on.then_some(next) };
        assert!(due.is_none_or(|due| due == next), "{path} goes on at {due:?}");
        self.chains[at].due = due;
        self.heard.insert(if due.is_some() { "a chain goes on" } else { "a chain ends" }.to_owned());
    }

    pub(super) fn is_watched(&self, source: &str) -> bool {
        self.registrations.iter().any(|r| r.source == source)
    }

    /// Something is about to end of which nobody can say whether that comes before a tick that is due. Gives the chains that
    /// somebody observes then.
    pub(super) fn due_chains(&self) -> Vec<usize> {
        let is_due = |at: &usize| self.chains[*at].due.is_some_and(|due| due <= self.world.now);
        (0..self.chains.len()).filter(|at| is_due(at) && self.is_watched(&self.chains[*at].path)).collect()
    }

    /// It has ended.
    pub(super) fn doubt(&mut self, chains: &[usize]) {
        for at in chains {
            self.chains[*at].unsure = !self.is_watched(&self.chains[*at].path);
        }
    }

    fn stored(&self, at: usize) -> (u64, Option<Time>) {
        let sql = format!("SELECT json_array(tick, due_at) FROM cron WHERE path = '{}'", self.chains[at].path);
        let row: Json = serde_json::from_str(&self.world.engine.sql().text(&sql)).expect("JSON");
        (row[0].as_u64().expect("a number"), row[1].as_i64().map(Time::from_millis))
    }
}

/// At any moment: each chain has ticked as often as it must, and does so next when it must.
pub(super) fn check(c: &Cluster) {
    for (at, chain) in c.chains.iter().enumerate() {
        assert_eq!(c.stored(at), (chain.number, chain.due), "where {} stands", chain.path);
        let due = chain.due.map_or(0, Time::as_millis);
        let armed = format!("SELECT count(*) FROM timer WHERE kind = 13 AND due_at = {due}");
        assert!(chain.due.is_none() || c.world.engine.sql().number(&armed) > 0, "{} has no timer", chain.path);
    }
}

/// Each tick is there once, in its place.
pub(super) fn check_streams(c: &mut Cluster) {
    for at in 0..c.chains.len() {
        let path = c.chains[at].path.clone();
        let events = c.read(&path).json();
        let told = events.as_array().expect("a list").iter().map(|e| text(&e["key"]));
        let want = (0..c.chains[at].number).map(|number| format!("tick-{number}"));
        assert!(told.eq(want), "the ticks of {path}: {events}");
    }
}

const ENSURE: &str = "/_electric/observations/cron/ensure-stream";
