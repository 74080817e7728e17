//! Subscriptions: when a linked stream moves past what is acknowledged, somebody is told; until they are done, nobody
//! else is.
//!
//! One wake is in flight for a subscription at a time: announced by a webhook or on a runner's wake stream, then leased
//! to whoever took it. What arrives meanwhile waits for the next wake, which is begun in the transaction that ends this
//! one (stream protocol, section 9.5). The one timer of a subscription announces again, or ends a lease.

mod announce;
mod delivered;
mod lease;
pub(crate) mod signing;
pub(crate) mod token;
mod wake;

pub(crate) use delivered::delivered;
pub(crate) use lease::{buried, due, end, hold, park, rearmed};
pub(crate) use wake::{begin, moved, primary, resume, subscription_of};
