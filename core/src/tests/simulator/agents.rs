//! Those who run entities: a webhook's agent answers, claims, keeps, appends, acknowledges, ends, in whatever order and
//! however late. What the engine must say to that follows from whether their wake is still the one in flight.

use serde_json::{Value as Json, json};

use super::super::world::Got;
use super::cluster::{Cluster, Flight, Whom, Work, offset, text};
use super::host::Op;
use super::model::{Author, Current, Target};
use super::people::{self, refuses, some};
use super::registrations::{Change, Condition, Terms};
use super::watchers;
use crate::effect::Answer;
use crate::entity::Status;
use crate::limits::{DELIVERIES, DEPTH};
use crate::stream::Offset;
use crate::{Command, Span};

/// How an endpoint answers a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answers {
    Takes,
    Done,
    Fails,
    TimesOut,
}

/// What a callback says.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Says {
    /// By the stream protocol's own route.
    pub(super) plainly: bool,
    pub(super) claim: bool,
    pub(super) ack: Option<i64>,
    pub(super) done: bool,
}

pub(super) fn takes(c: &mut Cluster) -> Option<Op> {
    answer_some(c, Answers::Takes)
}

pub(super) fn is_done_at_once(c: &mut Cluster) -> Option<Op> {
    answer_some(c, Answers::Done)
}

pub(super) fn fails(c: &mut Cluster) -> Option<Op> {
    answer_some(c, Answers::Fails)
}

pub(super) fn times_out(c: &mut Cluster) -> Option<Op> {
    answer_some(c, Answers::TimesOut)
}

fn answer_some(c: &mut Cluster, how: Answers) -> Option<Op> {
    let at = c.dice.recent(c.flights.len())?;
    let flight = c.flights.remove(at);
    Some(answer(c, flight, how))
}

