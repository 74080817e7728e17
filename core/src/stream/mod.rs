//! Streams: an append-only log a path, as the Durable Streams protocol has it.
//!
//! Owns offsets, content, creation, appends, idempotent producers, reads and live reads. What an append causes beyond
//! the stream (wakes, dispatches) is called from `write.rs`, the one place where entries are written.

mod access;
mod append;
mod content;
mod create;
mod delete;
mod event;
mod live;
mod offset;
pub mod producer;
mod read;
mod sse;
mod write;

pub(crate) use append::append;
pub(crate) use content::{Content, compact, depth};
pub(crate) use create::create;
pub(crate) use delete::delete;
pub use event::Event;
pub(crate) use event::{members, string};
pub use live::{Live, Next};
pub use offset::Offset;
pub(crate) use read::{head, read};
pub use write::Class;
pub(crate) use write::{Cause, close, write};
