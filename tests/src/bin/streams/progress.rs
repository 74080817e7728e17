//! What is being measured, on a line of its own that goes away.
#![allow(clippy::print_stderr, reason = "what the command prints is its output")]

use std::io::{IsTerminal, stderr};

/// A line on the terminal, or nothing where there is none.
#[derive(Debug)]
pub(crate) struct Progress {
    shown: bool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { shown: stderr().is_terminal() }
    }

    pub(crate) fn say(&self, text: &str) {
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
