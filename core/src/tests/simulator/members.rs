//! Membership streams: entities join teams, leave and change; somebody asks for the stream of a team, reads it, observes
//! it, or does not for long. What a stream has said must add up to who is there, and whoever observes it is owed each
//! change.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::super::world::Got;
use super::cluster::{Cluster, text};
use super::host::Op;
use super::model::Author;
use super::people::{refuses, some};
use super::registrations::Change;
use crate::{Command, Span, Time};

pub(super) type Tags = BTreeMap<String, String>;

/// The stream of a team, or of everybody.
pub(super) struct Membership {
    team: Option<&'static str>,
    /// Where it is, once somebody has asked for it.
    pub(super) path: Option<String>,
    /// What it said last of each entity.
    said: BTreeMap<usize, Tags>,
    /// Of how many who act it has said that they came to be.
    met: usize,
    state: State,
    /// When somebody looked at it last, and when somebody last observed it, for all that is known.
    looked: Time,
    observed: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Awake,
    Asleep,
    /// It was woken, and is about to be told what it has missed.
    Waking,
}

pub(super) fn teams() -> Vec<Membership> {
    let new = |team| Membership {
        team,
        path: None,
        said: BTreeMap::new(),
        met: 0,
        state: State::Awake,
        looked: Time::ZERO,
        observed: Time::ZERO,
    };
    vec![new(None), new(Some("x")), new(Some("y"))]
}

/// An entity comes to a team, changes it, leaves it, or is there already.
pub(super) fn moves(c: &mut Cluster) -> Option<Op> {
    let entity = some(c)?;
    let team = c.dice.pick(&[Some("x"), Some("y"), None])?;
    let url = c.entities[entity].url.clone();
    let path = format!("/_electric/entities{url}/tags/team");
    let what = format!("{url} goes to {team:?}");
    let settle = move |c: &mut Cluster, got: &Got| {
        if refuses(c, entity, got) {
            return;
        }
        if c.entities[entity].locked.is_some() {
            assert_eq!((got.status, got.code()), (409, "FORK_IN_PROGRESS".to_owned()), "{}", got.body);
            return;
        }
        assert_eq!(got.status, 200, "{}", got.body);
        let tags = &mut c.entities[entity].tags;
        let before = match team {
            Some(team) => tags.insert("team".to_owned(), team.to_owned()),
            None => tags.remove("team"),
        };
        if before.as_deref() != team {
            c.changed(&url, Author::Server, &[Change::of("tags", "team")]);
            retagged(c, entity);
        }
    };
    Some(match team {
        Some(team) => Op::ask(what, ("POST", &path), &[], &json!({ "value": team }), settle),
        None => Op::ask(what, ("DELETE", &path), &[], &Json::Null, settle),
    })
}

/// Somebody asks where the stream of a team is: the first time, it is made.
pub(super) fn asks(c: &mut Cluster) -> Option<Op> {
    let at = c.dice.below(c.teams.len());
    let tags = c.teams[at].team.map_or(json!({}), |team| json!({ "team": team }));
    let path = "/_electric/observations/entities/ensure-stream";
    Some(Op::ask(format!("ensure {tags}"), ("POST", path), &[], &json!({ "tags": tags }), move |c, got| {
        assert_eq!(got.status, 200, "{}", got.body);
        let path = text(&got.json()["streamUrl"]);
        match c.teams[at].path.replace(path) {
            Some(_) => look(c, at),
            None => {
                c.teams[at].looked = c.world.now;
                fill(c, at);
            }
        }
    }))
}

/// Somebody reads the stream of a team, or asks where it ends.
pub(super) fn reads(c: &mut Cluster) -> Option<Op> {
    let at = c.dice.below(c.teams.len());
    let method = c.dice.pick(&["GET", "HEAD"])?;
    c.teams[at].path.as_ref()?;
    Some(read(c, at, method))
}

fn read(c: &Cluster, at: usize, method: &str) -> Op {
    let path = c.teams[at].path.clone().expect("it is there");
    Op::ask(format!("{method} {path}"), (method, &path), &[], &Json::Null, move |c, got| {
        assert_eq!(got.status, 200, "{}", got.body);
        look(c, at);
    })
}

/// What was asked of one that slept is told with the answer.
fn look(c: &mut Cluster, at: usize) {
    let now = c.world.now;
    let it = &mut c.teams[at];
    it.looked = it.looked.max(now);
    if it.state == State::Asleep {
        c.heard.insert("a stream wakes".to_owned());
        fill(c, at);
    }
}

/// A registration was made on a source: if it is the stream of a team, that wakes.
pub(super) fn is_observed(c: &mut Cluster, source: &str) {
    let Some(it) = c.teams.iter_mut().find(|m| m.path.as_deref() == Some(source)) else { return };
    it.looked = it.looked.max(c.world.now);
    if it.state == State::Asleep {
        it.state = State::Waking;
        c.heard.insert("an observer wakes a stream".to_owned());
    }
}

/// The tags of an entity are others than before.
pub(super) fn retagged(c: &mut Cluster, entity: usize) {
    for at in 0..c.teams.len() {
        if c.teams[at].path.is_some() && c.teams[at].state == State::Awake {
            tell(c, at, entity);
        }
    }
}

/// Somebody does something. The first time, that makes an entity of them, which belongs to everybody.
pub(super) fn acts(c: &mut Cluster, url: &'static str) {
    if c.came.contains(&url) {
        return;
    }
    c.came.push(url);
    for at in 0..c.teams.len() {
        if c.teams[at].path.is_some() && c.teams[at].state == State::Awake {
            meet(c, at);
        }
    }
}

