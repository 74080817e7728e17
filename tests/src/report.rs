//! What was measured, as tables for people and as JSON for programs.

use std::fmt::Write;

use serde_json::{Value as Json, json};

use crate::machine::Description;

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

/// Everything that was measured: figures, and loads.
#[derive(Debug)]
pub struct Report<F, R> {
    machine: Description,
    figures: Vec<F>,
    /// Where the time of each load went.
    pub runs: Vec<R>,
    /// What commands cost the store.
    pub costs: Vec<Cost>,
    /// What else there is to say.
    pub notes: Vec<String>,
}

/// What has a row in a table.
pub trait Row {
    /// The table's head.
    fn head() -> Vec<&'static str>;

    /// What stands below the table.
    fn legend() -> Vec<&'static str> {
        Vec::new()
    }

    /// Its row.
    fn row(&self) -> Vec<String>;

    /// The same as JSON.
    fn json(&self) -> Json;
}

impl<F: Row, R: Row> Report<F, R> {
    /// Nothing was measured yet, on this machine.
    pub fn new(machine: Description) -> Self {
        Self { machine, figures: Vec::new(), runs: Vec::new(), costs: Vec::new(), notes: Vec::new() }
    }

    /// Puts a figure behind the others.
    pub fn figure(&mut self, figure: F) {
        self.figures.push(figure);
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut out = String::new();
        self.machine.text(&mut out);
        rows(&mut out, &self.figures);
        rows(&mut out, &self.runs);
        rows(&mut out, &self.costs);
        for note in &self.notes {
            line(&mut out, note);
        }
        out
    }

    /// For programs.
    pub fn json(&self) -> Json {
        json!({
            "machine": self.machine.json(), "figures": array(&self.figures), "runs": array(&self.runs),
            "costs": array(&self.costs), "notes": self.notes,
        })
    }
}

impl Row for Cost {
    fn head() -> Vec<&'static str> {
        vec!["a command", "rows written", "statements"]
    }

    fn row(&self) -> Vec<String> {
        vec![self.command.to_owned(), self.rows.to_string(), self.statements.to_string()]
    }

    fn json(&self) -> Json {
        json!({ "command": self.command, "rows": self.rows, "statements": self.statements })
    }
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

fn array<T: Row>(of: &[T]) -> Json {
    of.iter().map(Row::json).collect()
}

fn rows<T: Row>(out: &mut String, of: &[T]) {
    if of.is_empty() {
        return;
    }
    table(out, &T::head(), &of.iter().map(Row::row).collect::<Vec<_>>());
    for legend in T::legend() {
        line(out, legend);
    }
}

/// Writes a table: the first column to the left, the others to the right.
fn table(out: &mut String, head: &[&str], rows: &[Vec<String>]) {
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
pub(crate) fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}
