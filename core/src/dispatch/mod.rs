//! Dispatch: who runs an entity. Policies and the subscriptions they stand for, what a delivery carries, claims and the
//! write tokens they give out, runners.

pub(crate) mod callback;
pub(crate) mod enrich;
pub(crate) mod link;
mod policy;
pub mod runner;
pub(crate) mod status;
pub(crate) mod write_token;

pub use policy::{Policy, Target, resolve, subscription_id};
