//! Observation: streams about what others do: which entities have some tags, what changes in a shape of a Postgres table,
//! what comes by webhooks.

pub(crate) mod asleep;
pub(crate) mod members;
pub(crate) mod pg_sync;
mod reference;
pub mod webhook_sources;

pub use reference::{fnv64, membership_ref};
