//! Wakes: when an event matching a condition appears on a source, a row is written to the subscriber's stream, and that
//! is what wakes it.

mod condition;
pub mod debounce;
mod deliver;
mod evaluate;
pub(crate) mod fan_out;
mod finished;
mod manifest;
mod project;
pub(crate) mod register;
mod row;
mod source;
pub mod timeout;
mod why;

pub use condition::{Condition, Filter, Op};
pub(crate) use deliver::{release, wake};
pub use evaluate::{Change, Match, evaluate};
pub use manifest::{BadRow, Entry, Scheduled, Send, Wanted, manifest};
pub(crate) use project::project;
pub(crate) use source::{Source, project_runs};
pub use why::why_not;
