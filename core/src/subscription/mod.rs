//! Subscriptions: when a linked stream moves past what is acknowledged, somebody is told; until they are done, nobody
//! else is.
//!
//! One wake is in flight for a subscription at a time: announced by a webhook or on a wake stream, then leased to whoever
//! took it. What arrives meanwhile waits for the next wake, which is begun in the transaction that ends this one (stream
//! protocol, section 9.5). The one timer of a subscription announces again, or ends a lease.
//!
//! There are two kinds. A *plain* one is a client's: it follows streams and patterns, and is made, looked at and served
//! through `/__ds`. One that *dispatches* is made by the policy of an entity and follows that entity's main stream; its
//! claims also move the entity's status (`dispatch/`).

pub(crate) mod ack;
mod announce;
pub(crate) mod callback;
pub(crate) mod claim;
mod compact;
pub(crate) mod create;
pub(crate) mod delete;
mod delivered;
mod follow;
pub mod glob;
mod lease;
pub(crate) mod name;
pub(crate) mod rotate;
pub(crate) mod show;
pub(crate) mod signing;
pub(crate) mod streams;
pub(crate) mod token;
mod wake;

pub(crate) use delivered::delivered;
pub(crate) use follow::{has_come, match_patterns};
pub(crate) use lease::{Ending, buried, claim as take, due, end, hold, rearmed, shut, unlinked, wind};
pub(crate) use wake::{moved, primary, resume, revive, state, subscription_of};
