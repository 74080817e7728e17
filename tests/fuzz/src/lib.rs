//! A world for fuzz targets: an engine on a database in memory that holds a little of everything, and is as it was for
//! each input. Its inputs are scripts, which a person can read and a fuzzer can cut and join.

#[path = "../../../core/src/tests/driver.rs"]
#[allow(dead_code, reason = "the engine's own tests use more of it")]
mod driver;
mod script;

// Where the driver looks for it.
use reveille_core::store;

use std::collections::VecDeque;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use reveille_core::http::{Request, Response, admit, canonical_path, canonical_query};
use reveille_core::store::{Sql, SqlError, Value, Verdict, Visit};
use reveille_core::stream::Next;
use reveille_core::{Answer, Command, Config, Effect, Engine, Entropy, Fetch, Reply, Span, Ticket, Time};

pub use script::{Line, lines};

/// An engine as an input finds it.
pub struct World<'a> {
    engine: Engine<Shared<'a>>,
    now: Time,
    calls: u64,
    pub fetches: VecDeque<Fetch>,
    /// What stands for `$token` and the like: the last that an answer or a webhook showed.
    pub known: Vec<(&'static str, String)>,
}

/// The database that every input begins with.
pub struct Template(driver::Memory);

struct Shared<'a>(&'a driver::Memory);

impl Sql for Shared<'_> {
    fn run(&self, sql: &'static str, params: &[Value<'_>], visit: &mut Visit<'_>) -> Result<(), SqlError> {
        self.0.run(sql, params, visit)
    }

    fn transaction(&self, work: &mut dyn FnMut() -> Verdict) -> Result<(), SqlError> {
        self.0.transaction(work)
    }

    fn intact(&self) -> Option<bool> {
        self.0.intact()
    }

    fn written(&self) -> u64 {
        self.0.written()
    }
}

impl Template {
    /// A database on which this script has run.
    pub fn new(script: &str) -> Self {
        let template = Self(driver::Memory::new());
        let mut world = World::open(&template.0);
        for line in lines(script.as_bytes()) {
            let status = world.run(&line);
            assert!(status.is_none_or(|status| status < 300), "{line:?}: {status:?}");
        }
        template
    }

    /// Runs `work` in a world that is forgotten afterwards.
    pub fn with(&self, work: impl Fn(&mut World<'_>)) {
        let ended = self.0.transaction(&mut || {
            let mut world = World::open(&self.0);
            work(&mut world);
            let counts = world.engine.counts();
            assert_eq!((counts.panics, counts.failed_commits, counts.timer_failures), (0, 0, 0));
            Verdict::Rollback
        });
        ended.expect("rolls back");
    }
}

impl<'a> World<'a> {
    fn open(sql: &'a driver::Memory) -> Self {
        let config = Config { public_url: Some("http://reveille.test".to_owned()), ..Config::dev() };
        let now = Time::from_millis(1_800_000_000_000);
        let engine = Engine::open(Shared(sql), config, now, Entropy::new([0; 32])).expect("opens");
        Self { engine, now, calls: 0, fetches: VecDeque::new(), known: Vec::new() }
    }

    fn command(&mut self, command: Command) -> Option<Reply> {
        self.calls += 1;
        let entropy = Entropy::new([9; 32]).part("call", self.calls);
        let turn = self.engine.batch(vec![command], self.now, entropy).remove(0);
        for effect in turn.effects {
            if let Effect::Fetch(fetch) = effect {
                self.learn(&fetch.body);
                self.fetches.push_back(fetch);
            }
        }
        turn.replies.into_iter().next().map(|(_, reply)| reply)
    }

    /// Does what a line of a script says; gives the status of an answer.
    pub fn run(&mut self, line: &Line) -> Option<u16> {
        match line {
            Line::Tick(millis) => {
                self.now = self.now + Span::millis(*millis);
                self.command(Command::Tick { budget: 64 });
                None
            }
            Line::Outcome(status, body) => {
                let fetch = self.fetches.pop_front()?;
                let result = match status {
                    0 => Err(String::from_utf8_lossy(body).into_owned()),
                    status => Ok(Answer { status: *status, headers: Vec::new(), body: self.filled(body) }),
                };
                self.command(Command::Outcome { effect: fetch.id, result });
                None
            }
            Line::Request { method, target, headers, body } => {
                let target = String::from_utf8(self.filled(target.as_bytes())).expect("text");
                let headers = self.headers(headers);
                self.request(method.clone(), &target, headers, self.filled(body)).map(|r| r.status.as_u16())
            }
        }
    }

