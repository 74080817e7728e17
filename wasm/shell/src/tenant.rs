//! The writing side of a tenant: its engine, and the commands that wait for its next batch.

use reveille_core::store::SqlError;
use reveille_core::{Answer, Command, Effect, EffectId, Engine, Entropy, Fetch, Reply, Ticket, Time, Touch, Turn};
use wasm_bindgen::prelude::*;

use crate::config::{Settings, config};
use crate::message::{Outbox, lines_of, parts, request, topic_number};
use crate::sql::{Database, JsSql};

/// A tenant's engine. Times are milliseconds since the epoch.
#[wasm_bindgen]
pub struct Tenant {
    engine: Engine<JsSql>,
    queue: Vec<Command>,
}

#[wasm_bindgen]
impl Tenant {
    /// Opens the engine on its database, with 32 bytes of entropy.
    ///
    /// # Errors
    /// When the settings are wrong or the database cannot be used; the message says which.
    pub fn open(database: Database, settings: &Settings, now: f64, entropy: &[u8]) -> Result<Tenant, JsError> {
        let engine = Engine::open(JsSql::new(database), config(settings)?, time(now), seed(entropy));
        let engine = engine.map_err(|error| JsError::new(&error.to_string()))?;
        Ok(Self { engine, queue: Vec::new() })
    }

    /// Puts a request into the next batch.
    #[allow(clippy::too_many_arguments, reason = "the fields of `Request`")]
    pub fn request(
        &mut self,
        ticket: f64,
        method: &str,
        path: String,
        query: String,
        headers: &str,
        body: Vec<u8>,
        by: Option<String>,
        origin: Option<String>,
    ) {
        let request = request(method, path, query, headers, body, by.as_deref(), origin);
        self.queue.push(Command::Request { ticket: Ticket(ticket as u64), request });
    }

    /// Puts a tick of at most `budget` timers into the next batch.
    pub fn tick(&mut self, budget: u32) {
        self.queue.push(Command::Tick { budget: budget as usize });
    }

    /// Puts the answer to a fetch into the next batch. `stale` says that an earlier instance asked for it: then what
    /// only that instance's memory knew is gone, and its name may mean something else by now. `headers` are those that
    /// were wanted, as lines.
    pub fn answered(&mut self, effect: &str, stale: bool, status: u16, headers: &str, body: Vec<u8>) {
        let pair = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), text(value)));
        let headers = headers.lines().filter_map(pair).collect();
        self.outcome(effect, stale, Ok(Answer { status, headers, body }));
    }

    /// Puts the failure of a fetch into the next batch; `stale` as in `answered`.
    pub fn unanswered(&mut self, effect: &str, stale: bool, message: String) {
        self.outcome(effect, stale, Err(message));
    }

    /// Puts into the next batch what a read wants remembered, by its number.
    pub fn touch(&mut self, number: f64) {
        self.queue.push(Command::Touch(Touch::of(number as i64)));
    }

    /// From now on no fetch starts: the host is about to close.
    pub fn stop(&mut self) {
        self.engine.stop();
    }

    /// Runs what is queued as one batch and hands everything to `out`.
    pub fn run(&mut self, now: f64, entropy: &[u8], out: &Outbox) {
        let commands = std::mem::take(&mut self.queue);
        let now = time(now);
        let turns = self.engine.batch(commands, now, seed(entropy));
        self.deliver(turns, now, out);
    }

    /// The first tick after a trap.
    #[wasm_bindgen(js_name = carefulTick)]
    pub fn careful_tick(&mut self, budget: u32, now: f64, entropy: &[u8], out: &Outbox) {
        let now = time(now);
        match self.engine.careful_tick(budget as usize, now, seed(entropy)) {
            Ok(turn) => self.deliver(vec![turn], now, out),
            Err(SqlError { message }) => out.failed(message),
        }
    }

    /// In how many milliseconds the next timer is due. A store that cannot say is asked again by the tick that follows
    /// at once.
    #[wasm_bindgen(js_name = nextDeadline)]
    pub fn next_deadline(&self, now: f64) -> Option<f64> {
        self.until_due(self.engine.next_deadline().unwrap_or(Some(Time::ZERO)), time(now))
    }

    /// The engine's own time: the host's, or the virtual clock's.
    pub fn now(&self, now: f64) -> f64 {
        self.engine.now(time(now)).as_millis() as f64
    }

    /// How many fetches are in flight.
    #[wasm_bindgen(js_name = inFlight)]
    pub fn in_flight(&self) -> u32 {
        u32::try_from(self.engine.in_flight()).unwrap_or(u32::MAX)
    }

    fn outcome(&mut self, effect: &str, stale: bool, result: Result<Answer, String>) {
        match effect.parse() {
            Ok(EffectId::Pending(_)) if stale => {}
            Ok(effect) => self.queue.push(Command::Outcome { effect, result }),
            Err(_) => {}
        }
    }

    fn deliver(&self, turns: Vec<Turn>, now: Time, out: &Outbox) {
        let deadline = turns.last().and_then(|turn| turn.next_deadline);
        let wrote = turns.iter().any(|turn| turn.cost.rows > 0);
        for turn in turns {
            for (Ticket(ticket), reply) in turn.replies {
                // A live read is a `Reader`'s: its routes do not write.
                let Reply::Whole(response) = reply else { continue };
                let (status, headers, body) = parts(response);
                out.reply(ticket as f64, status, headers, body);
            }
            for effect in turn.effects {
                match effect {
                    Effect::Fetch(effect) => fetch(effect, out),
                    Effect::Notify(notice) => {
                        let bytes = notice.bytes.map(|bytes| bytes.to_vec());
                        out.notify(
                            topic_number(notice.topic),
                            notice.from.bytes() as f64,
                            notice.to.bytes() as f64,
                            bytes,
                        );
                    }
                }
            }
        }
        out.deadline(self.until_due(deadline, now), wrote);
    }

    /// How long until a timer is due. In virtual time what is not due yet waits for its clock's own route, which runs
    /// what falls due.
    fn until_due(&self, deadline: Option<Time>, now: Time) -> Option<f64> {
        let wait = deadline?.since(self.engine.now(now)).as_millis() as f64;
        (wait == 0.0 || self.engine.config().virtual_time.is_none()).then_some(wait)
    }
}

fn fetch(fetch: Fetch, out: &Outbox) {
    let headers = lines_of(fetch.headers.iter().map(|(name, value)| (*name, value.as_bytes())));
    let size_limit = u32::try_from(fetch.size_limit).unwrap_or(u32::MAX);
    let time_limit = fetch.time_limit.as_millis() as f64;
    let (id, method, wanted) = (fetch.id.to_string(), fetch.method.as_str(), fetch.wanted.join(" "));
    out.fetch(id, method, fetch.url, headers, fetch.body, wanted, time_limit, size_limit);
}

/// A header's value, of which JavaScript shows each byte as a character.
fn text(value: &str) -> String {
    let bytes: Vec<u8> = value.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn time(millis: f64) -> Time {
    Time::from_millis(millis as i64)
}

fn seed(bytes: &[u8]) -> Entropy {
    let mut seed = [0; 32];
    let length = bytes.len().min(32);
    seed[..length].copy_from_slice(&bytes[..length]);
    Entropy::new(seed)
}
