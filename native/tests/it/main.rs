//! The native host, tested over its own sockets: what only it can get wrong. What every host must do is tested once, by
//! base URL, elsewhere.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

mod authorise;
mod bodies;
mod broken;
mod client;
mod command;
mod crowd;
#[cfg(unix)]
mod demo;
mod disk;
mod egress;
mod https;
mod live;
mod metrics;
mod panics;
#[cfg(unix)]
mod process;
mod readers;
#[cfg(unix)]
mod run;
mod schema;
mod shutdown;
mod suite;
mod timers;
