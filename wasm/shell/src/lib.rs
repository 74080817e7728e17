//! What the two WebAssembly hosts share: the engine of one tenant, callable from JavaScript.
//!
//! Everything here is synchronous. A JavaScript shell (`npm/` for any host, `worker/worker.js` on Cloudflare) owns the
//! network, the clock, randomness and timers; this crate carries plain values across the boundary and decides nothing.
//!
//! * [`JsSql`] is the engine's store over a database that JavaScript brings.
//! * [`Tenant`] is one engine with the commands that wait for its next batch.
//! * [`Reader`] answers what only reads, and drives live reads.
//! * [`Gate`] asks who calls and how much of a body may be read, before a tenant is named.
//!
//! A panic is a trap: it leaves as a `RuntimeError` at the call, through every frame below it, and the instance must
//! not be called again. No import catches it on the way (none is declared `catch`: the JavaScript side answers a
//! failure as a value), so nothing here ever runs on after one.

mod authoriser;
mod config;
mod gate;
mod message;
mod reader;
mod sql;
#[cfg(feature = "suite")]
mod suite;
mod tenant;

pub use authoriser::Authoriser;
pub use config::Settings;
pub use gate::Gate;
pub use message::{Outbox, Reading};
pub use reader::Reader;
pub use sql::{Database, JsSql};
#[cfg(feature = "suite")]
pub use suite::{Shelf, suite};
pub use tenant::Tenant;