/// Says of those who act that they came to be, if that has not been said.
fn meet(c: &mut Cluster, at: usize) {
    let it = &mut c.teams[at];
    let (Some(path), None) = (it.path.clone(), it.team) else { return };
    let met = std::mem::replace(&mut it.met, c.came.len());
    for url in c.came.clone().into_iter().skip(met) {
        c.changed(&path, Author::Server, &[Change::of("members", url)]);
    }
}

/// Says what is now of an entity, if that has not been said.
fn tell(c: &mut Cluster, at: usize, entity: usize) {
    let (it, of) = (&mut c.teams[at], &c.entities[entity]);
    let belongs = it.team.is_none_or(|team| of.tags.get("team").is_some_and(|of| of == team));
    let before = match belongs {
        true => it.said.insert(entity, of.tags.clone()),
        false => it.said.remove(&entity),
    };
    if before.as_ref() != belongs.then_some(&of.tags) {
        let (path, url) = (it.path.clone().expect("it is there"), of.url.clone());
        c.changed(&path, Author::About(entity), &[Change::of("members", &url)]);
    }
}

/// It is told what it has missed.
fn fill(c: &mut Cluster, at: usize) {
    c.teams[at].state = State::Awake;
    for entity in 0..c.entities.len() {
        tell(c, at, entity);
    }
    meet(c, at);
}

/// Something is about to be done: whoever observes a stream does so by now.
pub(super) fn remember_observers(c: &mut Cluster) {
    let now = c.world.now;
    for at in 0..c.teams.len() {
        if is_watched(c, at) {
            c.teams[at].observed = now;
        }
    }
}

fn is_watched(c: &Cluster, at: usize) -> bool {
    c.teams[at].path.as_ref().is_some_and(|path| c.is_watched(path))
}

/// Timers have run: streams that were woken know what they have missed; others may have fallen asleep, if they had reason.
pub(super) fn lapse(c: &mut Cluster) {
    for at in 0..c.teams.len() {
        if c.teams[at].state == State::Waking {
            fill(c, at);
        }
        let asleep = sleeps(c, at);
        let (now, watched, it) = (c.world.now, is_watched(c, at), &mut c.teams[at]);
        match (it.state, asleep) {
            (State::Awake, true) => {
                assert!(!watched, "{:?} is observed and has fallen asleep", it.path);
                assert!(it.looked + IDLE <= now, "{:?} has fallen asleep too early", it.path);
                it.state = State::Asleep;
                c.heard.insert("a stream falls asleep".to_owned());
            }
            (State::Asleep, false) => panic!("{:?} has woken by itself", it.path),
            _ => {}
        }
    }
}

fn sleeps(c: &Cluster, at: usize) -> bool {
    let Some(path) = &c.teams[at].path else { return false };
    let sql = format!("SELECT count(*) FROM membership WHERE asleep = 1 AND '/_entities/' || ref = '{path}'");
    c.world.engine.sql().number(&sql) > 0
}

/// Everything that was due has run: what nobody looks at sleeps.
pub(super) fn check_sleep(c: &Cluster) {
    for at in 0..c.teams.len() {
        let it = &c.teams[at];
        let idle = it.looked.max(it.observed) + IDLE + IDLE + Span::secs(60) <= c.world.now;
        let sleeps = it.path.is_none() || it.state == State::Asleep || is_watched(c, at);
        assert!(sleeps || !idle, "{:?} does not fall asleep", it.path);
    }
}

/// Whether all streams have been told everything.
pub(super) fn is_told(c: &Cluster) -> bool {
    c.world.engine.sql().number("SELECT count(*) FROM membership WHERE asleep = 0 AND cursor IS NOT NULL") == 0
}

/// What the streams have said adds up to who is there. To look wakes them.
pub(super) fn check(c: &mut Cluster) {
    for at in 0..c.teams.len() {
        if c.teams[at].path.is_some() {
            let op = read(c, at, "GET");
            c.run(vec![op]);
            let tick = Op::of("", Command::Tick { budget: 1_000 }, Cluster::lapse);
            c.run(vec![tick]);
            check_stream(c, at);
        }
    }
}

fn check_stream(c: &mut Cluster, at: usize) {
    let path = c.teams[at].path.clone().expect("it is there");
    let events = c.read(&path).json();
    let mut there: BTreeMap<String, Json> = BTreeMap::new();
    for event in events.as_array().expect("a list") {
        let (key, value) = (text(&event["key"]), event["value"].clone());
        let before = there.get(&key);
        match event["headers"]["operation"].as_str() {
            Some("insert") => assert!(before.is_none(), "{path} says twice that {key} has come"),
            Some("update") => assert!(before.is_some_and(|b| *b != value), "{path} says nothing new of {key}"),
            Some("delete") => assert_eq!(before, Some(&event["old_value"]), "{path} says that {key} has gone"),
            _ => panic!("{event}"),
        }
        match value {
            Json::Null => drop(there.remove(&key)),
            value => drop(there.insert(key, value)),
        }
    }
    let row = |value: &Json| (value["tags"].clone(), text(&value["status"]));
    let came = c.came.iter().filter(|url| there.contains_key(**url)).count();
    assert_eq!(came, c.teams[at].met, "{path} has not said who came to be");
    // The system is an entity, too, which the model does not follow.
    there.retain(|url, _| !url.starts_with("/principal/"));
    let told: BTreeMap<String, _> = there.iter().map(|(key, value)| (key.clone(), row(value))).collect();
    let known = |(entity, tags): (&usize, &Tags)| {
        let it = &c.entities[*entity];
        (it.url.clone(), (json!(tags), it.status.as_str().to_owned()))
    };
    let want: BTreeMap<String, _> = c.teams[at].said.iter().map(known).collect();
    assert_eq!(told, want, "what {path} has said");
}

/// How long one stays awake that nobody looks at.
const IDLE: Span = Span::secs(15 * 60);
