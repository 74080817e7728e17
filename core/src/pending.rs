//! Commands that wait for an effect, as values. They hold nothing; on resumption everything is checked again.

use crate::effect::{Fetch, Fetched};
use crate::engine::{Done, Reply};
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
}

impl Pending {
    /// The effect that it waits for.
    pub(crate) fn fetch(&self, number: u64) -> Fetch {
        match self {
            Self::Discover(discovery) => discovery.fetch(number),
            Self::Probe(probe) => probe.fetch(number),
        }
    }

    /// When it has waited too long.
    pub(crate) fn deadline(&self) -> Time {
        match self {
            Self::Discover(discovery) => discovery.deadline,
            Self::Probe(probe) => probe.deadline,
        }
    }

    /// Goes on with what came.
    pub(crate) fn resume(&self, tx: &Tx<'_>, result: &Fetched) -> Result<Done, Error> {
        match self {
            Self::Discover(discovery) => discovery.resume(tx, result),
            Self::Probe(probe) => probe.resume(tx, result),
        }
    }

    /// Puts on what every answer wears.
    pub(crate) fn dress(&self, mut reply: Reply) -> Reply {
        if let Reply::Whole(response) = &mut reply {
            match self {
                Self::Discover(_) => dress(response, "/_electric/entity-types"),
                Self::Probe(_) => dress(response, "/_electric/pg-sync/register"),
            }
        }
        reply
    }
}
