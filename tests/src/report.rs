//! Words for figures, and tables.

use std::fmt::Write;

use serde_json::{Value as Json, json};

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// How often something happens.
    PerSecond,
    /// How much goes through.
    BytesPerSecond,
    /// How long something takes.
    Seconds,
    /// How large something is.
    Bytes,
}

/// What a command costs the store.
#[derive(Clone, Debug)]
pub struct Cost {
    /// What it is.
    pub command: &'static str,
    /// Rows written.
    pub rows: u64,
    /// Statements run.
    pub statements: u64,
}

impl Unit {
    /// Its name, for programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::PerSecond => "a second",
            Self::BytesPerSecond => "bytes a second",
            Self::Seconds => "seconds",
            Self::Bytes => "bytes",
        }
    }

    /// Whether more of it is better.
    pub fn grows(self) -> bool {
        matches!(self, Self::PerSecond | Self::BytesPerSecond)
    }

    /// How many times better a value is than another.
    pub fn ratio(self, value: f64, other: f64) -> f64 {
        if self.grows() { value / other } else { other / value }
    }

    /// A value of it, for people.
    pub fn show(self, value: f64) -> String {
        match self {
            Self::PerSecond => format!("{value:.0}"),
            Self::BytesPerSecond => format!("{:.1} MB/s", value / 1e6),
            Self::Seconds if value >= 1.0 => format!("{value:.1} s"),
            Self::Seconds => format!("{:.2} ms", value * 1e3),
            Self::Bytes if value >= 1e6 => format!("{:.1} MB", value / 1e6),
            Self::Bytes => format!("{:.2} kB", value / 1e3),
        }
    }
}

/// Writes a table of costs.
pub fn costs(out: &mut String, costs: &[Cost]) {
    let row = |c: &Cost| vec![c.command.to_owned(), c.rows.to_string(), c.statements.to_string()];
    table(out, &["a command", "rows written", "statements"], &costs.iter().map(row).collect::<Vec<_>>());
}

/// The same as JSON.
pub fn costs_json(costs: &[Cost]) -> Json {
    costs.iter().map(|c| json!({ "command": c.command, "rows": c.rows, "statements": c.statements })).collect()
}

/// Writes a table: the first column to the left, the others to the right.
pub fn table(out: &mut String, head: &[&str], rows: &[Vec<String>]) {
    if rows.is_empty() {
        return;
    }
    let width = |i: usize| rows.iter().map(|row| row[i].chars().count()).chain([head[i].chars().count()]).max();
    let widths: Vec<usize> = (0..head.len()).map(|i| width(i).unwrap_or(0)).collect();
    line(out, "");
    let head: Vec<String> = head.iter().map(|&cell| cell.to_owned()).collect();
    for row in std::iter::once(&head).chain(rows) {
        let mut text = format!("{:<width$}", row[0], width = widths[0]);
        for (cell, width) in row.iter().zip(&widths).skip(1) {
            // Writing to a string cannot fail.
            let _ = write!(text, "  {cell:>width$}");
        }
        line(out, text.trim_end());
    }
}

/// Writes a line.
pub fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}
