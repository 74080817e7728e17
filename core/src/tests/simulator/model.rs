//! What the cluster must be: entities as their histories say, written without a look at the engine.

use serde_json::Value as Json;

use super::cluster::Cluster;
use super::members::{self, Tags};
use super::registrations::Change;
use super::sources;
use crate::dispatch::Budget;
use crate::entity::Status;
use crate::limits::{DELIVERIES, FAN_OUT, FETCH_SLACK, FETCH_TIME, LEASE};
use crate::{Span, Time};

pub(super) struct Entity {
    pub(super) url: String,
    pub(super) target: Target,
    pub(super) status: Status,
    /// The wake that somebody was told of and that is not over.
    pub(super) current: Option<Current>,
    /// The highest generation that anybody was told of.
    pub(super) generation: i64,
    /// How far an agent has said, or was taken to have said, that it has seen everything.
    pub(super) said: i64,
    /// How far the engine has it, as of the last check.
    pub(super) acked: i64,
    /// The messages that were taken and have arrived.
    pub(super) inbox: Vec<u64>,
    /// What was appended under a write token that was good.
    pub(super) notes: Vec<String>,
    /// The wake rows that it is owed.
    pub(super) wakes: Vec<Row>,
    /// Those that it has or has not: their source ended at the moment at which they were due.
    pub(super) perhaps: Vec<Row>,
    /// Until when a fork reads it, if one does.
    pub(super) locked: Option<Time>,
    /// Its dispatch was given up.
    pub(super) dead: bool,
    /// The generations that somebody took, and when.
    pub(super) claims: Vec<(i64, Time)>,
    pub(super) allowance: Allowance,
    pub(super) tags: Tags,
    /// Whom it is below.
    pub(super) parent: Option<usize>,
    /// What its messages were changed to, or that they were taken back.
    pub(super) edits: Vec<Json>,
}

/// A wake row: whether it says that nothing came, and otherwise the changes that it carries, in order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    pub(super) source: String,
    pub(super) timeout: bool,
    pub(super) changes: Vec<String>,
}

/// How much of its budget of wakes an entity has left: at most and at least, since nobody says when each wake began.
#[derive(Clone, Copy)]
pub(super) struct Allowance {
    most: i64,
    least: i64,
    /// As of when, and up to which generation.
    at: Time,
    generation: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Webhook,
    Runner(usize),
}

pub(super) struct Current {
    pub(super) wake: String,
    pub(super) generation: i64,
    /// The newest delivery, and when it left.
    pub(super) attempt: i64,
    pub(super) sent: Time,
    /// Until when it is held, if it is.
    pub(super) lease: Option<Time>,
}

/// A message that will arrive.
pub(super) struct Delayed {
    /// When it was to arrive, and when it does.
    pub(super) asked: Time,
    pub(super) due: Time,
    pub(super) entity: usize,
    pub(super) number: u64,
    pub(super) waits: bool,
    /// Whose manifest has it, and under which name.
    pub(super) of: Option<(usize, &'static str)>,
}

/// Who appended: an agent under its claim, anybody else, or the server itself.
#[derive(Clone, Copy)]
pub(super) enum Author {
    Agent(usize),
    Outside,
    Server,
    /// The server, about an entity.
    About(usize),
}

impl Entity {
    pub(super) fn path(&self) -> String {
        format!("{}/main", self.url)
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.status, Status::Stopped | Status::Killed)
    }

    pub(super) fn accepts(&self) -> bool {
        !self.is_over() && self.status != Status::Stopping
    }

    pub(super) fn dispatches(&self) -> bool {
        matches!(self.status, Status::Idle | Status::Running)
    }

    /// Whether it may be woken now.
    pub(super) fn admits(&self) -> bool {
        self.dispatches() && self.locked.is_none()
    }

    pub(super) fn is_held(&self) -> bool {
        self.current.as_ref().is_some_and(|c| c.lease.is_some())
    }

    /// Whether a wake is neither over nor replaced.
    pub(super) fn is_current(&self, wake: &str, generation: i64) -> bool {
        self.current.as_ref().is_some_and(|c| c.wake == wake && c.generation == generation)
    }

    /// Its wake is taken, or kept.
    pub(super) fn hold(&mut self, now: Time) {
        if let Some(current) = &mut self.current {
            if current.lease.is_none() {
                self.claims.push((current.generation, now));
            }
            current.lease = Some(now + LEASE);
        }
    }

    /// Nobody took its wake, however often it was announced.
    pub(super) fn give_up(&mut self) {
        self.current = None;
        self.dead = true;
    }

