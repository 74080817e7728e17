//! Commands that wait for an effect, as values. They hold nothing; on resumption everything is checked again.

use crate::effect::{Fetch, Fetched};
use crate::engine::{Done, Reply};
use crate::entity::register::Discovery;
use crate::http::{Error, dress};
use crate::store::Tx;
use crate::time::Time;

/// A command that waits.
#[derive(Clone, Debug)]
pub(crate) enum Pending {
    /// A type's registration waits for what its serve endpoint says about it.
    Discover(Discovery),
}

impl Pending {
    /// The effect that it waits for.
    pub(crate) fn fetch(&self, number: u64) -> Fetch {
        match self {
            Self::Discover(discovery) => discovery.fetch(number),
        }
    }

    /// When it has waited too long.
    pub(crate) fn deadline(&self) -> Time {
        match self {
            Self::Discover(discovery) => discovery.deadline,
        }
    }

    /// Goes on with what came.
    pub(crate) fn resume(&self, tx: &Tx<'_>, result: &Fetched) -> Result<Done, Error> {
        match self {
            Self::Discover(discovery) => discovery.resume(tx, result),
        }
    }

    /// Puts on what every answer wears.
    pub(crate) fn dress(&self, mut reply: Reply) -> Reply {
        if let Reply::Whole(response) = &mut reply {
            match self {
                Self::Discover(_) => dress(response, "/_electric/entity-types"),
            }
        }
        reply
    }
}
