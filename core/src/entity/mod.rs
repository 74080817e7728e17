//! Entities: types, spawning, sending, status and its end.

pub(crate) mod added_rows;
pub(crate) mod amend;
pub(crate) mod attachments;
pub(crate) mod collection;
mod composer;
pub(crate) mod edit;
pub(crate) mod fork;
mod inbox;
pub(crate) mod kill;
pub(crate) mod manifest_row;
pub(crate) mod owner;
pub(crate) mod principal;
pub(crate) mod register;
mod sandbox;
mod save;
pub(crate) mod scheduled;
pub(crate) mod schedules;
mod schema;
pub(crate) mod send;
pub(crate) mod show;
mod slash_command;
pub(crate) mod spawn;
mod status;
pub(crate) mod tags;
mod type_schemas;
pub(crate) mod types;
pub(crate) mod validate;
mod view;

pub(crate) use kill::terminate;
pub(crate) use save::save;
pub(crate) use show::{EntityNotFound, find, find_to_write};
pub use status::{Change, Signal, Status, signal};
pub(crate) use types::Definition;
pub(crate) use view::raw;
