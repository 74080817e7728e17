//! The host of the engine: it brings what is asked, alone or in batches, takes the answers back, lets time pass, and sees
//! webhooks leave.

use serde_json::Value as Json;
use sha2::Digest;

use super::super::world::{Got, World, got};
use super::cluster::{Cluster, Flight, Whom};
use super::{agents, faults, forks, members, rights, shapes, watchers};
use crate::effect::{EffectId, Fetch};
use crate::{Command, Effect, Entropy, Reply, Span, Ticket, Time, Turn};

/// Something that is asked of the engine, and what its answer means.
pub(super) struct Op {
    what: String,
    command: Command,
    settle: Settle,
}

type Settle = Box<dyn FnOnce(&mut Cluster, Option<Got>)>;

impl Op {
    pub(super) fn ask(
        what: impl Into<String>,
        (method, path): (&str, &str),
        headers: &[(&str, &str)],
        body: &Json,
        settle: impl FnOnce(&mut Cluster, &Got) + 'static,
    ) -> Self {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        Self::send(what, (method, path), headers, &body, settle)
    }

    /// The same with a body of any form.
    pub(super) fn send(
        what: impl Into<String>,
        (method, path): (&str, &str),
        headers: &[(&str, &str)],
        body: &str,
        settle: impl FnOnce(&mut Cluster, &Got) + 'static,
    ) -> Self {
        Self {
            what: what.into(),
            command: World::command(method, path, headers, body),
            settle: Box::new(|cluster, got| settle(cluster, &got.expect("an answer"))),
        }
    }

    /// The same of something that may have to wait for its answer.
    pub(super) fn ask_for(
        ticket: Ticket,
        what: impl Into<String>,
        (method, path): (&str, &str),
        body: &Json,
        settle: impl FnOnce(&mut Cluster, Option<Got>) + 'static,
    ) -> Self {
        let command = match World::command(method, path, &[], &body.to_string()) {
            Command::Request { request, .. } => Command::Request { ticket, request },
            other => other,
        };
        Self { what: what.into(), command, settle: Box::new(settle) }
    }

    pub(super) fn of(what: impl Into<String>, command: Command, settle: impl FnOnce(&mut Cluster) + 'static) -> Self {
        Self { what: what.into(), command, settle: Box::new(|cluster, _| settle(cluster)) }
    }

    /// Whether somebody waits for an answer.
    pub(super) fn is_request(&self) -> bool {
        matches!(self.command, Command::Request { .. })
    }

    /// The same where nothing may follow from it.
    pub(super) fn without_effect(self) -> Self {
        Self { what: format!("{} (lost)", self.what), settle: Box::new(|_, _| {}), ..self }
    }
}

impl Cluster {
    /// Runs operations in one batch, takes their answers in order, and sees to it that all are told whom they concern; the
    /// server may go down meanwhile.
    pub(super) fn run(&mut self, ops: Vec<Op>) {
        let alone = ops.len() == 1 && ops[0].is_request() && self.dice.percent(10);
        let before = alone.then(|| (self.kept(), self.world.engine.next_deadline().expect("readable")));
        let refused = self.turn(ops);
        if let Some((before, _)) = before.filter(|(_, due)| refused && due.is_none_or(|due| due > self.world.now)) {
            let differ = self.kept().into_iter().zip(before).find(|(now, then)| now != then);
            assert!(differ.is_none(), "what was refused has left a trace: {differ:?}");
            self.heard.insert("a refusal left no trace".to_owned());
        }
        for _ in 0..10_000 {
            let told = self.world.engine.sql().number("SELECT count(*) FROM fan_out") == 0;
            if told && members::is_told(self) && !self.spreads() {
                return;
            }
            if !told {
                self.heard.insert("fan-out".to_owned());
            }
            if self.dice.percent(5) {
                faults::crash(self);
            }
            self.turn(vec![Op::of("", Command::Tick { budget: 1_000 }, Self::lapse)]);
        }
        panic!("an append is told for ever");
    }

    /// One batch. Says whether the last of it was refused.
    pub(super) fn turn(&mut self, ops: Vec<Op>) -> bool {
        let mut was_refused = false;
        self.together = ops.len() > 1;
        let several = if ops.len() > 1 { " (together)" } else { "" };
        let (commands, rest): (Vec<_>, Vec<_>) = ops.into_iter().map(|op| (op.command, (op.what, op.settle))).unzip();
        let turns = self.world.batch(commands);
        self.world.fetches.clear();
        self.world.now = self.world.engine.now(self.world.now);
        assert_eq!(turns.len(), rest.len(), "a turn for each command");
        members::remember_observers(self);
        for (mut turn, (what, settle)) in turns.into_iter().zip(rest) {
            let effects = std::mem::take(&mut turn.effects);
            let replies = std::mem::take(&mut turn.replies);
            let is_late = |(ticket, _): &(Ticket, Reply)| self.waiting.iter().any(|f| f.ticket == ticket.0);
            let (late, mut own): (Vec<_>, Vec<_>) = replies.into_iter().partition(is_late);
            let answer = own.pop().map(|reply| got(Turn { replies: vec![reply], ..Turn::default() }));
            was_refused = answer.as_ref().is_some_and(|got| got.status >= 400);
            let refused = answer.as_ref().is_some_and(|got| got.status == 503);
            let status = answer.as_ref().map_or(String::new(), |got| format!(" -> {} {}", got.status, got.code()));
            if !what.is_empty() {
                self.note(format!("{what}{several}{status}"));
            }
            if let Some(got) = &answer {
                self.digest.update(format!("{} {:?} {}", got.status, got.headers, got.body));
                assert_ne!(got.status, 500, "{}", got.body);
                self.heard.insert(got.code());
            }
            if refused {
                assert!(self.full && effects.is_empty(), "refused for no reason");
                continue;
            }
            settle(self, answer);
            self.answer_late(late);
            self.sight_all(effects);
        }
        was_refused
    }

