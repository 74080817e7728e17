//! Standard output, for people or for programs: colours on a terminal, JSON lines elsewhere.

use std::io::{IsTerminal, Write, stdout};

use serde_json::Value as Json;

/// How to write on standard output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terminal {
    /// Whether a person reads along.
    pub(crate) person: bool,
    colours: bool,
}

impl Terminal {
    /// What standard output is. `NO_COLOR` and a dumb terminal are respected.
    pub(crate) fn stdout() -> Self {
        let person = stdout().is_terminal();
        let refused = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|t| t == "dumb");
        Self { person, colours: person && !refused && !dumb }
    }

    /// Writes a line. Nobody reading it is no reason to stop.
    pub(crate) fn line(self, line: &str) {
        let _ = writeln!(stdout().lock(), "{line}");
    }

    /// Writes a line for a program.
    pub(crate) fn json(self, line: &Json) {
        self.line(&line.to_string());
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    pub(crate) fn red(self, text: &str) -> String {
        self.paint("31", text)
    }

    pub(crate) fn green(self, text: &str) -> String {
        self.paint("32", text)
    }

    pub(crate) fn yellow(self, text: &str) -> String {
        self.paint("33", text)
    }

    pub(crate) fn cyan(self, text: &str) -> String {
        self.paint("36", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// The text without control characters, which could rewrite the terminal, and at most so many characters long.
pub(crate) fn shown(text: &str, longest: usize) -> String {
    let mut shown: String = text.chars().take(longest + 1).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if shown.chars().count() > longest {
        shown = shown.chars().take(longest.saturating_sub(1)).chain(['…']).collect();
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_agents_write_cannot_paint_the_terminal() {
        assert_eq!(shown("a\x1b[31m\nb", 20), "a [31m b");
        assert_eq!(shown("déjà vu", 7), "déjà vu");
        assert_eq!(shown("déjà vus", 7), "déjà v…");
    }
}
