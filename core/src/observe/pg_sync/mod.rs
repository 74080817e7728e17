//! Shapes of Postgres tables: what changes in one is appended to a stream of ours, where it wakes like any other append.
//! Where the reading stands is committed with what was read, so that a restart loses no change and repeats none (wake
//! specification, section 7.3; control plane, section 13).

mod follow;
mod options;
mod page;
mod register;
mod unobserve;
mod value;

pub(crate) use follow::{answered, due, is_observed, rearmed};
pub(crate) use register::{Probe, register};
pub(crate) use unobserve::unobserve;

/// The stream of a shape.
pub(crate) fn path(reference: &str) -> String {
    format!("{PREFIX}{}/{reference}", options::TENANT)
}

/// The name of the shape whose stream stands at a path below [`PREFIX`].
pub(crate) fn reference_of(path: &str) -> Option<&str> {
    path.strip_prefix(PREFIX).map(|rest| rest.split_once('/').map_or("", |(_, reference)| reference))
}

/// Where the streams of shapes stand.
const PREFIX: &str = "/_electric/pg-sync/";
