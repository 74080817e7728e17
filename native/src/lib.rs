//! Reveille as one process: the engine over a SQLite file, behind HTTP.
//!
//! The core decides; this crate brings it what it may not have: threads, a clock, randomness, files and sockets. It
//! holds no rule of the domain. How a request travels:
//!
//! 1. The server takes it raw, asks `admit` by its head alone, then reads its body within bounds of size and time.
//! 2. A route that reads is answered from a snapshot on one of a few reader connections, beside the writer.
//! 3. Every other request waits in a bounded queue. One thread owns the engine: it takes what has queued up, runs it as
//!    one batch in one transaction, and sleeps until the next command or the next timer.
//! 4. After the commit, replies go to their callers, fetches to the webhook client, and notifications to live readers,
//!    who subscribed before they asked and so miss nothing.
//!
//! ```no_run
//! # async fn start() -> Result<(), reveille::StartError> {
//! let server = reveille::Server::dev().port(0).start().await?;
//! println!("listening on {}", server.url());
//! server.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod address;
mod answer;
mod body;
mod connect;
mod connection;
mod cost;
mod driver;
mod fold;
mod host;
mod https;
mod hub;
mod limits;
mod live;
mod lock;
mod metrics;
mod now;
mod queue;
mod readers;
mod respond;
mod server;
mod start;
mod streams;
mod ui;
mod webhook;

pub use driver::Driver;
pub use https::Certificate;
pub use reveille_core;
pub use start::{Running, Server, StartError};
