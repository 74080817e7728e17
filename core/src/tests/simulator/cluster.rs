//! The cluster: one engine, everybody around it, and what they remember.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use super::super::world::{Got, World, got};
use super::dice::Dice;
use super::model::{Current, Delayed, Entity, Registration, Target};
use super::watchers::{self, Watcher};
use super::{agents, steps, stories};
use crate::effect::{EffectId, Fetch};
use crate::stream::Offset;
use crate::{Command, Effect, Entropy, Span, Time};

pub(super) struct Cluster {
    pub(super) world: World,
    pub(super) dice: Dice,
    pub(super) entities: Vec<Entity>,
    pub(super) runners: Vec<Runner>,
    pub(super) watchers: Vec<Watcher>,
    pub(super) feeds: Vec<String>,
    pub(super) works: Vec<Work>,
    /// Webhooks that left and were not answered.
    pub(super) flights: Vec<Flight>,
    /// Those that nobody answers before the end.
    pub(super) hung: Vec<Flight>,
    /// Those that were answered, or whose server went down: nobody waits for their answer.
    pub(super) lost: Vec<Flight>,
    pub(super) delayed: Vec<Delayed>,
    pub(super) registrations: Vec<Registration>,
    /// Commits that failed on purpose, since the engine was opened.
    pub(super) failed_commits: u64,
    /// Whether the disk is full, so that commands may be refused.
    pub(super) full: bool,
    /// How likely each step is.
    pub(super) weights: Vec<usize>,
    /// Each code with which the engine refused, and each step that was taken.
    pub(super) heard: BTreeSet<String>,
    numbers: u64,
    trail: Trail,
    digest: Sha256,
}

/// A wake as somebody was told of it. They may act on it whenever they like: long after it is over, too.
pub(super) struct Work {
    pub(super) entity: usize,
    pub(super) wake: String,
    pub(super) generation: i64,
    pub(super) token: String,
    /// The subscription's name.
    pub(super) name: String,
    /// Where the stream ended when they were told.
    pub(super) told: i64,
    /// Every write token that was given out under it; only the last was ever good.
    pub(super) writes: Vec<String>,
}

