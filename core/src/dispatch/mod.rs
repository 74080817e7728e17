//! Dispatch: who runs an entity. Policies and the subscriptions they stand for, the machine that a dispatch is and its
//! journal, what a delivery carries, claims and the write tokens they give out, runners.

mod budget;
pub(crate) mod callback;
pub mod check;
pub(crate) mod dead;
pub(crate) mod enrich;
pub(crate) mod explain;
pub(crate) mod journal;
pub(crate) mod link;
pub(crate) mod lock;
pub mod machine;
mod policy;
pub mod runner;
pub(crate) mod status;
pub(crate) mod write_token;

pub use budget::Budget;
pub use policy::{Policy, Target, resolve, subscription_id};
