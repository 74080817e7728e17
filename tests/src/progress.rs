//! What is being done, on a line of its own that goes away.
#![allow(clippy::print_stderr, reason = "what the command prints is its output")]

use std::io::{IsTerminal, stderr};

/// A line on the terminal, or nothing where there is none.
#[derive(Debug)]
pub struct Progress {
    shown: bool,
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress {
    /// The terminal's, if there is one.
    pub fn new() -> Self {
        Self { shown: stderr().is_terminal() }
    }

    /// Says what is being done now.
    pub fn say(&self, text: &str) {
        if self.shown {
            eprint!("\r\x1b[K{text}");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.say("");
    }
}