    pub(super) fn run(&mut self) {
        if self.status == Status::Idle {
            self.status = Status::Running;
        }
    }

    /// It was paused, and is no longer.
    fn go_on(&mut self) {
        self.status = if self.is_held() { Status::Running } else { Status::Idle };
    }

    pub(super) fn say(&mut self, offset: i64) {
        self.said = self.said.max(offset);
    }
}

impl Current {
    /// A webhook tells of a wake: of the one in flight once more, or of the next.
    pub(super) fn told(
        current: &mut Option<Self>,
        last: &mut i64,
        wake: &str,
        (generation, attempt): (i64, i64),
        sent: Time,
    ) {
        match current {
            Some(current) => {
                assert_eq!(generation, current.generation, "a webhook while another wake is in flight");
                assert_eq!(wake, current.wake);
                assert!(current.lease.is_none(), "a webhook for a wake that is held");
                assert!(attempt > current.attempt, "an attempt that there was");
                (current.attempt, current.sent) = (attempt, sent);
            }
            None => {
                assert!(generation > *last, "a generation that there was");
                *last = generation;
                *current = Some(Self { wake: wake.to_owned(), generation, attempt, sent, lease: None });
            }
        }
    }
}

impl Current {
    /// Whether its last delivery was the last, and no answer to it came in time.
    fn is_lost(&self, now: Time) -> bool {
        self.lease.is_none() && self.attempt >= DELIVERIES && self.sent + FETCH_TIME + FETCH_SLACK <= now
    }
}

impl Allowance {
    pub(super) fn new(budget: Budget, at: Time) -> Self {
        let full = price(budget) * budget.at_once();
        Self { most: full, least: full, at, generation: 0 }
    }

    /// Takes what is seen: how many wakes there were by now. Says whether the next must wait for its turn, for all that is
    /// known; `None` when there were too many.
    pub(super) fn see(&mut self, budget: Budget, generation: i64, now: Time) -> Option<bool> {
        let (price, full) = (price(budget), price(budget) * budget.at_once());
        let (passed, spent) = (now.since(self.at).as_millis().max(0), price * (generation - self.generation));
        let most = self.most + passed - spent;
        let least = (self.least + passed).min(full) - spent;
        *self = Self { most: most.min(full), least, at: self.at.max(now), generation };
        (most >= 0).then_some(least < price)
    }
}

/// What a wake costs: how long it takes until there may be one more.
fn price(budget: Budget) -> i64 {
    60_000_i64.checked_div(i64::from(budget.wakes_a_minute())).unwrap_or(0)
}

/// The status after a signal (wake specification, section 0.5).
pub(super) fn signalled(status: Status, signal: &str) -> Status {
    match (status, signal) {
        (_, "SIGKILL") => Status::Killed,
        (Status::Idle | Status::Paused, "SIGTERM") => Status::Stopped,
        (Status::Running, "SIGTERM") => Status::Stopping,
        (Status::Idle | Status::Running, "SIGSTOP") => Status::Paused,
        (Status::Paused, "SIGCONT") => Status::Idle,
        (unchanged, _) => unchanged,
    }
}

impl Cluster {
    /// A wake is over: whoever runs the entity does so no longer.
    pub(super) fn end(&mut self, entity: usize) {
        let it = &mut self.entities[entity];
        it.current = None;
        match it.status {
            Status::Running => it.status = Status::Idle,
            Status::Stopping => {
                it.status = Status::Stopped;
                self.bury(entity);
            }
            _ => {}
        }
    }

    /// An entity has ended: nobody waits for it, and it waits for nobody.
    pub(super) fn bury(&mut self, entity: usize) {
        let it = &mut self.entities[entity];
        (it.current, it.dead) = (None, false);
        let url = it.url.clone();
        self.part(&url);
        self.registrations.retain(|r| r.subscriber != entity && r.source != url);
    }

    /// A signal was taken.
    pub(super) fn signal(&mut self, entity: usize, signal: &str) {
        let it = &mut self.entities[entity];
        let before = it.status;
        it.status = signalled(before, signal);
        if it.is_over() {
            self.bury(entity);
            return;
        }
        if before == Status::Paused && it.status == Status::Idle {
            it.go_on();
        }
        if it.status == Status::Paused && before != Status::Paused && !it.is_held() {
            it.current = None;
        }
        let url = it.url.clone();
        self.changed(&url, Author::Outside, &[Change::of("signal", "")]);
    }

    /// A message has arrived.
    pub(super) fn arrive(&mut self, entity: usize, number: u64, waits: bool) {
        let it = &mut self.entities[entity];
        if it.status == Status::Paused && !waits {
            it.go_on();
        }
        it.inbox.push(number);
        let url = it.url.clone();
        self.changed(&url, Author::Server, &[Change::of("inbox", &number.to_string())]);
    }

