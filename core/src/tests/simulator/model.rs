//! What the cluster must be: entities as their histories say, written without a look at the engine.

use super::cluster::Cluster;
use super::stories;
use crate::entity::Status;
use crate::limits::LEASE;
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
    /// The wake rows that it is owed: source and collection.
    pub(super) wakes: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Webhook,
    Runner(usize),
}

pub(super) struct Current {
    pub(super) wake: String,
    pub(super) generation: i64,
    /// The newest delivery.
    pub(super) attempt: i64,
    /// Until when it is held, if it is.
    pub(super) lease: Option<Time>,
}

/// Who waits for what.
pub(super) struct Registration {
    pub(super) subscriber: usize,
    pub(super) source: String,
    pub(super) condition: Condition,
    pub(super) key: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    RunFinished,
    Change,
    Named(&'static str),
}

/// A message that will arrive.
pub(super) struct Delayed {
    pub(super) due: Time,
    pub(super) entity: usize,
    pub(super) number: u64,
    pub(super) waits: bool,
}

/// An event as conditions see it.
pub(super) struct Change {
    pub(super) kind: &'static str,
    pub(super) finishes: bool,
}

/// Who appended: an agent under its claim, anybody else, or the server itself.
#[derive(Clone, Copy)]
pub(super) enum Author {
    Agent(usize),
    Outside,
    Server,
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
            current.lease = Some(now + LEASE);
        }
    }

    pub(super) fn run(&mut self) {
        if self.status == Status::Idle {
            self.status = Status::Running;
        }
    }

    /// It was paused, and is no longer.
    fn go_on(&mut self) {
        self.status = if stories::CONTINUED_RUNS && self.is_held() { Status::Running } else { Status::Idle };
    }

    pub(super) fn say(&mut self, offset: i64) {
        self.said = self.said.max(offset);
    }
}

impl Current {
    /// A webhook tells of a wake: of the one in flight once more, or of the next.
    pub(super) fn told(current: &mut Option<Self>, last: &mut i64, wake: &str, generation: i64, attempt: i64) {
        match current {
            Some(current) => {
                assert_eq!(generation, current.generation, "a webhook while another wake is in flight");
                assert_eq!(wake, current.wake);
                assert!(current.lease.is_none(), "a webhook for a wake that is held");
                assert!(attempt > current.attempt, "an attempt that there was");
                current.attempt = attempt;
            }
            None => {
                assert!(generation > *last, "a generation that there was");
                *last = generation;
                *current = Some(Self { wake: wake.to_owned(), generation, attempt, lease: None });
            }
        }
    }
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
        self.entities[entity].current = None;
        let url = self.entities[entity].url.clone();
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
        self.changed(&url, Author::Outside, &[Change { kind: "signal", finishes: false }]);
    }

    /// A message has arrived.
    pub(super) fn arrive(&mut self, entity: usize, number: u64, waits: bool) {
        let it = &mut self.entities[entity];
        if it.status == Status::Paused && !waits {
            it.go_on();
        }
        it.inbox.push(number);
        let url = it.url.clone();
        self.changed(&url, Author::Server, &[Change { kind: "inbox", finishes: false }]);
    }

    /// Events were appended to a source: whoever waits for them is owed a wake row.
    pub(super) fn changed(&mut self, source: &str, author: Author, changes: &[Change]) {
        for registration in self.registrations.iter().filter(|r| r.source == source) {
            let subscriber = &mut self.entities[registration.subscriber];
            if !subscriber.accepts() || matches!(author, Author::Agent(me) if me == registration.subscriber) {
                continue;
            }
            let named_only = matches!(author, Author::Server);
            for change in changes {
                let collection = match registration.condition {
                    Condition::RunFinished => (change.finishes && !named_only).then_some("runs"),
                    Condition::Change => (!named_only).then_some(change.kind),
                    Condition::Named(kind) => (change.kind == kind).then_some(kind),
                };
                subscriber.wakes.extend(collection.map(|c| (source.to_owned(), c.to_owned())));
            }
        }
    }

    /// Everything that is due by now has happened: leases have ended, messages have come.
    pub(super) fn lapse(&mut self) {
        let now = self.world.now;
        for entity in 0..self.entities.len() {
            let lease = self.entities[entity].current.as_ref().and_then(|c| c.lease);
            if lease.is_some_and(|until| until <= now) {
                self.end(entity);
            }
        }
        for watcher in &mut self.watchers {
            watcher.current.take_if(|c| c.lease.is_some_and(|until| until <= now));
        }
        self.delayed.sort_by_key(|d| d.due);
        while self.delayed.first().is_some_and(|d| d.due <= now) {
            let Delayed { entity, number, waits, .. } = self.delayed.remove(0);
            if self.entities[entity].accepts() {
                self.arrive(entity, number, waits);
            }
        }
    }
}

impl Registration {
    /// Puts it in its place among others (wake specification, section 1.1; the last write under a manifest key wins).
    pub(super) fn put(self, among: &mut Vec<Self>) {
        let alike = |r: &Self| r.source == self.source && r.condition == self.condition;
        let rivals = |r: &Self| r.subscriber == self.subscriber && r.key == self.key;
        if among.iter().any(|r| rivals(r) && alike(r)) {
            return;
        }
        if !self.key.is_empty() {
            among.retain(|r| !rivals(r));
        }
        among.push(self);
    }
}

/// How long a message may be on its way.
pub(super) const DELAY: Span = Span::secs(90);