/// A webhook on its way.
#[derive(Clone)]
pub(super) struct Flight {
    pub(super) id: EffectId,
    pub(super) whom: Whom,
    pub(super) generation: i64,
    pub(super) attempt: i64,
    /// The streams that it names, and where each ended.
    pub(super) told: Vec<(String, i64)>,
    /// When its host gives up waiting: in time, or late.
    ends: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whom {
    Entity(usize),
    Watcher(usize),
}

/// A runner: it reads its wake stream, and claims by what it has read.
pub(super) struct Runner {
    pub(super) id: String,
    pub(super) enabled: bool,
    pub(super) alive: bool,
    pub(super) offset: String,
    pub(super) events: Vec<Json>,
}

/// Something that is asked of the engine, and what its answer means.
pub(super) struct Op {
    what: String,
    command: Command,
    settle: Settle,
}

type Settle = Box<dyn FnOnce(&mut Cluster, Option<Got>)>;

/// What happened, for whoever must find out why.
#[derive(Clone, Default)]
pub(super) struct Trail(Rc<RefCell<Vec<String>>>);

impl Op {
    pub(super) fn ask(
        what: impl Into<String>,
        (method, path): (&str, &str),
        headers: &[(&str, &str)],
        body: &Json,
        settle: impl FnOnce(&mut Cluster, &Got) + 'static,
    ) -> Self {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        Self {
            what: what.into(),
            command: World::command(method, path, headers, &body),
            settle: Box::new(|cluster, got| settle(cluster, &got.expect("an answer"))),
        }
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
    /// One with `fetches` slots, these runners, a type for each of them and two that webhooks serve.
    pub(super) fn new(seed: u64, trail: Trail) -> Self {
        let mut dice = Dice::new(seed);
        let slots = dice.pick(if stories::LINES { &[2, 8, 64] } else { &[256] }).expect("one");
        let mut cluster = Self {
            world: World::with_fetches(slots),
            dice,
            entities: Vec::new(),
            runners: Vec::new(),
            watchers: Vec::new(),
            feeds: vec!["/feeds/a".to_owned(), "/feeds/b".to_owned()],
            works: Vec::new(),
            flights: Vec::new(),
            hung: Vec::new(),
            lost: Vec::new(),
            delayed: Vec::new(),
            registrations: Vec::new(),
            failed_commits: 0,
            full: false,
            weights: Vec::new(),
            heard: BTreeSet::new(),
            numbers: 0,
            trail,
            digest: Sha256::new(),
        };
        cluster.weights = steps::weights(&mut cluster.dice);
        cluster.found();
        cluster
    }

    fn found(&mut self) {
        self.world.webhook_type("hook");
        let bare = json!({ "targets": [{ "type": "webhook", "url": "https://agent.test/shared" }] });
        let mut types = vec![("bare".to_owned(), bare)];
        for n in 0..3 {
            let id = format!("r{n}");
            assert_eq!(self.world.post("/_electric/runners", &json!({ "id": id, "label": "l" })).status, 201);
            types.push((format!("task{n}"), json!({ "targets": [{ "type": "runner", "runnerId": id }] })));
            self.runners.push(Runner { id, enabled: true, alive: true, offset: "-1".to_owned(), events: Vec::new() });
        }
        for (name, policy) in types {
            let body = json!({ "name": name, "description": "d", "default_dispatch_policy": policy });
            assert_eq!(self.world.post("/_electric/entity-types", &body).status, 201);
        }
        for feed in &self.feeds {
            self.world.ask("PUT", feed, &[("content-type", "application/json")], &Json::Null);
        }
        watchers::found(self);
    }

    /// The types that there are, and who runs their entities.
    pub(super) const TYPES: [(&'static str, Target); 5] = [
        ("hook", Target::Webhook),
        ("bare", Target::Webhook),
        ("task0", Target::Runner(0)),
        ("task1", Target::Runner(1)),
        ("task2", Target::Runner(2)),
    ];

    /// A number that nobody had before.
    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub(super) fn note(&self, line: String) {
        let seconds = self.world.now.as_millis() - 1_800_000_000_000;
        self.trail.0.borrow_mut().push(format!("{seconds:>8} ms  {line}"));
    }

    /// Runs operations in one batch, and takes their answers in order.
    pub(super) fn run(&mut self, ops: Vec<Op>) {
        let several = if ops.len() > 1 { " (together)" } else { "" };
        let (commands, rest): (Vec<_>, Vec<_>) = ops.into_iter().map(|op| (op.command, (op.what, op.settle))).unzip();
        let turns = self.world.batch(commands);
        self.world.fetches.clear();
        self.world.now = self.world.engine.now(self.world.now);
        assert_eq!(turns.len(), rest.len(), "a turn for each command");
        for (mut turn, (what, settle)) in turns.into_iter().zip(rest) {
            let effects = std::mem::take(&mut turn.effects);
            let answer = (!turn.replies.is_empty()).then(|| got(turn));
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
            self.sight_all(effects);
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

    pub(super) fn read(&mut self, path: &str) -> Got {
        let got = self.world.get(path);
        self.digest.update(&got.body);
        got
    }

    /// Whether wakes wait for their turn because their causes run too deep.
    pub(super) fn is_slowed(&self) -> bool {
        self.world.engine.sql().number("SELECT count(*) FROM waiting_wake") > 0
    }

    /// Where an entity's stream ends.
    pub(super) fn tail(&mut self, entity: usize) -> i64 {
        let path = self.entities[entity].path();
        let got = self.world.ask("HEAD", &path, &[], &Json::Null);
        Offset::parse(got.header("stream-next-offset")).expect("an offset").bytes()
    }

    /// Time passes, and what falls due is run.
    pub(super) fn pass(&mut self, span: Span) {
        let until = self.world.now + span;
        self.note(format!("{} ms pass", span.as_millis()));
        self.tick(until);
        self.world.now = until;
    }

    /// Runs what is due until then, at its time or, where the host was late, now; and gives up on endpoints.
    fn tick(&mut self, until: Time) {
        for _ in 0..10_000 {
            let due = self.world.engine.next_deadline().expect("readable").filter(|due| *due <= until);
            let ended = self.flights.iter().map(|f| f.ends).min().filter(|end| *end <= until);
            let Some(next) = due.into_iter().chain(ended).min() else { return };
            self.world.now = self.world.now.max(next);
            if due.is_some_and(|due| due <= self.world.now) {
                self.run(vec![Op::of("", Command::Tick { budget: 16 }, Self::lapse)]);
            } else if let Some(at) = self.flights.iter().position(|f| f.ends <= self.world.now) {
                let flight = self.flights.remove(at);
                let op = agents::answer(self, flight, agents::Answers::TimesOut);
                self.run(vec![op]);
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
            Whom::Entity(entity) => self.entity_told(entity, generation, attempt, &hook),
            Whom::Watcher(watcher) => watchers::told(self, watcher, attempt, &hook),
        };
        let wait = self.dice.between(1_000, 60_000).max(self.dice.between(1_000, 20_000));
        let ends = self.world.now + Span::millis(wait);
        self.flights.push(Flight { id: fetch.id.clone(), whom, generation, attempt, told, ends });
    }

    fn entity_told(&mut self, entity: usize, generation: i64, attempt: i64, hook: &Json) -> Vec<(String, i64)> {
        let (wake, told) = (text(&hook["wakeId"]), offset(&hook["streams"][0]["offset"]));
        let it = &mut self.entities[entity];
        assert!(it.dispatches(), "a webhook to an entity that is {}", it.status.as_str());
        Current::told(&mut it.current, &mut it.generation, &wake, generation, attempt);
        match self.works.iter_mut().find(|w| w.wake == wake) {
            Some(work) => {
                assert_eq!(work.token, text(&hook["claimToken"]), "one wake, one token");
                work.told = told;
            }
            None => self.works.push(Work {
                entity,
                wake,
                generation,
                token: text(&hook["claimToken"]),
                name: text(&hook["subscription_id"]),
                told,
                writes: Vec::new(),
            }),
        }
        vec![(text(&hook["streamPath"]), told)]
    }

    /// What everybody was told and all that is kept, in one number.
    pub(super) fn fingerprint(&mut self) -> String {
        use crate::store::Sql;

        for table in TABLES {
            let digest = &mut self.digest;
            let mut visit = |row: crate::store::Row<'_>| {
                digest.update(format!("{row:?}"));
                Ok(())
            };
            self.world.engine.sql().run(table, &[], &mut visit).expect("readable");
        }
        format!("{:x}", self.digest.clone().finalize())
    }
}

impl Trail {
    /// The last of what happened.
    pub(super) fn last(&self, lines: usize) -> String {
        let all = self.0.borrow();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}

pub(super) fn text(json: &Json) -> String {
    json.as_str().unwrap_or_else(|| panic!("{json} is no text")).to_owned()
}

pub(super) fn offset(json: &Json) -> i64 {
    Offset::parse(json.as_str().unwrap_or("")).unwrap_or_else(|| panic!("{json} is no offset")).bytes()
}

const TABLES: [&str; 11] = [
    "SELECT * FROM clock",
    "SELECT * FROM stream",
    "SELECT * FROM entry",
    "SELECT * FROM segment",
    "SELECT * FROM entity",
    "SELECT * FROM subscription",
    "SELECT * FROM link",
    "SELECT * FROM registration",
    "SELECT * FROM timer",
    "SELECT * FROM delayed_send",
    "SELECT * FROM runner",
];
