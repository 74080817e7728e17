//! Those who use the cluster: they spawn, send, signal, and wait for what others do.

use serde_json::{Value as Json, json};

use super::super::world::Got;
use super::chains;
use super::cluster::Cluster;
use super::host::Op;
use super::members::{self, Tags};
use super::model::{Allowance, Author, DELAY, Delayed, Entity, Target};
use super::registrations::{Change, Condition, Registration, Terms};
use super::rights;
use crate::entity::Status;
use crate::limits::DEBOUNCE_BYTES;
use crate::{Span, Time};

/// A new entity, perhaps with a parent that waits for its runs, a first message, or a URL that is taken.
pub(super) fn spawn(c: &mut Cluster) -> Option<Op> {
    let (kind, default) = c.dice.pick(&Cluster::TYPES)?;
    let url = match c.entities.len() {
        n if n > 0 && (n >= MOST || c.dice.percent(5)) => c.entities[c.dice.below(n)].url.clone(),
        _ => format!("/{kind}/e{}", c.number()),
    };
    let parent = if c.dice.percent(60) { some(c) } else { None };
    let parent_url = parent.map(|p| c.entities[p].url.clone());
    let waits = c.dice.percent(70);
    let (key, terms) = (format!("child:{url}"), Terms::some(c));
    let first = if c.dice.percent(60) { Some(c.number()) } else { None };
    let mut body = json!({});
    if let Some(url) = &parent_url {
        body["parent"] = json!(url);
        if waits {
            body["wake"] = json!({ "subscriberUrl": url, "condition": "runFinished", "manifestKey": key });
            terms.write(&mut body["wake"]);
        }
    }
    if let Some(number) = first {
        body["initialMessage"] = json!(number);
    }
    let team = c.dice.pick(&[None, None, Some("x"), Some("y")])?;
    let tags: Tags = team.into_iter().map(|team| ("team".to_owned(), team.to_owned())).collect();
    body["tags"] = json!(tags);
    let target = parent.map_or(default, |p| c.entities[p].target);
    let path = format!("/_electric/entities{url}");
    let what = format!("spawn {url} {body}");
    Some(Op::ask(what, ("PUT", &path), &[], &body, move |c, got| {
        if c.entities.iter().any(|e| e.url == url) {
            assert_eq!((got.status, got.code()), (409, "DUPLICATE_URL".to_owned()));
            return;
        }
        if parent.is_some_and(|parent| !c.entities[parent].accepts()) {
            assert_eq!((got.status, got.code()), (409, "NOT_RUNNING".to_owned()), "{}", got.body);
            return;
        }
        assert_eq!(got.status, 201, "{}", got.body);
        born(c, &url, target, tags, parent);
        rights::inherit(c, c.entities.len() - 1);
        if let Some(subscriber) = parent.filter(|_| waits) {
            let condition = Condition::RunFinished;
            Registration::new((subscriber, url), condition, key, terms, c.world.now).put(&mut c.registrations);
        }
        if let Some(number) = first {
            c.arrive(c.entities.len() - 1, number, false);
        }
    }))
}

/// A new entity, and the copy of another.
pub(super) fn born(c: &mut Cluster, url: &str, target: Target, tags: Tags, parent: Option<usize>) {
    let allowance = Allowance::new(c.world.engine.config().wakes, c.world.now);
    c.entities.push(Entity {
        url: url.to_owned(),
        target,
        status: Status::Idle,
        current: None,
        generation: 0,
        said: 0,
        acked: 0,
        inbox: Vec::new(),
        notes: Vec::new(),
        wakes: Vec::new(),
        perhaps: Vec::new(),
        locked: None,
        dead: false,
        claims: Vec::new(),
        allowance,
        tags,
        parent,
        edits: Vec::new(),
    });
    members::retagged(c, c.entities.len() - 1);
}

/// A message: now or later, and in each of the modes.
pub(super) fn send(c: &mut Cluster) -> Option<Op> {
    let entity = some(c)?;
    let later = c.dice.percent(25).then(|| Span::millis(c.dice.between(1, DELAY.as_millis())));
    let mode = c.dice.pick(&[None, None, Some("immediate"), Some("queued"), Some("steer"), Some("paused")])?;
    Some(say(c, entity, later, mode))
}

