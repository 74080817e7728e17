//! Entities: types, spawning, sending, status and its end.

mod inbox;
pub(crate) mod kill;
pub(crate) mod register;
pub(crate) mod send;
pub(crate) mod show;
pub(crate) mod spawn;
mod status;
pub(crate) mod types;
mod view;

pub(crate) use kill::terminate;
pub use status::{Change, Signal, Status, signal};
pub(crate) use types::Definition;
pub(crate) use view::raw;
