//! The cluster: one engine, everybody around it, and what they remember.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use super::super::world::{Got, World, everybody};
use super::chains::{self, Chain};
use super::dice::Dice;
use super::files::File;
use super::forks::Fork;
use super::heard::Heard;
use super::kinds::Kind;
use super::members::{self, Membership};
use super::model::{Delayed, Entity, Target};
use super::notes;
use super::registrations::Registration;
use super::rights::Grant;
use super::shapes::{self, Shape};
use super::sources;
use super::steps;
use super::tables::{self, Dashboard};
use super::watchers::{self, Watcher};
use crate::dispatch::Budget;
use crate::effect::EffectId;
use crate::limits::FAN_OUT;
use crate::store::Sql;
use crate::stream::Offset;
use crate::{Config, Time};

pub(super) struct Cluster {
    pub(super) world: World,
    pub(super) dice: Dice,
    pub(super) entities: Vec<Entity>,
    pub(super) runners: Vec<Runner>,
    pub(super) watchers: Vec<Watcher>,
    pub(super) feeds: Vec<String>,
    pub(super) teams: Vec<Membership>,
    /// Those who have come to be by what they did.
    pub(super) came: Vec<&'static str>,
    pub(super) chains: Vec<Chain>,
    pub(super) shape: Shape,
    pub(super) works: Vec<Work>,
    /// Webhooks that left and were not answered.
    pub(super) flights: Vec<Flight>,
    /// Those that nobody answers before the end.
    pub(super) hung: Vec<Flight>,
    /// Those that were answered, or whose server went down: nobody waits for their answer.
    pub(super) lost: Vec<Flight>,
    pub(super) delayed: Vec<Delayed>,
    pub(super) registrations: Vec<Registration>,
    /// Forks that wait.
    pub(super) waiting: Vec<Fork>,
    /// Whether several are asked at once.
    pub(super) together: bool,
    pub(super) grants: Vec<Grant>,
    pub(super) files: Vec<File>,
    pub(super) kinds: BTreeMap<&'static str, Kind>,
    /// Types of which nobody can say what they are.
    pub(super) unsure: BTreeSet<&'static str>,
    pub(super) dashboards: Vec<Dashboard>,
    /// Whether causes may have run too deep, so that dispatches stand apart whatever the budget.
    pub(super) deep: bool,
    /// Commits that failed on purpose, since the engine was opened.
    pub(super) failed_commits: u64,
    /// Whether the disk is full, so that commands may be refused.
    pub(super) full: bool,
    /// How likely each step is.
    pub(super) weights: Vec<usize>,
    /// Each code with which the engine refused, and each step that was taken.
    pub(super) heard: Heard,
    numbers: u64,
    trail: Trail,
    pub(super) digest: Sha256,
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
    pub(super) ends: Time,
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

/// What happened, for whoever must find out why.
#[derive(Clone, Default)]
pub(super) struct Trail(Rc<RefCell<Vec<String>>>);

impl Cluster {
    /// One with three runners, a type for each of them and two that webhooks serve, and watchers.
    pub(super) fn new(seed: u64, trail: Trail) -> Self {
        let mut dice = Dice::new(seed);
        let slots = dice.pick(&[2, 8, 64]).expect("one");
        let wakes = Budget::a_minute(dice.pick(&[60, 6, 1, 0]).expect("one"));
        let world = World::with_fetches(slots);
        let fan_out = dice.pick(&[FAN_OUT, FAN_OUT, 1, 2]).expect("one");
        let webhook_sources = Some(sources::catalogue());
        let config = Config { wakes, fan_out, webhook_sources, ..world.engine.config().clone() };
        let mut cluster = Self {
            world: world.restart_as(config),
            dice,
            entities: Vec::new(),
            runners: Vec::new(),
            watchers: Vec::new(),
            feeds: vec!["/feeds/a".to_owned(), "/feeds/b".to_owned()],
            teams: members::teams(),
            came: Vec::new(),
            chains: Vec::new(),
            shape: Shape::default(),
            works: Vec::new(),
            flights: Vec::new(),
            hung: Vec::new(),
            lost: Vec::new(),
            delayed: Vec::new(),
            registrations: Vec::new(),
            waiting: Vec::new(),
            together: false,
            grants: Vec::new(),
            files: Vec::new(),
            kinds: BTreeMap::new(),
            unsure: BTreeSet::new(),
            dashboards: tables::dashboards(),
            deep: false,
            failed_commits: 0,
            full: false,
            weights: Vec::new(),
            heard: Heard::default(),
            numbers: 0,
            trail,
            digest: Sha256::new(),
        };
        cluster.weights = match fan_out {
            FAN_OUT => steps::weights(&mut cluster.dice),
            _ => steps::weights_of_a_slow_one(&mut cluster.dice),
        };
        cluster.found();
        cluster
    }

