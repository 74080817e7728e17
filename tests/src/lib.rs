//! What the benchmarks share: a server as a child process, a client, an agent's side of a wake, the
//! machine, where time goes, tables.

pub mod client;
pub mod machine;
pub mod observe;
pub mod program;
pub mod progress;
pub mod report;
pub mod server;
pub mod wake;

/// What went wrong, in words.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
/// What most functions give.
pub type Result<T> = std::result::Result<T, Failure>;