/// A webhook tells of a wake: of one that its agent knows, or of the next.
pub(super) fn told(c: &mut Cluster, entity: usize, attempt: i64, hook: &Json) -> Vec<(String, i64)> {
    let generation = hook["epoch"].as_i64().expect("a number");
    let (wake, told) = (text(&hook["wakeId"]), offset(&hook["streams"][0]["offset"]));
    let now = c.world.now;
    let it = &mut c.entities[entity];
    assert!(it.admits(), "a webhook to an entity that is {}, or locked", it.status.as_str());
    assert!(!it.dead, "a webhook for what was given up");
    assert!(attempt <= DELIVERIES, "a webhook too often");
    Current::told(&mut it.current, &mut it.generation, &wake, (generation, attempt), now);
    match c.works.iter_mut().find(|w| w.wake == wake) {
        Some(work) => {
            assert_eq!(work.token, text(&hook["claimToken"]), "one wake, one token");
            work.told = told;
        }
        None => c.works.push(Work {
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

/// A webhook is answered: what that means, unless a newer attempt or a newer wake has taken its place.
pub(super) fn answer(c: &Cluster, flight: Flight, how: Answers) -> Op {
    let status = |status: u16, body: &str| Ok(Answer { status, headers: Vec::new(), body: body.as_bytes().to_vec() });
    let result = match how {
        Answers::Takes => status(200, r#"{"ok":true}"#),
        Answers::Done => status(200, r#"{"done":true}"#),
        Answers::Fails => status(500, ""),
        Answers::TimesOut => Err("no answer in time".to_owned()),
    };
    let what = format!("{how:?}: {}, generation {}, of {}", flight.id, flight.generation, c.name(flight.whom));
    Op::of(what, Command::Outcome { effect: flight.id.clone(), result }, move |c| {
        if c.dice.percent(10) {
            c.lost.push(flight.clone());
        }
        match flight.whom {
            Whom::Entity(entity) => answered(c, entity, &flight, how),
            Whom::Watcher(watcher) => watchers::answered(c, watcher, &flight, how),
        }
    })
}

fn answered(c: &mut Cluster, entity: usize, flight: &Flight, how: Answers) {
    let now = c.world.now;
    let it = &mut c.entities[entity];
    let Some(current) = it.current.as_ref().filter(|c| c.awaits(flight)) else { return };
    match how {
        Answers::Done => {
            it.say(flight.told[0].1);
            c.end(entity);
        }
        Answers::Takes if current.lease.is_none() => {
            it.hold(now);
            it.run();
        }
        Answers::Fails | Answers::TimesOut if current.lease.is_none() && current.attempt >= DELIVERIES => it.give_up(),
        _ => {}
    }
}

pub(super) fn claims(c: &mut Cluster) -> Option<Op> {
    let work = some_work(c)?;
    Some(callback(c, work, Says { claim: true, ..Says::default() }))
}

pub(super) fn keeps(c: &mut Cluster) -> Option<Op> {
    let work = some_work(c)?;
    let plainly = c.dice.percent(25);
    Some(callback(c, work, Says { plainly, ..Says::default() }))
}

/// It has seen a part, or all, or more than there is, or less than it had.
pub(super) fn acknowledges(c: &mut Cluster) -> Option<Op> {
    let work = some_work(c)?;
    let ack = Some(place(c, work));
    let plainly = c.dice.percent(25);
    Some(callback(c, work, Says { plainly, ack, ..Says::default() }))
}

/// It is done, in one of the ways to say so: with what it has seen or without, with the claim that it never made.
pub(super) fn is_done(c: &mut Cluster) -> Option<Op> {
    let work = some_work(c)?;
    let ack = c.dice.percent(70).then(|| place(c, work));
    let plainly = c.dice.percent(25);
    let claim = !plainly && c.dice.percent(5);
    Some(callback(c, work, Says { plainly, claim, ack, done: true }))
}

/// A place on the stream of a wake that its agent may take for the end of what it has seen.
fn place(c: &mut Cluster, work: usize) -> i64 {
    let (entity, told) = (c.works[work].entity, c.works[work].told);
    match c.dice.below(10) {
        0..4 => c.tail(entity),
        4..7 => told,
        7..9 => c.dice.between(c.entities[entity].acked.min(told), told),
        _ => c.tail(entity) + 1,
    }
}

/// A callback under the token of a wake.
pub(super) fn callback(c: &mut Cluster, work: usize, says: Says) -> Op {
    let entity = c.works[work].entity;
    let (named, bearer) = (c.dice.percent(75), says.plainly || c.dice.percent(50));
    let tail = says.ack.map(|_| c.tail(entity));
    let (it, path) = (&c.works[work], c.entities[entity].path());
    let ack = says.ack.map(|ack| Offset::at(ack).to_string());
    let (route, mut body) = match says.plainly {
        true => {
            let name = it.name.replace(':', "%3A");
            let acks: Vec<_> = ack.iter().map(|o| json!({ "stream": &path[1..], "offset": o })).collect();
            let body = json!({ "wake_id": it.wake, "generation": it.generation, "acks": acks });
            (format!("/__ds/subscriptions/{name}/callback"), body)
        }
        false => {
            let acks: Vec<_> = ack.iter().map(|o| json!({ "path": path, "offset": o })).collect();
            let mut body = json!({ "acks": acks });
            if named {
                body["epoch"] = json!(it.generation);
            }
            (format!("/_electric/wake-callbacks/{}", it.wake), body)
        }
    };
    if says.claim {
        body["wakeId"] = json!(it.wake);
    }
    if says.done {
        body["done"] = json!(true);
    }
    let what = format!("{says:?} of {}, generation {}", c.entities[entity].url, it.generation);
    let header = match bearer {
        true => ("authorization", format!("Bearer {}", it.token)),
        false => ("electric-claim-token", it.token.clone()),
    };
    let headers = [(header.0, &*header.1)];
    Op::ask(what, ("POST", &route), &headers, &body, move |c, got| heard(c, work, says, tail, got))
}

fn heard(c: &mut Cluster, work: usize, says: Says, tail: Option<i64>, got: &Got) {
    let (entity, now) = (c.works[work].entity, c.world.now);
    if !c.works[work].is_current(c) {
        assert_eq!((got.status, got.code()), (409, "FENCED".to_owned()), "{}", got.body);
        return;
    }
    let unopened = c.works[work].writes.is_empty();
    let it = &mut c.entities[entity];
    let forked = says.claim && unopened && it.locked.is_some();
    if got.code() == "FORK_IN_PROGRESS" {
        assert!(got.status == 409 && forked, "{}", got.body);
        return;
    }
    if got.status == 409 {
        assert_eq!(got.code(), "INVALID_OFFSET", "{}", got.body);
        let ack = says.ack.expect("something was out of place");
        assert!(ack < it.said || tail.is_some_and(|tail| ack > tail), "{ack} is in its place");
        return;
    }
    assert_eq!(got.status, 200, "{}", got.body);
    assert!(!forked, "the stream of what a fork reads was opened");
    if let Some(ack) = says.ack {
        it.say(ack);
    }
    if says.claim || !says.done && (says.plainly || !it.is_held()) {
        it.run();
    }
    if says.done {
        c.end(entity);
    } else {
        it.hold(now);
    }
    if says.claim {
        c.works[work].writes.push(text(&got.json()["writeToken"]));
    }
}

/// An agent writes to its entity's stream under one of the write tokens that it ever had.
pub(super) fn appends(c: &mut Cluster) -> Option<Op> {
    let (work, at) = some_token(c)?;
    let what = c.dice.below(3);
    Some(append(c, work, at, what))
}

fn append(c: &mut Cluster, work: usize, at: usize, what: usize) -> Op {
    let (entity, token) = (c.works[work].entity, c.works[work].writes[at].clone());
    let key = format!("k{}", c.number());
    let event = |kind: &str, operation: &str, value: Json| json!({ "type": kind, "key": key, "value": value, "headers": { "operation": operation } });
    let change = |kind, finishes| Change { finishes, ..Change::of(kind, &key) };
    let (events, changes) = match what {
        0 => {
            let ends = if c.dice.percent(50) { "completed" } else { "failed" };
            let delta = event("text_delta", "insert", json!({ "run_id": key, "delta": "four" }));
            let (first, last) = (json!({ "status": "started" }), json!({ "status": ends }));
            let events = vec![event("run", "insert", first), delta, event("run", "update", last)];
            (events, vec![change("run", false), change("text_delta", false), change("run", true)])
        }
        1 => (vec![event("note", "insert", json!({}))], vec![change("note", false)]),
        _ => {
            let two = ["insert", "update"].map(|operation| event("note", operation, json!({ "pad": "x".repeat(400) })));
            (two.to_vec(), vec![change("note", false), change("note", false)])
        }
    };
    let url = c.entities[entity].url.clone();
    let what = format!("append {key} to {url} under generation {}", c.works[work].generation);
    let headers = [("authorization", &*token), ("content-type", "application/json")];
    let path = c.entities[entity].path();
    Op::ask(what, ("POST", &path), &headers, &json!(events), move |c, got| {
        if !c.works[work].writes_with(at, c) {
            assert_eq!(got.status, 401, "a write token that is over: {}", got.body);
            return;
        }
        assert_eq!(got.status, 204, "{}", got.body);
        c.entities[entity].notes.push(key);
        c.changed(&url, Author::Agent(entity), &changes);
    })
}

/// Two that wait for each other answer whatever wakes them, until their wakes stand apart.
pub(super) fn a_chain_reacts(c: &mut Cluster) {
    let ready = |e: &usize| {
        let it = &c.entities[*e];
        it.target == Target::Webhook && it.status == Status::Idle && it.admits() && !it.dead
    };
    let ready: Vec<usize> = (0..c.entities.len()).filter(ready).collect();
    let Some(one) = c.dice.pick(&ready) else { return };
    let others: Vec<usize> = ready.into_iter().filter(|e| *e != one).collect();
    let Some(other) = c.dice.pick(&others) else { return };
    for (subscriber, source) in [(one, other), (other, one)] {
        let source = c.entities[source].url.clone();
        let op = people::observe(c, subscriber, source, Condition::Named("note"), String::new(), Terms::default());
        c.run(vec![op]);
    }
    let op = people::say(c, one, None, None);
    c.run(vec![op]);
    for hops in 0..DEPTH + 10 {
        c.deep |= hops > DEPTH / 2;
        let Some(flight) = flight_to(c, &[one, other]) else { break };
        let Some(work) = c.works.iter().position(|w| Whom::Entity(w.entity) == flight.whom && w.is_current(c)) else {
            break;
        };
        let claim = callback(c, work, Says { claim: true, ..Says::default() });
        let taken = answer(c, flight, Answers::Takes);
        c.run(vec![claim, taken]);
        let note = append(c, work, c.works[work].writes.len() - 1, 1);
        c.run(vec![note]);
        let ack = Some(c.tail(c.works[work].entity));
        let done = callback(c, work, Says { ack, done: true, ..Says::default() });
        c.run(vec![done]);
    }
    if c.is_slowed() {
        c.heard.insert("slowed".to_owned());
    }
}

/// The next webhook to one of them, once others have made room for it.
fn flight_to(c: &mut Cluster, whom: &[usize]) -> Option<Flight> {
    loop {
        let ours = |f: &Flight| whom.iter().any(|entity| f.whom == Whom::Entity(*entity));
        if let Some(at) = c.flights.iter().position(ours) {
            return Some(c.flights.remove(at));
        }
        let other = c.flights.pop()?;
        let op = answer(c, other, Answers::Takes);
        c.run(vec![op]);
    }
}

/// Somebody sends again and again to one who is done at once.
pub(super) fn one_is_kept_busy(c: &mut Cluster) {
    let ready = |e: &usize| c.entities[*e].target == Target::Webhook && c.entities[*e].admits() && !c.entities[*e].dead;
    let ready: Vec<usize> = (0..c.entities.len()).filter(ready).collect();
    let Some(entity) = c.dice.pick(&ready) else { return };
    for _ in 0..c.dice.between(8, 16) {
        let op = people::say(c, entity, None, None);
        c.run(vec![op]);
        let Some(at) = c.flights.iter().rposition(|f| f.whom == Whom::Entity(entity)) else { break };
        let flight = c.flights.remove(at);
        let op = answer(c, flight, Answers::Done);
        c.run(vec![op]);
    }
}

/// The endpoint of an entity was down for an hour and a half, and has one chance left; or it is not heard of again.
pub(super) fn an_endpoint_is_broken(c: &mut Cluster) {
    let is_sent = |e: &usize| {
        let it = &c.entities[*e];
        it.target == Target::Webhook && it.current.is_some() && !it.is_held()
    };
    let sent: Vec<usize> = (0..c.entities.len()).filter(is_sent).collect();
    let Some(entity) = c.dice.pick(&sent) else { return };
    let Some(current) = &mut c.entities[entity].current else { return };
    current.attempt = DELIVERIES - 1;
    let sql = format!("UPDATE subscription SET attempt = {} WHERE wake = '{}'", DELIVERIES - 1, current.wake);
    c.world.engine.sql().execute(&sql);
    c.note(format!("{} has been called in vain for long", c.entities[entity].url));
    for _ in 0..3 {
        c.pass(Span::secs(31));
        let last = |f: &Flight| f.whom == Whom::Entity(entity) && f.attempt == DELIVERIES;
        if let Some(at) = c.flights.iter().position(last) {
            let flight = c.flights.remove(at);
            match c.dice.pick(&[Answers::Fails, Answers::TimesOut, Answers::Takes]) {
                Some(how) if c.dice.percent(75) => {
                    let op = answer(c, flight, how);
                    c.run(vec![op]);
                }
                _ => c.hung.push(flight),
            }
            break;
        }
    }
    if c.entities[entity].dead {
        c.heard.insert("given up".to_owned());
    }
}

/// An agent sends to another in its own name.
pub(super) fn tells(c: &mut Cluster) -> Option<Op> {
    let (work, at) = some_token(c)?;
    let token = c.works[work].writes[at].clone();
    let to = some(c)?;
    let number = c.number();
    let (from, url) = (c.entities[c.works[work].entity].url.clone(), c.entities[to].url.clone());
    let body = json!({ "payload": number, "from_agent": from });
    let headers = [("electric-claim-token", &*token)];
    let (what, path) = (format!("{from} sends {number} to {url}"), format!("/_electric/entities{url}/send"));
    Some(Op::ask(what, ("POST", &path), &headers, &body, move |c, got| {
        if !c.works[work].writes_with(at, c) {
            assert_eq!((got.status, got.code()), (400, "INVALID_REQUEST".to_owned()), "{}", got.body);
        } else if !refuses(c, to, got) {
            assert_eq!(got.status, 200, "{}", got.body);
            c.arrive(to, number, false);
        }
    }))
}

/// Some wake that somebody was told of, mostly one that is in flight.
fn some_work(c: &mut Cluster) -> Option<usize> {
    let current: Vec<usize> = (0..c.works.len()).filter(|w| c.works[*w].is_current(c)).collect();
    if c.dice.percent(60) && !current.is_empty() { c.dice.pick(&current) } else { c.dice.recent(c.works.len()) }
}

/// Some write token that was given out, mostly the last of its wake: the work, and which of its tokens.
pub(super) fn some_token(c: &mut Cluster) -> Option<(usize, usize)> {
    let with: Vec<usize> = (0..c.works.len()).filter(|w| !c.works[*w].writes.is_empty()).collect();
    let current: Vec<usize> = with.iter().copied().filter(|w| c.works[*w].is_current(c)).collect();
    let work = match c.dice.percent(60) {
        true if !current.is_empty() => c.dice.pick(&current)?,
        _ => with[c.dice.recent(with.len())?],
    };
    let tokens = c.works[work].writes.len();
    Some((work, if c.dice.percent(85) { tokens - 1 } else { c.dice.below(tokens) }))
}

/// One who was never told of a wake calls back under another's token, or of another generation.
pub(super) fn intrudes(c: &mut Cluster) -> Option<Op> {
    let one = some_work(c)?;
    let other = if c.dice.percent(50) { one } else { some_work(c)? };
    let off = c.dice.pick(&[-1, 1])?;
    let (mine, theirs) = (&c.works[one], &c.works[other]);
    let alien = mine.wake != theirs.wake;
    let generation = if alien { theirs.generation } else { theirs.generation + off };
    let path = format!("/_electric/wake-callbacks/{}", theirs.wake);
    let headers = [("authorization", &*format!("Bearer {}", mine.token))];
    let body = json!({ "epoch": generation, "done": true });
    let what = format!("done of {} by another", c.entities[theirs.entity].url);
    Some(Op::ask(what, ("POST", &path), &headers, &body, move |_, got| {
        let refusal = if alien { (401, "TOKEN_INVALID") } else { (409, "FENCED") };
        assert_eq!((got.status, &*got.code()), refusal, "{}", got.body);
    }))
}

impl Work {
    pub(super) fn is_current(&self, c: &Cluster) -> bool {
        c.entities[self.entity].is_current(&self.wake, self.generation)
    }

    /// Whether one of its write tokens is good: the last is, while the wake is.
    pub(super) fn writes_with(&self, token: usize, c: &Cluster) -> bool {
        token + 1 == self.writes.len() && self.is_current(c)
    }
}

impl Current {
    /// Whether an answer to a webhook is one to its newest delivery.
    pub(super) fn awaits(&self, flight: &Flight) -> bool {
        self.generation == flight.generation && self.attempt == flight.attempt
    }
}

impl Cluster {
    fn name(&self, whom: Whom) -> &str {
        match whom {
            Whom::Entity(entity) => &self.entities[entity].url,
            Whom::Watcher(watcher) => self.watchers[watcher].name,
        }
    }
}
