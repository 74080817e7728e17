//! A world around an engine: a clock that a test moves, agents that are recorded instead of called.

use http::{HeaderMap, HeaderName, Method};
use serde_json::{Value as Json, json};

use super::driver::Memory;
use crate::effect::{Answer, Effect, EffectId, Fetch};
use crate::http::Request;
use crate::store::{Sql as _, Value};
use crate::tenant::Principal;
use crate::{Command, Config, Engine, Entropy, Reply, Span, Ticket, Time, Turn};

pub(super) struct World {
    pub(super) engine: Engine<Memory>,
    pub(super) now: Time,
    calls: u64,
    /// Webhooks that left and were not yet answered.
    pub(super) fetches: Vec<Fetch>,
    pub(super) deadline: Option<Time>,
}

/// An answer as a test looks at it.
#[derive(Debug)]
pub(super) struct Got {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Got {
    pub(super) fn json(&self) -> Json {
        serde_json::from_str(&self.body).unwrap_or(Json::Null)
    }

    pub(super) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or("").to_owned()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or("")
    }
}

impl World {
    pub(super) fn new() -> Self {
        Self::with_fetches(Config::dev().fetches)
    }

    /// One in which so many fetches may be in flight at once.
    pub(super) fn with_fetches(fetches: usize) -> Self {
        Self::open(Memory::new(), fetches)
    }

    /// One that goes on with a database.
    pub(super) fn on(memory: Memory) -> Self {
        Self::open(memory, Config::dev().fetches)
    }

    fn open(memory: Memory, fetches: usize) -> Self {
        let config = Config { public_url: Some("http://reveille.test".to_owned()), fetches, ..Config::dev() };
        let now = Time::from_millis(1_800_000_000_000);
        let engine = Engine::open(memory, config, now, Entropy::new([0; 32])).expect("opens");
        Self { engine, now, calls: 0, fetches: Vec::new(), deadline: None }
    }

    fn entropy(&mut self) -> Entropy {
        self.calls += 1;
        Entropy::new([9; 32]).part("call", self.calls)
    }