    /// What was to arrive at an entity by now arrives: its lock was taken away.
    pub(super) fn land(&mut self, entity: usize) {
        let now = self.world.now;
        self.delayed.sort_by_key(|d| d.asked);
        let (due, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.delayed).into_iter().partition(|d| d.entity == entity && d.asked <= now);
        self.delayed = later;
        for sent in due {
            self.come(&sent);
        }
    }

    /// A message comes, unless nobody takes it any more; and whoever scheduled it is told what became of it.
    fn come(&mut self, sent: &Delayed) {
        // What a row schedules is sent once, though a copy's row schedules it, too.
        let known = sent.of.is_some() && self.entities[sent.entity].inbox.contains(&sent.number);
        if self.entities[sent.entity].accepts() && !known {
            self.arrive(sent.entity, sent.number, sent.waits);
        }
        if let Some((owner, id)) = sent.of
            && !self.entities[owner].is_over()
        {
            self.rewrite(owner, id);
        }
    }

    /// What a schedule was is undone, as far as it observes.
    pub(super) fn unschedule(&mut self, owner: usize, id: &str) {
        self.doubt_itself(owner, id);
        let key = format!("schedule:{id}");
        self.registrations.retain(|r| r.subscriber != owner || r.key != key);
    }

    /// A row of a manifest takes the place of a registration that waits for such rows. Where an append is told a few at a
    /// time, it may be gone before its turn comes.
    pub(super) fn doubt_itself(&mut self, owner: usize, id: &str) {
        let it = &mut self.entities[owner];
        let (key, source) = (format!("schedule:{id}"), it.url.clone());
        let mut held = self.registrations.iter().filter(|r| r.subscriber == owner && r.key == key);
        if self.world.engine.config().fan_out == FAN_OUT || !held.any(|r| r.source == source) {
            return;
        }
        let row = Row { source, timeout: false, changes: vec![format!("manifest {key}")] };
        if let Some(at) = it.wakes.iter().rposition(|owed| *owed == row) {
            it.perhaps.push(it.wakes.remove(at));
        }
    }

    /// A row of a manifest is written.
    pub(super) fn rewrite(&mut self, owner: usize, id: &str) {
        let url = self.entities[owner].url.clone();
        self.changed(&url, Author::Server, &[Change::of("manifest", &format!("schedule:{id}"))]);
    }

    /// Everything that is due by now has happened: leases and locks have ended, messages have come, what was gathered and
    /// what never came has been told.
    pub(super) fn lapse(&mut self) {
        let now = self.world.now;
        // What is due while its entity is locked arrives when that ends.
        for sent in &mut self.delayed {
            if let Some(until) = self.entities[sent.entity].locked {
                sent.due = sent.due.max(until);
            }
        }
        for entity in 0..self.entities.len() {
            let it = &mut self.entities[entity];
            it.locked.take_if(|until| *until <= now);
            if it.current.as_ref().is_some_and(|c| c.is_lost(now)) {
                it.give_up();
            }
            let lease = it.current.as_ref().and_then(|c| c.lease);
            if lease.is_some_and(|until| until <= now) {
                let chains = self.due_chains();
                self.end(entity);
                self.doubt(&chains);
            }
        }
        for watcher in &mut self.watchers {
            watcher.current.take_if(|c| c.lease.is_some_and(|until| until <= now));
        }
        self.delayed.sort_by_key(|d| (d.due, d.asked));
        loop {
            let sent = self.delayed.first().map(|d| d.due).filter(|due| *due <= now);
            let others = sent.into_iter().chain(self.next_tick().map(|(due, _)| due)).min();
            if let Some((due, _)) =
                sources::next(self).filter(|(due, _)| *due <= now && others.is_none_or(|o| *due < o))
            {
                self.ring(due + Span::millis(1));
                sources::lapse(self);
                continue;
            }
            match self.next_tick().filter(|(due, _)| *due <= now && sent.is_none_or(|sent| *due < sent)) {
                Some((due, chain)) => {
                    self.ring(due + Span::millis(1));
                    self.strike(chain);
                }
                None if sent.is_some() => {
                    let sent = self.delayed.remove(0);
                    self.ring(sent.due);
                    self.come(&sent);
                }
                None => break,
            }
        }
        self.ring(now + Span::millis(1));
        members::lapse(self);
        self.shape.lapse(now);
    }
}

/// How long a message may be on its way.
pub(super) const DELAY: Span = Span::secs(90);
