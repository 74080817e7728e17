//! A whole cluster in one thread, from one seed: an engine, those who use it, those who run its entities, and what goes
//! wrong. One seed is one history.
//!
//! A step is drawn, taken, and its answer compared with what the histories of all entities say that it must be; then
//! everything that must always hold is looked at. At the end faults stop, and nothing may have been lost.
//!
//! `REVEILLE_SEEDS=1000` asks for more seeds, `REVEILLE_SEED=7` for one, `REVEILLE_STEPS` for another length,
//! `REVEILLE_TRAIL` for more of the steps that led to a failure, `REVEILLE_COUNTS=1` (and `--nocapture`) for how often
//! each thing was met. Another operation is a row of [`steps`] and a function.

#![allow(clippy::panic, reason = "a history that went wrong has nothing to give back")]

mod agents;
mod chains;
mod checks;
mod cluster;
mod dice;
mod faults;
mod files;
mod forks;
mod handover;
mod heard;
mod host;
mod kinds;
mod manifests;
mod members;
mod model;
mod notes;
mod operators;
mod people;
mod registrations;
mod rest;
mod rights;
mod rows;
mod runners;
mod shapes;
mod sources;
mod steps;
mod stories;
mod tables;
mod told;
mod watchers;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use cluster::{Cluster, Trail};
use heard::Heard;

/// The history of a seed: what was met in it, and all of it in one number.
struct History {
    heard: Heard,
    fingerprint: String,
}

/// Lives through the history of a seed. Whatever is wrong with it is told with the seed and the last steps.
fn live(seed: u64) -> History {
    let trail = Trail::default();
    let lived = catch_unwind(AssertUnwindSafe(|| history(seed, trail.clone())));
    lived.unwrap_or_else(|why| {
        let why = why.downcast_ref::<String>().cloned().or_else(|| why.downcast_ref::<&str>().map(|w| (*w).to_owned()));
        let lines = asked("REVEILLE_TRAIL").and_then(|n| n.try_into().ok()).unwrap_or(30);
        panic!("REVEILLE_SEED={seed}\n{}\n{}", trail.last(lines), why.unwrap_or_default());
    })
}

fn history(seed: u64, trail: Trail) -> History {
    let mut c = Cluster::new(seed, trail);
    for n in 0..asked("REVEILLE_STEPS").unwrap_or(STEPS) {
        steps::step(&mut c);
        checks::check(&mut c);
        if n % 5 == 4 {
            told::check(&mut c);
        }
        if n % 50 == 49 {
            checks::check_streams(&mut c);
        }
    }
    rest::rest(&mut c);
    History { fingerprint: c.fingerprint(), heard: c.heard }
}

#[test]
fn nothing_is_lost_doubled_or_stuck_whatever_happens() {
    if let Some(seed) = asked("REVEILLE_SEED") {
        live(seed);
        return;
    }
    let seeds = asked("REVEILLE_SEEDS").unwrap_or(SEEDS);
    let heard = live_all(seeds);
    if asked("REVEILLE_COUNTS").is_some() {
        #[allow(clippy::print_stdout, reason = "it was asked for")]
        {
            println!("{}", heard.told());
        }
    }
    let refused = ["FENCED", "ALREADY_CLAIMED", "NO_PENDING_WORK", "NOT_RUNNING", "INVALID_OFFSET"];
    let besides = ["DUPLICATE_URL", "TOKEN_INVALID", "UNAUTHORIZED", "NOT_DEAD", "FORK_IN_PROGRESS"];
    let slow = [
        "fan-out",
        "over its budget",
        "debounced",
        "gathered",
        "enough",
        "timed out",
        "one shot",
        "ticks are missed",
        "a log is gone",
        "the shape: Fails",
        "an agent observes",
        "an agent schedules",
        "a chain goes on",
        "a chain ends",
        "a stream falls asleep",
        "a stream wakes",
        "a fork: whole",
        "a fork: at a place",
        "a webhook source is observed",
        "granted",
        "revoked",
        "somebody may not",
        "a file is attached",
        "a message is edited",
        "a dashboard goes on",
        "a refusal left no trace",
        "a fork of a family",
        "a copy observes",
        "a copy schedules",
        "a copy has a file",
        "a subscription lapses",
        "a file is deleted",
        "a note is added",
        "a key is taken",
        "an entity is lent",
        "who is lent sees less",
    ];
    // What few histories meet is asked of many.
    let rare = [
        "an observer wakes a stream",
        "slowed",
        "a fork: at the latest run",
        "a fork has waited",
        "a fork has waited too long",
        "a fork waits",
        "a fork is refused",
        "somebody may write",
        "somebody may look",
        "an id is used again",
        "a type learns",
        "a type goes",
        "given up",
        "INVALID_SIGNAL",
    ]
    .into_iter()
    .filter(|_| seeds >= 4 * SEEDS);
    for met in refused.into_iter().chain(besides).chain(slow).chain(rare).chain(steps::names()) {
        assert!(heard.contains(met), "no seed has met `{met}`");
    }
}

#[test]
fn one_seed_is_one_history() {
    let [once, again, other] = [1, 1, 2].map(|seed| live(seed).fingerprint);
    assert_eq!(once, again);
    assert_ne!(once, other);
}

/// Lives through the histories of all seeds, every other one in a thread of its own. Gives what was met in them.
#[allow(clippy::disallowed_methods, reason = "histories know nothing of each other")]
fn live_all(seeds: u64) -> Heard {
    let live_some = |first| {
        let mut heard = Heard::default();
        (first..=seeds).step_by(2).for_each(|seed| heard.append(&live(seed).heard));
        heard
    };
    std::thread::scope(|scope| {
        let odd = scope.spawn(|| live_some(1));
        let mut heard = live_some(2);
        heard.append(&odd.join().unwrap_or_else(|why| resume_unwind(why)));
        heard
    })
}

/// A number that whoever runs the tests asks for.
#[allow(clippy::disallowed_methods, reason = "which seeds to live through is asked from outside")]
fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|number| number.parse().ok())
}

/// How many seeds, of how many steps each.
const SEEDS: u64 = 25;
const STEPS: u64 = 250;
