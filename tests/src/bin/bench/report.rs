//! What was measured, as tables for people and as JSON for programs.

use reveille_tests::machine::Description;
use reveille_tests::observe;
use reveille_tests::report::{self, Cost, Unit, line, table};
use serde_json::{Value as Json, json};

use crate::load::Run;

/// Everything that was measured.
#[derive(Debug)]
pub(crate) struct Report {
    machine: Description,
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
        Some(self.unit.ratio(self.value, reference))
    }

    fn met(&self) -> Option<bool> {
        let aim = self.aim?;
        Some(if self.unit.grows() { self.value >= aim } else { self.value <= aim })
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

impl Report {
    pub(crate) fn new(machine: Description) -> Self {
        Self { machine, figures: Vec::new(), runs: Vec::new(), costs: Vec::new(), notes: Vec::new() }
    }

    pub(crate) fn figure(&mut self, figure: Figure) {
        self.figures.push(figure);
    }

    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        self.machine.text(&mut out);
        let rows: Vec<_> = self.figures.iter().map(Figure::row).collect();
        table(&mut out, &["", "measured", "reference", "better", "aim", "", "load"], &rows);
        if !self.runs.is_empty() {
            let head = [&RUN[..], &observe::HEAD].concat();
            table(&mut out, &head, &self.runs.iter().map(row).collect::<Vec<_>>());
            line(&mut out, COUNTED);
            line(&mut out, observe::COUNTED);
        }
        report::costs(&mut out, &self.costs);
        for note in &self.notes {
            line(&mut out, note);
        }
        out
    }

    pub(crate) fn json(&self) -> Json {
        json!({
            "machine": self.machine.json(),
            "figures": self.figures.iter().map(Figure::json).collect::<Vec<_>>(),
            "runs": self.runs.iter().map(run).collect::<Vec<_>>(),
            "costs": report::costs_json(&self.costs),
            "notes": self.notes,
        })
    }
}

/// Where the time of a run went.
fn row(run: &Run) -> Vec<String> {
    let name = format!("{} × {}", run.name, run.connections);
    let woken = format!("{:.0}", run.woken / run.answers.between.seconds);
    [vec![name, woken], run.answers.cells()].concat()
}

fn run(run: &Run) -> Json {
    let mut json = run.answers.json();
    json["name"] = run.name.into();
    json["connections"] = run.connections.into();
    json["webhooks"] = run.woken.into();
    json
}

const RUN: [&str; 2] = ["load", "webhooks"];
const COUNTED: &str = "\
webhooks: arrivals a second (what is sent while a wake is under way shares the next); their outcomes are commands, too";
