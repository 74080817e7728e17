//! The npm package's module. What it exports to JavaScript is [`reveille_shell`], which the Worker shares; what a
//! JavaScript host sees is `npm/`.

pub use reveille_shell::*;