    /// Forks that have waited are answered.
    fn answer_late(&mut self, late: Vec<(Ticket, Reply)>) {
        for (ticket, reply) in late {
            let at = self.waiting.iter().position(|fork| fork.ticket == ticket.0).expect("it waits");
            let fork = self.waiting.remove(at);
            let got = got(Turn { replies: vec![(ticket, reply)], ..Turn::default() });
            self.digest.update(format!("{} {:?} {}", got.status, got.headers, got.body));
            forks::answered(self, &fork, &got, true);
        }
    }

    /// The same where the commit fails: all are refused, and nothing has happened.
    pub(super) fn run_in_vain(&mut self, ops: Vec<Op>) {
        let (commands, whats): (Vec<_>, Vec<_>) = ops.into_iter().map(|op| (op.command, op.what)).unzip();
        self.world.engine.sql().fail_commit.set(true);
        let turns = self.world.batch(commands);
        self.world.engine.sql().fail_commit.set(false);
        self.world.fetches.clear();
        self.failed_commits += 1;
        for (turn, what) in turns.into_iter().zip(whats) {
            self.note(format!("{what} (the commit fails)"));
            assert!(turn.effects.is_empty(), "an effect without its commit");
            if !turn.replies.is_empty() {
                assert_eq!(got(turn).status, 503);
            }
        }
    }

    /// Time passes, and what falls due is run.
    pub(super) fn pass(&mut self, span: Span) {
        let until = self.world.now + span;
        self.note(format!("{} ms pass", span.as_millis()));
        self.tick(until);
        self.world.now = until;
        let late = format!("SELECT count(*) FROM subscription WHERE slowed_until <= {}", until.as_millis());
        assert_eq!(self.world.engine.sql().number(&late), 0, "a dispatch whose turn has come has not begun");
        members::check_sleep(self);
        rights::check_ends(self);
        let late = self.waiting.iter().find(|fork| fork.deadline <= until);
        assert!(late.is_none(), "a fork waits for longer than it was to");
    }

    /// Runs what is due until then, at its time or, where the host was late, now; and gives up on endpoints.
    fn tick(&mut self, until: Time) {
        for _ in 0..10_000 {
            let due = self.world.engine.next_deadline().expect("readable").filter(|due| *due <= until);
            let ended = self.flights.iter().map(|f| f.ends).chain(self.shape.ends()).min().filter(|end| *end <= until);
            let Some(next) = due.into_iter().chain(ended).min() else { return };
            self.world.now = self.world.now.max(next);
            if due.is_some_and(|due| due <= self.world.now) {
                self.run(vec![Op::of("", Command::Tick { budget: 16 }, Self::lapse)]);
            } else if let Some(at) = self.flights.iter().position(|f| f.ends <= self.world.now) {
                let flight = self.flights.remove(at);
                let op = agents::answer(self, flight, agents::Answers::TimesOut);
                self.run(vec![op]);
            } else {
                let op = shapes::ends(self);
                self.run(op.into_iter().collect());
            }
        }
        panic!("something is due for ever");
    }

    /// What an engine does first that is opened after a trap: each due row is pushed back before it runs.
    pub(super) fn tick_carefully(&mut self) {
        let (now, entropy) = (self.world.now, Entropy::new([3; 32]).part("careful", self.number()));
        let turn = self.world.engine.careful_tick(1_000, now, entropy).expect("readable");
        self.world.now = self.world.engine.now(now);
        self.lapse();
        self.sight_all(turn.effects);
    }

    fn sight_all(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            if let Effect::Fetch(fetch) = effect {
                self.sight(&fetch);
            }
        }
    }

    /// A webhook leaves.
    fn sight(&mut self, fetch: &Fetch) {
        if matches!(fetch.id, EffectId::Shape { .. }) {
            return shapes::asked(self, fetch);
        }
        let EffectId::Delivery { generation, attempt, .. } = fetch.id else { panic!("{}", fetch.id) };
        self.digest.update(&fetch.body);
        let hook: Json = serde_json::from_slice(&fetch.body).expect("JSON");
        let name = hook["entity"]["url"].as_str().unwrap_or_else(|| hook["subscription_id"].as_str().expect("a name"));
        self.note(format!("    webhook to {name}, generation {generation}, attempt {attempt}"));
        let whom = match self.entities.iter().position(|e| e.url == name) {
            Some(entity) => Whom::Entity(entity),
            None => Whom::Watcher(self.watchers.iter().position(|w| w.name == name).expect("somebody's")),
        };
        let told = match whom {
            Whom::Entity(entity) => agents::told(self, entity, attempt, &hook),
            Whom::Watcher(watcher) => watchers::told(self, watcher, attempt, &hook),
        };
        let wait = self.dice.between(1_000, 60_000).max(self.dice.between(1_000, 20_000));
        let ends = self.world.now + Span::millis(wait);
        self.flights.push(Flight { id: fetch.id.clone(), whom, generation, attempt, told, ends });
    }
}
