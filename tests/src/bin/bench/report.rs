//! What was measured, as tables for people and as JSON for programs.

use std::fmt::Write;

use serde_json::{Value as Json, json};

use crate::load::Run;

/// Everything that was measured.
#[derive(Debug)]
pub(crate) struct Report {
    machine: Vec<(&'static str, String)>,
    figures: Vec<Figure>,
    pub(crate) runs: Vec<Run>,
    pub(crate) costs: Vec<Cost>,
    pub(crate) notes: Vec<String>,
}

/// One figure, with what it is compared to.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    name: String,
    value: f64,
    unit: Unit,
    /// The load average when it was measured; sizes have none.
    load: Option<f64>,
    pub(crate) reference: Option<f64>,
    aim: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// More is better; of the others less is.
    PerSecond,
    Seconds,
    Bytes,
}

/// What a command costs the store.
#[derive(Clone, Debug)]
pub(crate) struct Cost {
    pub(crate) command: &'static str,
    pub(crate) rows: u64,
    pub(crate) statements: u64,
}

impl Figure {
    pub(crate) fn new(name: String, value: f64, unit: Unit) -> Self {
        Self { name, value, unit, load: None, reference: None, aim: None }
    }

    pub(crate) fn load(self, load: f64) -> Self {
        Self { load: Some(load), ..self }
    }

    pub(crate) fn reference(self, reference: f64) -> Self {
        Self { reference: Some(reference), ..self }
    }

    pub(crate) fn aim(self, aim: Option<f64>) -> Self {
        Self { aim, ..self }
    }

    /// How many times better than the reference.
    fn ratio(&self) -> Option<f64> {
        let reference = self.reference?;
        Some(if self.unit == Unit::PerSecond { self.value / reference } else { reference / self.value })
    }

    fn met(&self) -> Option<bool> {
        let aim = self.aim?;
        Some(if self.unit == Unit::PerSecond { self.value >= aim } else { self.value <= aim })
    }

    fn row(&self) -> Vec<String> {
        let shown = |value: Option<f64>| value.map_or(String::new(), |value| self.unit.show(value));
        vec![
            self.name.clone(),
            self.unit.show(self.value),
            shown(self.reference),
            self.ratio().map_or(String::new(), |ratio| format!("{ratio:.1}×")),
            shown(self.aim),
            self.met().map_or("", |met| if met { "met" } else { "missed" }).to_owned(),
            self.load.map_or(String::new(), |load| format!("{load:.2}")),
        ]
    }

    fn json(&self) -> Json {
        json!({
            "name": self.name, "value": self.value, "unit": self.unit.name(), "load": self.load,
            "reference": self.reference, "ratio": self.ratio(), "aim": self.aim, "met": self.met(),
        })
    }
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::PerSecond => "a second",
            Self::Seconds => "seconds",
            Self::Bytes => "bytes",
        }
    }

    fn show(self, value: f64) -> String {
        match self {
            Self::PerSecond => format!("{value:.0}"),
            Self::Seconds if value >= 1.0 => format!("{value:.1} s"),
            Self::Seconds => format!("{:.2} ms", value * 1e3),
            Self::Bytes if value >= 1e6 => format!("{:.1} MB", value / 1e6),
            Self::Bytes => format!("{:.2} kB", value / 1e3),
        }
    }
}

impl Report {
    pub(crate) fn new(machine: Vec<(&'static str, String)>) -> Self {
        Self { machine, figures: Vec::new(), runs: Vec::new(), costs: Vec::new(), notes: Vec::new() }
    }

    pub(crate) fn figure(&mut self, figure: Figure) {
        self.figures.push(figure);
    }

    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        for (name, value) in &self.machine {
            line(&mut out, &format!("{name:<9}{value}"));
        }
        let rows: Vec<_> = self.figures.iter().map(Figure::row).collect();
        table(&mut out, &["", "measured", "reference", "better", "aim", "", "load"], &rows);
        if !self.runs.is_empty() {
            table(&mut out, &RUN, &self.runs.iter().map(row).collect::<Vec<_>>());
            line(&mut out, COUNTED);
        }
        let costs: Vec<_> = self
            .costs
            .iter()
            .map(|c| vec![c.command.to_owned(), c.rows.to_string(), c.statements.to_string()])
            .collect();
        table(&mut out, &["a command", "rows written", "statements"], &costs);
        for note in &self.notes {
            line(&mut out, note);
        }
        out
    }

    pub(crate) fn json(&self) -> Json {
        let machine: serde_json::Map<String, Json> =
            self.machine.iter().map(|(name, value)| ((*name).to_owned(), value.as_str().into())).collect();
        let costs: Vec<_> = self
            .costs
            .iter()
            .map(|c| json!({ "command": c.command, "rows": c.rows, "statements": c.statements }))
            .collect();
        json!({
            "machine": machine,
            "figures": self.figures.iter().map(Figure::json).collect::<Vec<_>>(),
            "runs": self.runs.iter().map(run).collect::<Vec<_>>(),
            "costs": costs,
            "notes": self.notes,
        })
    }
}

/// Where the time of a run went.
fn row(run: &Run) -> Vec<String> {
    let b = &run.between;
    let micros = |seconds: f64| format!("{:.0}", seconds / run.answered.max(1.0) * 1e6);
    let share = |share: f64| format!("{:.0}", share * 100.0);
    vec![
        format!("{} × {}", run.name, run.connections),
        format!("{:.0}", run.answered / b.seconds),
        format!("{:.0}", run.woken / b.seconds),
        format!("{:.2}", run.p50.as_secs_f64() * 1e3),
        format!("{:.2}", run.p99.as_secs_f64() * 1e3),
        format!("{:.1}", b.batch),
        format!("{:.2}", b.commit * 1e3),
        share(b.working),
        share(b.committing),
        share(b.starved),
        micros(b.engine),
        micros(b.shell),
        micros(b.bench),
        format!("{:.1}", b.others),
        format!("{:.2}", b.load),
    ]
}

fn run(run: &Run) -> Json {
    let b = &run.between;
    json!({
        "name": run.name, "connections": run.connections, "seconds": b.seconds, "answered": run.answered,
        "webhooks": run.woken, "p50": run.p50.as_secs_f64(), "p99": run.p99.as_secs_f64(), "commands": b.commands,
        "batch": b.batch, "commit": b.commit, "working": b.working, "committing": b.committing, "starved": b.starved,
        "cpu": { "engine": b.engine, "shell": b.shell, "bench": b.bench, "others": b.others * b.seconds },
        "load": b.load,
    })
}

/// Writes a table: the first column to the left, the others to the right.
fn table(out: &mut String, head: &[&str], rows: &[Vec<String>]) {
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

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

const RUN: [&str; 15] = [
    "load",
    "a second",
    "webhooks",
    "p50 ms",
    "p99 ms",
    "batch",
    "commit ms",
    "work %",
    "commit %",
    "starved %",
    "engine µs",
    "shell µs",
    "bench µs",
    "others",
    "load",
];
const COUNTED: &str = "\
a second: requests answered with success; webhooks: arrivals a second (what is sent while a wake is under way shares the
next); p50, p99: until the answer; batch: commands in a commit, outcomes of webhooks among them; work, commit, starved:
shares of the engine thread's time spent on commands, on commits, and ready without a processor; µs: processor time a
request, of the engine's thread, the rest of the server, and the benchmark; others: processors busy for other programs";
