//! Reading: requests on read routes and live reads, answered from what is committed.
//!
//! It is a connection of its own in an instance of its own, so that a command which traps takes no reader with it.

use reveille_core::store::SqlError;
use reveille_core::stream::{Next, Offset};
use reveille_core::{Config, Live, Notify, Reply, Time, Topic, Touch, engine};
use wasm_bindgen::prelude::*;

use crate::config::{Settings, config};
use crate::message::{Reading, lines, parts, request, topic, topic_number};
use crate::sql::{Database, JsSql};

/// The reading side of a tenant. Times are milliseconds since the epoch.
#[wasm_bindgen]
pub struct Reader {
    sql: JsSql,
    config: Config,
    lives: Vec<Option<Box<Live>>>,
    free: Vec<u32>,
    notice: Option<Notify>,
}

#[wasm_bindgen]
impl Reader {
    /// Reads `database`, which a `Tenant` has opened before.
    ///
    /// # Errors
    /// When the settings are wrong.
    pub fn open(database: Database, settings: &Settings) -> Result<Reader, JsError> {
        Ok(Self {
            sql: JsSql::new(database),
            config: config(settings)?,
            lives: Vec::new(),
            free: Vec::new(),
            notice: None,
        })
    }

    /// Answers a request on a read route by `respond` of `reading`, or by `live`; false when its route writes.
    #[allow(clippy::too_many_arguments, reason = "the fields of `Request`")]
    pub fn read(
        &mut self,
        method: &str,
        path: String,
        query: String,
        headers: &str,
        body: Vec<u8>,
        by: Option<String>,
        origin: Option<String>,
        now: f64,
        reading: &Reading,
    ) -> bool {
        let request = request(method, path, query, headers, body, by.as_deref(), origin);
        let Some((reply, touch)) = engine::read(&self.sql, &self.config, &request, time(now)) else { return false };
        touched(touch, reading);
        match reply {
            Reply::Whole(response) => {
                let (status, headers, body) = parts(response);
                reading.respond(status, headers, body);
            }
            Reply::Live(live) => {
                let mut topics: Vec<f64> = live.topics().into_iter().map(topic_number).collect();
                if self.config.virtual_time.is_some() {
                    topics.push(topic_number(Topic::Clock));
                }
                reading.live(self.keep(live), topics);
            }
        }
        true
    }

    /// Hands the next piece of a live read to `reading`.
    pub fn next(&mut self, live: u32, now: f64, reading: &Reading) {
        let Some(live) = self.lives.get_mut(live as usize).and_then(Option::as_mut) else { return };
        match engine::next(&self.sql, &self.config, live, time(now)) {
            Ok((next, touch)) => {
                touched(touch, reading);
                self.hand(next, time(now), reading);
            }
            Err(SqlError { message }) => reading.failed(message),
        }
    }

    /// Takes what has moved, to be offered to the live reads that wait for its topic.
    pub fn notice(&mut self, topic: f64, from: f64, to: f64, bytes: Option<Vec<u8>>) {
        let (from, to) = (Offset::at(from as i64), Offset::at(to as i64));
        self.notice = Some(Notify { topic: self::topic(topic), from, to, bytes: bytes.map(Into::into) });
    }

    /// Offers the last notice to a live read; false when it must ask with `next`.
    pub fn accept(&mut self, live: u32, now: f64, reading: &Reading) -> bool {
        let live = self.lives.get_mut(live as usize).and_then(Option::as_mut);
        let (Some(live), Some(notice)) = (live, &self.notice) else { return false };
        let Some(next) = live.accept(notice) else { return false };
        self.hand(next, time(now), reading);
        true
    }

    /// Forgets a live read. Its number may name another afterwards.
    pub fn forget(&mut self, live: u32) {
        if self.lives.get_mut(live as usize).and_then(Option::take).is_some() {
            self.free.push(live);
        }
    }

    fn hand(&self, next: Next, now: Time, reading: &Reading) {
        match next {
            Next::Open(response) => reading.open(response.status.as_u16(), lines(&response.headers)),
            Next::Respond(response) => {
                let (status, headers, body) = parts(response);
                reading.respond(status, headers, body);
            }
            Next::Send(bytes) => reading.send(bytes),
            Next::Finish(bytes) => reading.finish(bytes),
            // No moment of virtual time comes by itself.
            Next::Wait(until) => {
                reading.wait(self.config.virtual_time.is_none().then(|| until.since(now).as_millis() as f64))
            }
        }
    }

    fn keep(&mut self, live: Box<Live>) -> u32 {
        if let Some(number) = self.free.pop() {
            self.lives[number as usize] = Some(live);
            return number;
        }
        self.lives.push(Some(live));
        u32::try_from(self.lives.len() - 1).expect("fewer live reads than memory has bytes")
    }
}

fn touched(touch: Option<Touch>, reading: &Reading) {
    if let Some(touch) = touch {
        reading.touch(touch.number() as f64);
    }
}

fn time(millis: f64) -> Time {
    Time::from_millis(millis as i64)
}