pub(super) fn say(c: &mut Cluster, entity: usize, later: Option<Span>, mode: Option<&str>) -> Op {
    let number = c.number();
    let mut body = json!({ "payload": number });
    if let Some(later) = later {
        body["afterMs"] = json!(later.as_millis());
    }
    if let Some(mode) = mode {
        body["mode"] = json!(mode);
    }
    let waits = mode == Some("paused");
    let url = &c.entities[entity].url;
    let (what, path) = (format!("send {body} to {url}"), format!("/_electric/entities{url}/send"));
    Op::ask(what, ("POST", &path), &[], &body, move |c, got| {
        if refuses(c, entity, got) {
            return;
        }
        match later {
            None => {
                assert_eq!(got.status, 200, "{}", got.body);
                c.arrive(entity, number, waits);
            }
            Some(later) => {
                assert_eq!(got.status, 204, "{}", got.body);
                let due = c.world.now + later;
                c.delayed.push(Delayed { asked: due, due, entity, number, waits, of: None });
            }
        }
    })
}

/// A message that is to come, as a row of somebody's manifest says: a new one, another under the same name, or none after
/// all.
pub(super) fn schedule(c: &mut Cluster) -> Option<Op> {
    let (owner, target) = (some(c)?, some(c)?);
    let id = c.dice.pick(&["s", "t"])?;
    let (by, url) = (c.entities[owner].url.clone(), c.entities[target].url.clone());
    let path = format!("/_electric/entities{by}/schedules/{id}");
    let over = move |c: &Cluster, got: &Got| {
        let over = c.entities[owner].is_over();
        assert!(!over || (got.status, got.code()) == (409, "NOT_RUNNING".to_owned()), "{}", got.body);
        over
    };
    if c.dice.percent(20) {
        let what = format!("{by} no longer schedules {id}");
        return Some(Op::ask(what, ("DELETE", &path), &[], &Json::Null, move |c, got| {
            if !over(c, got) {
                assert_eq!(got.status, 200, "{}", got.body);
                c.delayed.retain(|d| d.of != Some((owner, id)));
                c.rewrite(owner, id);
                c.unschedule(owner, id);
            }
        }));
    }
    let at = c.world.now + Span::millis(c.dice.between(0, DELAY.as_millis()));
    let number = c.number();
    let body = json!({ "scheduleType": "future_send", "fireAt": at.iso(), "targetUrl": url, "payload": number });
    Some(Op::ask(format!("{by} schedules {id}: {body}"), ("PUT", &path), &[], &body, move |c, got| {
        if refuses(c, target, got) || over(c, got) {
            return;
        }
        assert_eq!(got.status, 200, "{}", got.body);
        let due = at.max(c.world.now);
        c.delayed.retain(|d| d.of != Some((owner, id)));
        c.delayed.push(Delayed { asked: due, due, entity: target, number, waits: false, of: Some((owner, id)) });
        c.rewrite(owner, id);
        c.unschedule(owner, id);
    }))
}

/// A tag that was never set so.
pub(super) fn tag(c: &mut Cluster) -> Option<Op> {
    let entity = some(c)?;
    let key = c.dice.pick(&["a", "b"])?;
    let (value, url) = (c.number().to_string(), c.entities[entity].url.clone());
    let path = format!("/_electric/entities{url}/tags/{key}");
    Some(Op::ask(format!("tag {key} of {url}"), ("POST", &path), &[], &json!({ "value": value }), move |c, got| {
        if refuses(c, entity, got) {
            return;
        }
        if c.entities[entity].locked.is_some() {
            assert_eq!((got.status, got.code()), (409, "FORK_IN_PROGRESS".to_owned()), "{}", got.body);
            return;
        }
        assert_eq!(got.status, 200, "{}", got.body);
        c.entities[entity].tags.insert(key.to_owned(), value);
        c.changed(&url, Author::Server, &[Change::of("tags", key)]);
        members::retagged(c, entity);
    }))
}

/// Whether the entity takes no messages, which is then what it must have said.
pub(super) fn refuses(c: &Cluster, entity: usize, got: &Got) -> bool {
    let refuses = !c.entities[entity].accepts();
    if refuses {
        assert_eq!((got.status, got.code()), (409, "NOT_RUNNING".to_owned()), "{}", got.body);
    }
    refuses
}