    fn found(&mut self) {
        let hook =
            json!({ "targets": [{ "type": "webhook", "url": "https://agent.test/hook", "subscription_id": "hook" }] });
        let bare = json!({ "targets": [{ "type": "webhook", "url": "https://agent.test/shared" }] });
        let mut types = vec![("hook".to_owned(), hook), ("bare".to_owned(), bare)];
        for n in 0..3 {
            let id = format!("r{n}");
            assert_eq!(self.world.post("/_electric/runners", &json!({ "id": id, "label": "l" })).status, 201);
            types.push((format!("task{n}"), json!({ "targets": [{ "type": "runner", "runnerId": id }] })));
            self.runners.push(Runner { id, enabled: true, alive: true, offset: "-1".to_owned(), events: Vec::new() });
        }
        for (name, policy) in types {
            let body = json!({
                "name": name, "description": "d", "default_dispatch_policy": policy,
                "externally_writable_collections": notes::collections(), "permission_grants": everybody(),
            });
            assert_eq!(self.world.post("/_electric/entity-types", &body).status, 201);
        }
        for feed in &self.feeds {
            self.world.ask("PUT", feed, &[("content-type", "application/json")], &Json::Null);
        }
        watchers::found(self);
        chains::found(self);
        shapes::found(self);
        sources::found(self);
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
        let millis = self.world.now.as_millis() - 1_800_000_000_000;
        self.trail.0.borrow_mut().push(format!("{millis:>8} ms  {line}"));
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

    /// What everybody was told and all that is kept, in one number.
    pub(super) fn fingerprint(&self) -> String {
        let mut digest = self.digest.clone();
        self.take_down(&TABLES, &mut digest);
        format!("{:x}", digest.finalize())
    }

    /// What each table holds, in a number each: but for the time, and for what is noted of those who came too late.
    pub(super) fn kept(&self) -> Vec<(&'static str, String)> {
        let noted = |table: &&&str| TIME_AND_NOTES.iter().any(|noted| table.ends_with(noted));
        let kept = TABLES.iter().filter(|table| !noted(table)).map(|table| {
            let table = if table.ends_with(" timer") { TIMERS } else { *table };
            let mut digest = Sha256::new();
            self.take_down(&[table], &mut digest);
            (table, format!("{:x}", digest.finalize()))
        });
        kept.collect()
    }

    fn take_down(&self, tables: &[&'static str], digest: &mut Sha256) {
        for table in tables {
            let mut visit = |row: crate::store::Row<'_>| {
                digest.update(format!("{row:?}"));
                Ok(())
            };
            self.world.engine.sql().run(table, &[], &mut visit).expect("readable");
        }
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

/// The timers but for those by which notes are forgotten.
const TIMERS: &str = "SELECT * FROM timer WHERE kind <> 9";

const TIME_AND_NOTES: [&str; 3] = [" clock", " subscription", " journal"];

const TABLES: [&str; 33] = [
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
    "SELECT * FROM waiting_wake",
    "SELECT * FROM gathered",
    "SELECT * FROM fan_out",
    "SELECT * FROM journal",
    "SELECT * FROM dead_letter",
    "SELECT * FROM lock",
    "SELECT * FROM runner",
    "SELECT * FROM membership",
    "SELECT * FROM member",
    "SELECT * FROM cron",
    "SELECT * FROM pg_sync",
    "SELECT * FROM attachment",
    "SELECT * FROM child",
    "SELECT * FROM owned",
    "SELECT * FROM producer",
    "SELECT * FROM run",
    "SELECT * FROM shared_state",
    "SELECT * FROM awaited",
    "SELECT * FROM entity_type",
    "SELECT * FROM type_grant",
    "SELECT * FROM entity_grant",
    "SELECT * FROM effective",
    "SELECT * FROM change",
];
