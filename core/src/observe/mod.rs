//! Observation: streams that the server writes about what others do. Today those of entities that have some tags.

pub(crate) mod members;
mod reference;

pub use reference::{fnv64, membership_ref};