/// A signal, the last two seldom; or the entity is deleted, which is the same as the last.
pub(super) fn signal(c: &mut Cluster) -> Option<Op> {
    let entity = some(c)?;
    let rarely = c.dice.percent(25);
    let signal =
        c.dice.pick(if rarely { &["SIGTERM", "SIGKILL"] } else { &["SIGSTOP", "SIGSTOP", "SIGCONT", "SIGINT"] })?;
    let url = c.entities[entity].url.clone();
    let what = format!("{signal} to {url} ({})", c.entities[entity].status.as_str());
    let path = format!("/_electric/entities{url}");
    let settle = move |c: &mut Cluster, got: &Got| {
        if c.entities[entity].is_over() {
            assert_eq!((got.status, got.code()), (409, "INVALID_SIGNAL".to_owned()));
            return;
        }
        assert_eq!(got.status, 200, "{}", got.body);
        c.signal(entity, signal);
        let now = got.json()["new_state"].clone();
        assert!(now.is_null() || now == c.entities[entity].status.as_str(), "{now}");
    };
    if signal == "SIGKILL" && c.dice.percent(50) {
        return Some(Op::ask(what, ("DELETE", &path), &[], &Json::Null, settle));
    }
    Some(Op::ask(what, ("POST", &format!("{path}/signal")), &[], &json!({ "signal": signal }), settle))
}

/// Somebody waits for what happens elsewhere: at an entity, or on a stream that is nobody's.
pub(super) fn register(c: &mut Cluster) -> Option<Op> {
    let subscriber = some(c)?;
    let source = source(c)?;
    let condition = c.dice.pick(&[
        Condition::RunFinished,
        Condition::Change,
        Condition::Named("inbox"),
        Condition::Named("note"),
        Condition::Named("run"),
        Condition::Named("tags"),
        Condition::Named("manifest"),
        Condition::Named("members"),
        Condition::Named("cron_tick"),
        Condition::Named("pg_sync_change"),
    ])?;
    let source = match condition {
        Condition::Named("members") => team(c).unwrap_or(source),
        Condition::Named("cron_tick") => chain(c),
        Condition::Named("pg_sync_change") => c.shape.path.clone(),
        _ => source,
    };
    let key = if c.dice.percent(30) { "observer".to_owned() } else { String::new() };
    let terms = Terms::some(c);
    Some(observe(c, subscriber, source, condition, key, terms))
}

pub(super) fn observe(
    c: &Cluster,
    subscriber: usize,
    source: String,
    condition: Condition,
    key: String,
    terms: Terms,
) -> Op {
    let url = &c.entities[subscriber].url;
    let mut body = json!({ "subscriberUrl": url, "sourceUrl": source, "condition": condition.json() });
    terms.write(&mut body);
    if !key.is_empty() {
        body["manifestKey"] = json!(key);
    }
    let what = format!("register {body}");
    Op::ask(what, ("POST", "/_electric/wake"), &[], &body, move |c, got| {
        assert_eq!(got.status, 204, "{}", got.body);
        observes(c, subscriber, source, condition, key, terms);
    })
}

/// A registration was made.
pub(super) fn observes(
    c: &mut Cluster,
    subscriber: usize,
    source: String,
    condition: Condition,
    key: String,
    terms: Terms,
) {
    observes_until(c, (subscriber, source), condition, key, terms, None);
}

/// The same of one that ends by itself.
pub(super) fn observes_until(
    c: &mut Cluster,
    (subscriber, source): (usize, String),
    condition: Condition,
    key: String,
    terms: Terms,
    until: Option<Time>,
) {
    members::is_observed(c, &source);
    chains::is_observed(c, &source);
    Registration::new((subscriber, source), condition, key, terms, c.world.now).until(until).put(&mut c.registrations);
}

/// The stream of some chain.
fn chain(c: &mut Cluster) -> String {
    let at = c.dice.below(c.chains.len());
    c.chains[at].path.clone()
}

/// The stream of some team.
pub(super) fn team(c: &mut Cluster) -> Option<String> {
    let known: Vec<usize> = (0..c.teams.len()).filter(|t| c.teams[*t].path.is_some()).collect();
    let team = c.dice.pick(&known)?;
    c.teams[team].path.clone()
}

