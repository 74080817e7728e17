//! What the figures are, and the loads.

use reveille_tests::observe;
use reveille_tests::report::{self, Row, Unit};
use serde_json::{Value as Json, json};

use crate::load::Run;

/// Everything that was measured.
pub(crate) type Report = report::Report<Figure, Run>;

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
}

impl Row for Figure {
    fn head() -> Vec<&'static str> {
        vec!["", "measured", "reference", "better", "aim", "", "load"]
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

impl Row for Run {
    fn head() -> Vec<&'static str> {
        [&["load", "webhooks"], &observe::HEAD[..]].concat()
    }

    fn legend() -> Vec<&'static str> {
        vec![WEBHOOKS, CLAIMS, observe::COUNTED]
    }

    fn row(&self) -> Vec<String> {
        let name = format!("{} × {}", self.name, self.connections);
        let woken = format!("{:.0}", self.woken / self.answers.between.seconds);
        [vec![name, woken], self.answers.cells()].concat()
    }

    fn json(&self) -> Json {
        let mut json = self.answers.json();
        json["name"] = self.name.into();
        json["connections"] = self.connections.into();
        json["webhooks"] = self.woken.into();
        json
    }
}

const WEBHOOKS: &str = "\
webhooks: arrivals a second (what is sent while a wake is under way shares the next); their outcomes are commands, too";
const CLAIMS: &str = "\
claim to done: whole cycles, of a runner's claim, its claim for the write token and its done; p50 and p99 are of the claim";