    pub(super) fn command(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Command {
        let mut map = HeaderMap::new();
        let mut by = Principal::dev_local();
        for (name, value) in headers {
            if *name == "electric-principal" {
                by = Principal::parse(value).expect("a principal");
            }
            map.insert(HeaderName::try_from(*name).expect("a name"), value.parse().expect("a value"));
        }
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let request = Request {
            method: Method::try_from(method).expect("a method"),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: map,
            body: body.as_bytes().to_vec(),
            by: Some(by),
            origin: None,
        };
        Command::Request { ticket: Ticket(1), request }
    }

    pub(super) fn batch(&mut self, commands: Vec<Command>) -> Vec<Turn> {
        let entropy = self.entropy();
        let turns = self.engine.batch(commands, self.now, entropy);
        for turn in &turns {
            self.deadline = turn.next_deadline;
            for effect in &turn.effects {
                if let Effect::Fetch(fetch) = effect {
                    self.fetches.push(fetch.clone());
                }
            }
        }
        turns
    }

    pub(super) fn ask(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &Json) -> Got {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut turns = self.batch(vec![Self::command(method, path, headers, &body)]);
        got(turns.remove(0))
    }

    pub(super) fn put(&mut self, path: &str, body: &Json) -> Got {
        self.ask("PUT", path, &[], body)
    }

    pub(super) fn post(&mut self, path: &str, body: &Json) -> Got {
        self.ask("POST", path, &[], body)
    }

    pub(super) fn get(&mut self, path: &str) -> Got {
        self.ask("GET", path, &[], &Json::Null)
    }

    /// Registers a type whose entities are woken by a webhook.
    pub(super) fn webhook_type(&mut self, name: &str) {
        let policy = json!({ "targets": [{ "type": "webhook", "url": format!("https://agent.test/{name}"), "subscription_id": name }] });
        let got = self.post(
            "/_electric/entity-types",
            &json!({ "name": name, "description": "d", "default_dispatch_policy": policy, "permission_grants": everybody() }),
        );
        assert_eq!(got.status, 201, "{}", got.body);
    }

    /// Answers the oldest webhook, and gives its body.
    pub(super) fn answer(&mut self, status: u16, body: &Json) -> Json {
        let fetch = self.fetches.remove(0);
        self.outcome(fetch.id, Ok(Answer { status, headers: Vec::new(), body: body.to_string().into_bytes() }));
        serde_json::from_slice(&fetch.body).expect("JSON")
    }

    pub(super) fn outcome(&mut self, effect: EffectId, result: crate::Fetched) {
        self.batch(vec![Command::Outcome { effect, result }]);
    }

    /// Takes the oldest webhook as an agent does: answers 200 and claims. Gives the notification and the write token.
    pub(super) fn claim(&mut self) -> (Json, String) {
        let hook = self.answer(200, &json!({ "ok": true }));
        let got = self.callback(&hook, &json!({ "epoch": hook["epoch"], "wakeId": hook["wakeId"] }));
        assert_eq!(got.status, 200, "{}", got.body);
        let token = got.json()["writeToken"].as_str().expect("a token").to_owned();
        (hook, token)
    }

    pub(super) fn callback(&mut self, hook: &Json, body: &Json) -> Got {
        let token = format!("Bearer {}", hook["claimToken"].as_str().expect("a token"));
        let path = format!("/_electric/wake-callbacks/{}", hook["wakeId"].as_str().expect("an id"));
        self.ask("POST", &path, &[("authorization", &token)], body)
    }

    /// Appends events to an entity's stream under a write token.
    pub(super) fn append(&mut self, url: &str, token: &str, events: &Json) -> Got {
        let headers = [("authorization", token), ("content-type", "application/json")];
        self.ask("POST", &format!("{url}/main"), &headers, events)
    }

    /// Ends a wake, having seen everything.
    pub(super) fn done(&mut self, hook: &Json) -> Got {
        let path = hook["streamPath"].as_str().expect("a path").to_owned();
        let tail = self.ask("HEAD", &path, &[], &Json::Null).header("stream-next-offset").to_owned();
        self.callback(
            hook,
            &json!({ "epoch": hook["epoch"], "acks": [{ "path": path, "offset": tail }], "done": true }),
        )
    }

    /// The names of the types that there are, but for the built-in one.
    pub(super) fn types(&mut self) -> Vec<String> {
        let all = self.get("/_electric/entity-types").json();
        let names = all.as_array().expect("a list").iter().map(|t| t["name"].as_str().unwrap_or("").to_owned());
        names.filter(|name| name != "principal").collect()
    }

    /// The events of a type on a stream.
    pub(super) fn events(&mut self, url: &str, kind: &str) -> Vec<Json> {
        let got = self.get(&format!("{url}/main"));
        let all = got.json();
        all.as_array().expect("an array").iter().filter(|e| e["type"] == kind).cloned().collect()
    }

    pub(super) fn status(&mut self, entity: &str) -> String {
        self.get(&format!("/_electric/entities{entity}")).json()["status"].as_str().unwrap_or("").to_owned()
    }

    /// Moves the clock and runs what falls due.
    pub(super) fn pass(&mut self, span: Span) {
        let until = self.now + span;
        while let Some(due) = self.engine.next_deadline().expect("readable").filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.batch(vec![Command::Tick { budget: 16 }]);
        }
        self.now = until;
    }

    /// Drops the engine as a crash does, and opens it again on what was committed.
    pub(super) fn restart(self) -> Self {
        let config = self.engine.config().clone();
        self.restart_as(config)
    }

    /// The same under another configuration.
    pub(super) fn restart_as(self, config: Config) -> Self {
        let Self { engine, now, calls, .. } = self;
        let sql = engine.into_sql();
        let engine = Engine::open(sql, config, now, Entropy::new([1; 32])).expect("opens");
        let deadline = engine.next_deadline().expect("readable");
        Self { engine, now, calls, fetches: Vec::new(), deadline }
    }
}

pub(super) fn got(turn: Turn) -> Got {
    let whole = turn.replies.into_iter().find_map(|(_, reply)| match reply {
        Reply::Whole(response) => Some(response),
        Reply::Live(_) => None,
    });
    let response = whole.expect("a whole reply");
    Got {
        status: response.status.as_u16(),
        headers: response.headers,
        body: String::from_utf8(response.body).expect("text"),
    }
}

/// Grants to whoever calls, of whatever kind, to spawn a type.
pub(super) fn everybody() -> Json {
    let grant = |kind: &str| json!({ "subject_kind": "principal_kind", "subject_value": kind, "permission": "spawn" });
    Principal::KINDS.map(grant).to_vec().into()
}

/// What the server says of an entity, and why.
pub(super) fn explain(w: &mut World, url: &str) -> Json {
    let got = w.get(&format!("/_reveille/entities{url}/explain"));
    assert_eq!(got.status, 200, "{}", got.body);
    got.json()
}

/// Sends an entity a message.
pub(super) fn send(w: &mut World, url: &str) {
    assert_eq!(w.post(&format!("/_electric/entities{url}/send"), &json!({ "payload": 1 })).status, 200);
}

/// Changes the database behind the engine's back.
pub(super) fn exec(w: &World, sql: &'static str) {
    w.engine.sql().run(sql, &[] as &[Value<'_>], &mut |_| Ok(())).expect("runs");
}
