//! Watchers: subscriptions that clients made themselves, which follow many streams. Their wakes are claimed, acknowledged
//! and released by name, or come as webhooks and are called back about.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::super::world::Got;
use super::agents::Answers;
use super::cluster::{Cluster, Flight, offset, text};
use super::host::Op;
use super::model::Current;
use crate::limits::LEASE;
use crate::stream::Offset;

pub(super) struct Watcher {
    pub(super) name: &'static str,
    /// Whether it is told by webhooks.
    hook: bool,
    pub(super) current: Option<Current>,
    generation: i64,
    /// How far a claimer has said to have seen each stream.
    said: BTreeMap<String, i64>,
    acked: BTreeMap<String, i64>,
    claims: Vec<Claim>,
}

/// A wake as a claimer was told of it.
#[derive(Clone)]
struct Claim {
    wake: String,
    generation: i64,
    token: String,
    streams: Vec<(String, i64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    Nothing,
    Some,
    All,
    Done,
    Releases,
}

/// One that follows what is nobody's, and two that follow every entity.
pub(super) fn found(c: &mut Cluster) {
    let webhook = json!({ "type": "webhook", "webhook": { "url": "https://agent.test/watch" }, "pattern": "*/*/main" });
    for (name, body) in [
        ("feeds", json!({ "type": "pull-wake", "wake_stream": "wakes/a", "streams": ["feeds/a", "feeds/b"] })),
        ("mains", json!({ "type": "pull-wake", "wake_stream": "wakes/b", "pattern": "*/*/main" })),
        ("hooks", webhook),
    ] {
        let got = c.world.put(&format!("/__ds/subscriptions/{name}"), &body);
        assert_eq!(got.status, 201, "{}", got.body);
        let (said, acked, hook) = (BTreeMap::new(), BTreeMap::new(), name == "hooks");
        c.watchers.push(Watcher { name, hook, current: None, generation: 0, said, acked, claims: Vec::new() });
    }
}

/// A webhook tells of a wake.
pub(super) fn told(c: &mut Cluster, watcher: usize, attempt: i64, hook: &Json) -> Vec<(String, i64)> {
    let claim = Claim::of(hook, "callback_token");
    let now = c.world.now;
    let it = &mut c.watchers[watcher];
    Current::told(&mut it.current, &mut it.generation, &claim.wake, (claim.generation, attempt), now);
    let streams = claim.streams.clone();
    it.claims.retain(|known| known.wake != claim.wake);
    it.claims.push(claim);
    streams
}

/// A webhook was answered.
pub(super) fn answered(c: &mut Cluster, watcher: usize, flight: &Flight, how: Answers) {
    let until = c.world.now + LEASE;
    let it = &mut c.watchers[watcher];
    let Some(current) = it.current.as_mut().filter(|c| c.awaits(flight)) else { return };
    match how {
        Answers::Done => {
            it.current = None;
            it.say(&flight.told);
        }
        Answers::Takes if current.lease.is_none() => current.lease = Some(until),
        _ => {}
    }
}

pub(super) fn claims(c: &mut Cluster) -> Option<Op> {
    let watcher = c.dice.below(c.watchers.len());
    claim(c, watcher)
}

pub(super) fn claim(c: &Cluster, watcher: usize) -> Option<Op> {
    let Watcher { name, hook: false, .. } = c.watchers[watcher] else { return None };
    let path = format!("/__ds/subscriptions/{name}/claim");
    Some(Op::ask(format!("claim of {name}"), ("POST", &path), &[], &json!({ "worker": "w" }), move |c, got| {
        let (sent, until) = (c.world.now, c.world.now + LEASE);
        let it = &mut c.watchers[watcher];
        if it.current.is_some() {
            assert_eq!((got.status, got.code()), (409, "ALREADY_CLAIMED".to_owned()));
            return;
        }
        if got.status == 409 {
            assert_eq!(got.code(), "NO_PENDING_WORK");
            return;
        }
        assert_eq!(got.status, 200, "{}", got.body);
        let claim = Claim::of(&got.json(), "token");
        assert!(claim.generation > it.generation, "a generation that there was");
        it.generation = claim.generation;
        let (wake, generation) = (claim.wake.clone(), claim.generation);
        it.current = Some(Current { wake, generation, attempt: 0, sent, lease: Some(until) });
        it.claims.push(claim);
    }))
}

/// One who claimed keeps it, acknowledges, is done or gives it back: in time, or when the wake is long over.
pub(super) fn acts(c: &mut Cluster) -> Option<Op> {
    let watcher = c.dice.below(c.watchers.len());
    let claims = c.watchers[watcher].claims.len();
    let claim = if c.dice.percent(60) { claims.checked_sub(1)? } else { c.dice.recent(claims)? };
    let all = [Says::Nothing, Says::Some, Says::All, Says::Done, Says::Done, Says::Releases];
    let says = c.dice.pick(if c.watchers[watcher].hook { &all[..5] } else { &all })?;
    Some(act(c, watcher, claim, says))
}

/// The last who claimed has seen everything.
pub(super) fn finish(c: &mut Cluster, watcher: usize) -> Option<Op> {
    let last = c.watchers[watcher].claims.len().checked_sub(1)?;
    c.watchers[watcher].current.is_some().then(|| act(c, watcher, last, Says::Done))
}

fn act(c: &mut Cluster, watcher: usize, claim: usize, says: Says) -> Op {
    let Watcher { name, hook, .. } = c.watchers[watcher];
    let claim = c.watchers[watcher].claims[claim].clone();
    let mut seen = claim.streams.clone();
    match says {
        Says::Nothing | Says::Releases => seen.clear(),
        Says::Some => seen.retain(|_| c.dice.percent(40)),
        Says::All | Says::Done => {}
    }
    let acks: Vec<_> =
        seen.iter().map(|(path, tail)| json!({ "stream": path, "offset": Offset::at(*tail).to_string() })).collect();
    let mut body = json!({ "wake_id": claim.wake, "generation": claim.generation, "acks": acks });
    if says == Says::Done {
        body["done"] = json!(true);
    }
    let verb = match says {
        Says::Releases => "release",
        _ if hook => "callback",
        _ => "ack",
    };
    let path = format!("/__ds/subscriptions/{name}/{verb}");
    let headers = [("authorization", &*format!("Bearer {}", claim.token))];
    let what = format!("{says:?} of {name}, generation {}", claim.generation);
    Op::ask(what, ("POST", &path), &headers, &body, move |c, got| heard(c, watcher, &claim, says, &seen, got))
}

fn heard(c: &mut Cluster, watcher: usize, claim: &Claim, says: Says, seen: &[(String, i64)], got: &Got) {
    let until = c.world.now + LEASE;
    let it = &mut c.watchers[watcher];
    let Some(current) = it.current.as_mut().filter(|w| w.wake == claim.wake && w.generation == claim.generation) else {
        assert_eq!((got.status, got.code()), (409, "FENCED".to_owned()), "{}", got.body);
        return;
    };
    if got.status == 409 {
        assert_eq!(got.code(), "INVALID_OFFSET", "{}", got.body);
        assert!(seen.iter().any(|(path, tail)| it.said.get(path) > Some(tail)), "all are in their place");
        return;
    }
    current.lease = Some(until);
    it.say(seen);
    match says {
        Says::Releases => assert_eq!(got.status, 204, "{}", got.body),
        _ => assert_eq!(got.status, 200, "{}", got.body),
    }
    if matches!(says, Says::Done | Says::Releases) {
        it.current = None;
    }
}

impl Watcher {
    fn say(&mut self, seen: &[(String, i64)]) {
        for (path, tail) in seen {
            let said = self.said.entry(path.clone()).or_default();
            *said = (*said).max(*tail);
        }
    }
}

impl Claim {
    fn of(claim: &Json, token: &str) -> Self {
        let streams = claim["streams"].as_array().expect("a list").iter();
        Self {
            wake: text(&claim["wake_id"]),
            generation: claim["generation"].as_i64().expect("a number"),
            token: text(&claim[token]),
            streams: streams.map(|s| (text(&s["path"]), offset(&s["tail_offset"]))).collect(),
        }
    }
}

/// What holds of every watcher after every step. Says which of them have something to do.
pub(super) fn check(c: &mut Cluster) -> Vec<usize> {
    let rows: Json = serde_json::from_str(&c.world.engine.sql().text(ROWS)).expect("JSON");
    let mut pending = Vec::new();
    for (at, it) in c.watchers.iter_mut().enumerate() {
        let name = it.name;
        let row = rows.as_array().expect("a list").iter().find(|row| row[0] == name).expect("it is there");
        assert!(row[1].as_i64() >= Some(it.generation), "the generation of {name} has fallen");
        let held = it.current.as_ref().is_some_and(|c| c.lease.is_some());
        assert_eq!(row[3] == 1, held, "whether {name} is claimed");
        if let Some(current) = &it.current {
            assert_eq!(row[2], current.wake, "the wake in flight for {name}");
        }
        assert!(row[2].is_null() || row[4] == 1, "the wake of {name} has no timer");
        let mut waits = false;
        for link in row[5].as_array().expect("a list") {
            let number = |at: usize| link[at].as_i64().expect("a number");
            let (path, acked, tail) = (text(&link[0]), number(1), number(2));
            let before = it.acked.insert(path.clone(), acked);
            let said = it.said.entry(path.clone()).or_insert(acked);
            if before.is_none() {
                *said = (*said).max(acked);
            }
            assert!(before.is_none_or(|before| before <= acked), "what was acknowledged of {path} has moved back");
            assert!(acked <= *said, "more of {path} is acknowledged than anybody has seen");
            waits |= acked < tail;
        }
        assert!(!waits || !row[2].is_null(), "something is pending for {name}, and no wake is in flight");
        if waits || it.current.is_some() {
            pending.push(at);
        }
    }
    pending
}

const ROWS: &str = "
    SELECT json_group_array(json_array(s.name, s.generation, s.wake, s.held,
      EXISTS (SELECT 1 FROM timer t WHERE t.due_at = s.timer_at AND t.kind = 1 AND t.subject = s.id),
      (SELECT json_group_array(json_array(substr(st.path, 2), l.acked,
          max(COALESCE((SELECT max(n.end) FROM entry n WHERE n.stream = l.stream), 0), st.base)))
        FROM link l JOIN stream st ON st.id = l.stream WHERE l.subscription = s.id)))
    FROM subscription s WHERE s.plain = 1";
