//! Entities: types, spawning, sending, status and its end.

mod collection;
mod composer;
mod inbox;
pub(crate) mod kill;
pub(crate) mod register;
mod schema;
pub(crate) mod send;
pub(crate) mod show;
mod slash_command;
pub(crate) mod spawn;
mod status;
mod type_schemas;
pub(crate) mod types;
pub(crate) mod validate;
mod view;

pub(crate) use kill::terminate;
pub(crate) use show::{EntityNotFound, find};
pub use status::{Change, Signal, Status, signal};
pub(crate) use types::Definition;
pub(crate) use view::raw;