pub(super) fn unregister(c: &mut Cluster) -> Option<Op> {
    let at = c.dice.below(c.registrations.len());
    let registration = c.registrations.get(at)?;
    let (subscriber, source, key) = (registration.subscriber, registration.source.clone(), registration.key.clone());
    let by_key = !key.is_empty() && c.dice.percent(50);
    let mut body = json!({ "subscriberUrl": c.entities[subscriber].url });
    match by_key {
        true => body["manifestKey"] = json!(key),
        false => body["sourceUrl"] = json!(source),
    }
    let what = format!("unregister {body}");
    Some(Op::ask(what, ("POST", "/_electric/wake/unregister"), &[], &body, move |c, got| {
        assert_eq!(got.status, 204, "{}", got.body);
        c.registrations
            .retain(|r| r.subscriber != subscriber || if by_key { r.key != key } else { r.source != source });
    }))
}

/// Something happens on a stream that is nobody's: mostly once, or very often, or something large.
pub(super) fn feed(c: &mut Cluster) -> Option<Op> {
    let feed = c.feeds[c.dice.below(c.feeds.len())].clone();
    let fat = c.dice.percent(5);
    let times = match c.dice.below(100) {
        0..15 if !fat => c.dice.between(2, 20),
        15..22 if !fat => c.dice.between(90, 130),
        _ => 1,
    };
    Some(append(c, &feed, times, fat))
}

fn append(c: &mut Cluster, feed: &str, times: i64, fat: bool) -> Op {
    let keys: Vec<String> = (0..times).map(|_| format!("n{}", c.number())).collect();
    let value = if fat { json!({ "value": "x".repeat(DEBOUNCE_BYTES) }) } else { json!({}) };
    let note =
        |key: &String| json!({ "type": "note", "key": key, "value": value, "headers": { "operation": "insert" } });
    let body = Json::Array(keys.iter().map(note).collect());
    let headers = [("content-type", "application/json")];
    let what = format!("append {times} to {feed}, from {}{}", keys[0], if fat { ", a large one" } else { "" });
    let path = feed.to_owned();
    Op::ask(what, ("POST", feed), &headers, &body, move |c, got| {
        assert_eq!(got.status, 204, "{}", got.body);
        let notes: Vec<Change> = keys.iter().map(|key| Change { fat, ..Change::of("note", key) }).collect();
        c.changed(&path, Author::Outside, &notes);
    })
}

/// A source is never quiet for long enough, and then says very much: what is gathered has to be told all the same.
pub(super) fn a_source_is_steady(c: &mut Cluster) {
    let (debounce, pause, times) = c.dice.pick(&[(2_000, 1_900, 12), (900_000, 880_000, 6)]).expect("one");
    let Some(subscriber) = some(c) else { return };
    let terms = Terms { debounce: Some(Span::millis(debounce)), ..Terms::default() };
    let feed = c.feeds[c.dice.below(c.feeds.len())].clone();
    let op = observe(c, subscriber, feed.clone(), Condition::Named("note"), "steady".to_owned(), terms);
    c.run(vec![op]);
    for _ in 0..times {
        let op = append(c, &feed, 1, false);
        c.run(vec![op]);
        c.pass(Span::millis(pause));
    }
    let op = append(c, &feed, 110, false);
    c.run(vec![op]);
}

/// Some entity, mostly one that has not ended.
pub(super) fn some(c: &mut Cluster) -> Option<usize> {
    let all: Vec<usize> = (0..c.entities.len()).collect();
    let alive: Vec<usize> = all.iter().copied().filter(|e| !c.entities[*e].is_over()).collect();
    let ended_too = alive.is_empty() || c.dice.percent(5);
    c.dice.pick(if ended_too { &all } else { &alive })
}

fn source(c: &mut Cluster) -> Option<String> {
    if c.dice.percent(10) {
        return match c.dice.below(3) {
            0 => team(c),
            1 => Some(chain(c)),
            _ => Some(c.shape.path.clone()),
        };
    }
    if c.dice.percent(35) {
        return Some(c.feeds[c.dice.below(c.feeds.len())].clone());
    }
    some(c).map(|e| c.entities[e].url.clone())
}

/// How many entities there may be.
const MOST: usize = 40;
