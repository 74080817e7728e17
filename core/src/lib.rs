//! Reveille's engine: it keeps entities and the streams they live in, decides who must wake and why, writes that down,
//! and says what to do. It never does anything itself.
//!
//! # The laws
//!
//! 1. **State is rows.** Nothing is remembered outside the store that could not be dropped at any moment.
//! 2. **One command, one transaction.** A refused command leaves no trace.
//! 3. **Every append is evaluated once, and evaluation does not recurse.** Wake rows wake nobody by themselves.
//! 4. **Position is identity.** What deduplicates a wake is where its cause stands.
//! 5. **One timer table, one deadline.** Whatever happens later is a row in it.
//! 6. **Status follows a table.** One pure function moves it.
//! 7. **Never read a stream back to decide.** What decides is projected when it is appended. Only a fork has to, since it
//!    may branch off in the past.
//! 8. **Everything that a client can make grow has a limit and a named error.** All of them in [`limits`].
//! 9. **Refusals say why.**
//! 10. **Closed by default.** A caller is believed only as the configuration says.
//! 11. **The wire is exact** where clients look, and better where they do not.
//! 12. **Time is an argument**, and so is entropy. No clock, no thread, no file, no socket is reachable from here.
//! 13. **Effects follow the commit.** An effect that must survive a crash is a row before it is an effect.
//!
//! # How a host drives it
//!
//! * Open the engine on a [`store::Sql`]: a synchronous SQLite connection.
//! * Ask [`http::admit`] about each request before its first byte; read the body up to the limit that it gives.
//! * Bring requests, due ticks and outcomes to [`Engine::batch`], with `now` and 32 random bytes. Turns come back.
//! * Send the replies of each [`Turn`]. Where reads have connections of their own, answer them by [`engine::read`].
//! * What a read wants remembered, a [`Touch`], is a command like the others: once, however many reads there were.
//! * Perform its [`Effect::Fetch`]es, and bring each outcome back, failures too. A host that resolves names itself
//!   connects only to addresses that [`egress::judge_address`] lets through.
//! * Hand its [`Effect::Notify`]s to the live reads that subscribe to their topics.
//! * For a [`Reply::Live`]: subscribe to its topics, then ask [`Engine::next`], then wait. In that order.
//! * Call [`Engine::tick`] at `next_deadline`, and again while that lies in the past.
//! * After a trap (WebAssembly): drop the engine, open it again, and begin with [`Engine::careful_tick`].
//! * There is nothing to do at shutdown but, so that no delivery starts in vain, [`Engine::stop`]; and nothing to
//!   recover at start.
//!
//! # The rooms
//!
//! [`engine`] runs commands · [`http`] routes and refuses · [`tenant`] knows who calls · [`permission`] decides what they
//! may · [`stream`] is the log · `subscription` follows, announces and leases · [`entity`] spawns, forks, sends and
//! ends · [`wake`] decides who wakes · [`dispatch`] decides who runs them · [`egress`] says where they may be called ·
//! [`observe`] writes streams about what others do · `shape` tells tables · `schedule` is time · [`store`] is the database.

pub mod config;
pub mod dispatch;
mod effect;
pub mod egress;
pub mod engine;
pub mod entity;
mod entropy;
#[cfg(feature = "fuzz")]
#[doc(hidden)]
pub mod fuzz;
pub mod http;
pub mod limits;
mod live;
pub mod observe;
mod pending;
pub mod permission;
mod schedule;
mod shape;
pub mod store;
pub mod stream;
mod subscription;
pub mod tenant;
mod time;
pub mod wake;

pub use config::{Config, Virtual};
pub use effect::{Answer, Effect, EffectId, Fetch, Fetched, Notify, Topic, Touch};
pub use engine::{Command, Cost, Counts, Engine, Reply, Ticket, Turn};
pub use entropy::Entropy;
pub use live::Live;
pub use schedule::cron;
pub use subscription::glob;
pub use time::{Span, Time};

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;
