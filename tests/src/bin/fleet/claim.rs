//! A claim as its holder sees it: when each request under it left, and when it was answered.

use std::time::{Duration, Instant};

/// A claim that succeeded, and all that was asked under it.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    /// The URL of the entity.
    pub(crate) entity: String,
    /// The generation of the wake.
    pub(crate) epoch: u64,
    /// The claim itself, and what followed.
    pub(crate) asked: Vec<Asked>,
    /// The messages that it read, which its done acknowledges.
    pub(crate) messages: Vec<u64>,
}

/// A request under a claim.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) what: What,
    pub(crate) sent: Instant,
    pub(crate) answered: Instant,
    /// It did what it asks for; otherwise it was refused as a claim's that is over.
    pub(crate) accepted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Claim,
    Token,
    Heartbeat,
    Write,
    Done,
}

impl Claim {
    /// When its holder knew of it.
    pub(crate) fn known(&self) -> Instant {
        self.asked[0].answered
    }

    /// Its done, if that was accepted.
    pub(crate) fn done(&self) -> Option<&Asked> {
        self.asked.iter().find(|asked| asked.accepted && asked.what == What::Done)
    }

    /// Whether it may have been over at a moment: its done was on its way, or its lease had ended.
    pub(crate) fn may_be_over(&self, at: Instant) -> bool {
        self.done().is_some_and(|done| done.sent <= at) || self.lease_end(at) <= at + SLACK
    }

    /// The earliest end that its lease can have had at a moment.
    fn lease_end(&self, at: Instant) -> Instant {
        let extends = |asked: &&Asked| asked.accepted && asked.what != What::Write && asked.sent <= at;
        let last = self.asked.iter().rfind(extends).unwrap_or(&self.asked[0]);
        last.sent + LEASE
    }
}

/// How long an entity's wake is leased for.
pub(crate) const LEASE: Duration = Duration::from_secs(30);
/// How much the server's clock may differ from ours over a lease.
const SLACK: Duration = Duration::from_millis(250);