    /// A request as a host brings it: only what the door lets in.
    pub fn request(&mut self, method: Method, target: &str, headers: HeaderMap, body: Vec<u8>) -> Option<Response> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let (path, query) = (canonical_path(path).into_owned(), canonical_query(query));
        if path.starts_with("/_reveille/dev/") {
            return None;
        }
        let by = match admit(self.engine.config(), &method, &path, &headers) {
            Ok(admission) => admission.by,
            Err(response) => return Some(response),
        };
        let request = Request { method, path, query, headers, body, by, origin: None };
        let response = match self.command(Command::Request { ticket: Ticket(1), request })? {
            Reply::Whole(response) => response,
            Reply::Live(mut live) => {
                for _ in 0..4 {
                    let (next, _) = self.engine.next(&mut live, self.now).expect("readable");
                    match next {
                        Next::Wait(until) => self.now = self.now.max(until),
                        Next::Respond(response) => return Some(response),
                        Next::Finish(_) => break,
                        Next::Open(_) | Next::Send(_) => {}
                    }
                }
                return None;
            }
        };
        // A command that would hurt others answers 5xx: nothing that comes over the wire may.
        assert!(response.status.as_u16() < 500 || self.engine.config().fetches <= self.fetches.len(), "{response:?}");
        self.learn(&response.body);
        Some(response)
    }

    /// Headers by name; what is no header is left out.
    pub fn headers(&self, given: &[(String, String)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            let value = self.filled(value.as_bytes());
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name.as_str()), HeaderValue::from_bytes(&value)) {
                headers.append(name, value);
            }
        }
        headers
    }

    /// Remembers the secrets that a body shows: nobody could guess them.
    fn learn(&mut self, body: &[u8]) {
        let Ok(body) = serde_json::from_slice::<serde_json::Value>(body) else { return };
        for (word, names) in WORDS {
            if let Some(text) = names.iter().find_map(|name| body.get(name)) {
                let text = text.as_str().map_or_else(|| text.to_string(), str::to_owned);
                self.known.retain(|(known, _)| *known != word);
                self.known.push((word, text));
            }
        }
    }

    /// Text with `$token` and the like replaced.
    fn filled(&self, text: &[u8]) -> Vec<u8> {
        let Ok(text) = std::str::from_utf8(text) else { return text.to_vec() };
        self.known.iter().fold(text.to_owned(), |text, (word, value)| text.replace(word, value)).into_bytes()
    }
}

const WORDS: [(&str, &[&str]); 4] = [
    ("$token", &["claimToken", "token", "callback_token"]),
    ("$write", &["writeToken"]),
    ("$wake", &["wakeId", "wake_id"]),
    ("$epoch", &["epoch", "generation"]),
];

/// A little of everything.
pub const SETTING: &str = r#"POST /_electric/entity-types

{"name":"t","description":"d","default_dispatch_policy":{"targets":[{"type":"webhook","url":"https://agent.test/t","subscription_id":"t"}]},"permission_grants":[{"subject_kind":"principal_kind","subject_value":"user","permission":"spawn"}]}
---
PUT /_electric/entities/t/a

{}
---
PUT /s
content-type: application/json

[{"type":"run","key":"k","value":{},"headers":{"operation":"insert"}},2]
---
PUT /x
content-type: text/plain

text
---
PUT /f
stream-forked-from: /s

---
PUT /__ds/subscriptions/p

{"type":"pull-wake","pattern":"x/**","streams":["s"],"wake_stream":"wake/p"}
---
PUT /__ds/subscriptions/w

{"type":"webhook","streams":["x"],"webhook":{"url":"https://agent.test/w"}}
---
POST /_electric/entities/t/a/send

{"payload":1}
"#;
