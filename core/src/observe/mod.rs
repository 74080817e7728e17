//! Observation: streams that the server writes about what others do: which entities have some tags, and what changes in a
//! shape of a Postgres table.

pub(crate) mod asleep;
pub(crate) mod members;
pub(crate) mod pg_sync;
mod reference;

pub use reference::{fnv64, membership_ref};
