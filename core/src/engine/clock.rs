//! The virtual clock of a development server: a request moves it, and what falls due on the way runs at its own moment.

use http::StatusCode;

use super::{Command, Cost, Engine, Fate, Reply, Ticket, Turn, dress, unavailable};
use crate::config::{Config, Virtual};
use crate::effect::Effect;
use crate::entropy::Entropy;
use crate::http::{Advance, Handler, Request, Response, route};
use crate::limits::ADVANCE;
use crate::schedule;
use crate::store::{Clock, Read, Sql, SqlError, Tx};
use crate::time::Time;

/// A request that moves the virtual clock.
pub(super) fn clock_route<'c>(config: &Config, command: &'c Command) -> Option<(Ticket, &'c Request, Advance)> {
    let Command::Request { ticket, request } = command else { return None };
    match route(config, &request.method, &request.path).handler {
        Handler::Clock(advance) => Some((*ticket, request, advance)),
        _ => None,
    }
}

impl<S: Sql> Engine<S> {
    /// Answers a request that moves the virtual clock: each timer runs at its own moment, as carefully as after a trap,
    /// so that a row which traps holds up nobody on any host.
    pub(super) fn move_clock(&mut self, command: &Command) -> Option<Turn> {
        let (ticket, request, advance) = clock_route(&self.config, command)?;
        let answer = match advance(request, &self.config, self.memory.clock.get().now) {
            Ok(target) => self.run_until(target),
            Err(refusal) => Ok((refusal.response(), Turn::default())),
        };
        let (mut response, mut turn) = answer.unwrap_or_else(|_| (unavailable(), Turn::default()));
        dress(&mut response, request, &self.config, Cost::default());
        turn.replies.push((ticket, Reply::Whole(response)));
        turn.next_deadline = self.next_deadline().ok().flatten();
        Some(turn)
    }

    fn run_until(&mut self, target: Time) -> Result<(Response, Turn), SqlError> {
        let entropy = self.config.virtual_time.as_ref().map_or(Entropy::new([0; 32]), Virtual::entropy);
        let mut turn = Turn::default();
        for _ in 0..ADVANCE {
            let Some(due) = self.next_deadline()?.filter(|due| *due <= target) else { break };
            let clock = self.memory.clock.get();
            let now = clock.now.max(due);
            self.memory.clock.set(Clock { now, ..clock });
            for row in Read::new(&self.sql, &self.config, now).due_timers(now, TICK)? {
                self.run_carefully(&row, now, entropy, &mut turn)?;
            }
            turn.absorb(self.transact_one(now, |batch, scratch| match batch.give_up_waiting(&entropy, scratch) {
                Fate::Done => schedule::run_waiting(&batch.handle(&entropy), scratch),
                Fate::Spoiled => Fate::Spoiled,
            }));
        }
        let clock = self.memory.clock.get();
        let clock = Clock { now: clock.now.max(target), ..clock };
        Tx::write_clock_row(&Read::new(&self.sql, &self.config, clock.now), &clock)?;
        self.memory.clock.set(clock);
        turn.effects.push(Effect::clock(clock.now));
        Ok((Response::json(StatusCode::OK, &serde_json::json!({ "now": clock.now })), turn))
    }
}

/// How many due rows one step looks at.
const TICK: usize = 64;
