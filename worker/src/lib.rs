//! The Worker's module. What it exports to JavaScript is [`reveille_shell`], which the npm package shares; the Worker
//! itself is `worker.js`.

pub use reveille_shell::*;
