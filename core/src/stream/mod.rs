//! Streams: an append-only log a path, as the Durable Streams protocol has it.
//!
//! Owns offsets, content, creation, appends, idempotent producers, reads and live reads, forks, lifetimes, deletion and
//! sealing. What an append causes beyond the stream (wakes, dispatches) is called from `write.rs`, the one place where
//! entries are written.

mod access;
mod append;
mod content;
mod create;
mod delete;
mod event;
mod find;
mod fork;
pub(crate) mod json;
mod lifetime;
mod live;
mod number;
mod offset;
pub mod producer;
mod read;
mod seal;
pub(crate) mod shared_state;
mod sse;
mod touch;
mod write;

pub(crate) use access::Owner;
pub(crate) use append::append;
pub(crate) use content::{Content, compact, depth};
pub(crate) use create::{create, is_content_type, make_if_free, make_wake_stream};
pub(crate) use delete::{delete, expire, give_way, rearmed, remove, sweep};
pub use event::Event;
pub(crate) use event::{members, members_of, messages, string};
pub(crate) use fork::{copy, is_too_deep, split};
pub(crate) use lifetime::Lifetime;
pub(crate) use live::Follow;
pub use live::Next;
pub use offset::Offset;
pub(crate) use read::{head, read};
pub(crate) use seal::seal;
pub(crate) use touch::touch;
pub use write::Class;
pub(crate) use write::{Cause, Matched, Why, close, write};

/// What the property tests and the fuzz targets reach into.
#[cfg(any(feature = "fuzz", all(test, not(target_arch = "wasm32"))))]
pub(crate) mod probe {
    pub(crate) use super::fork::split;
    #[cfg(all(test, not(target_arch = "wasm32")))]
    pub(crate) use super::seal::plan;
    pub(crate) use super::sse::data;
}
