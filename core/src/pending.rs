//! Commands that wait, for an effect or for a moment, as values. They hold nothing; on resumption everything is checked
//! again.

use crate::effect::{Fetch, Fetched};
use crate::engine::{Done, Reply};
use crate::entity::fork::Waiting;
use crate::entity::register::Discovery;
use crate::http::{Error, dress};
use crate::observe::pg_sync::Probe;
use crate::store::Tx;
use crate::time::Time;

/// A command that waits.
#[derive(Clone, Debug)]
pub(crate) enum Pending {
    /// A type's registration waits for what its serve endpoint says about it.
    Discover(Discovery),
    /// A shape that is to be followed waits for the shape's first answer.
    Probe(Box<Probe>),
    /// A fork waits for the entities that it copies to be idle.
    Fork(Box<Waiting>),
}

impl Pending {
    /// Whether it waits for an effect, and not for a moment.
    pub(crate) fn has_effect(&self) -> bool {
        !matches!(self, Self::Fork(_))
    }

    /// Whether it keeps more in memory than what was asked for.
    pub(crate) fn keeps(&self) -> bool {
        matches!(self, Self::Fork(waiting) if waiting.keeps())
    }

    /// The same without that: it begins anew a little later.
    pub(crate) fn stand_back(self, now: Time) -> Self {
        match self {
            Self::Fork(waiting) => Self::Fork(Box::new(waiting.stand_back(now))),
            other => other,
        }
    }

    /// The effect that it waits for, if it waits for one.
    pub(crate) fn fetch(&self, number: u64) -> Option<Fetch> {
        match self {
            Self::Discover(discovery) => Some(discovery.fetch(number)),
            Self::Probe(probe) => Some(probe.fetch(number)),
            Self::Fork(_) => None,
        }
    }

    /// When it has waited too long; without an effect, when it looks again.
    pub(crate) fn deadline(&self) -> Time {
        match self {
            Self::Discover(discovery) => discovery.deadline,
            Self::Probe(probe) => probe.deadline,
            Self::Fork(waiting) => waiting.look_at,
        }
    }

    /// Goes on with what came: nothing, when it waited for a moment.
    pub(crate) fn resume(&self, tx: &Tx<'_>, result: &Fetched) -> Result<Done, Error> {
        match self {
            Self::Discover(discovery) => discovery.resume(tx, result),
            Self::Probe(probe) => probe.resume(tx, result),
            Self::Fork(waiting) => waiting.resume(tx),
        }
    }

    /// Puts on what every answer wears.
    pub(crate) fn dress(&self, mut reply: Reply) -> Reply {
        if let Reply::Whole(response) = &mut reply {
            match self {
                Self::Discover(_) => dress(response, "/_electric/entity-types"),
                Self::Probe(_) => dress(response, "/_electric/pg-sync/register"),
                Self::Fork(_) => dress(response, "/_electric/entities"),
            }
        }
        reply
    }
}
