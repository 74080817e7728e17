//! What the figures are, and the loads.

use reveille_tests::report::{self, Row, Unit};
use reveille_tests::{machine, observe};
use serde_json::{Value as Json, json};

use crate::load::Run;

/// Everything that was measured.
pub(crate) type Report = report::Report<Compared, Run>;

/// One figure of both servers, in rounds.
#[derive(Clone, Debug)]
pub(crate) struct Compared {
    name: String,
    unit: Unit,
    aim: Aim,
    /// Ours first.
    rounds: Vec<[f64; 2]>,
    /// The load average when it was measured.
    load: f64,
}

/// What Reveille is to reach.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Aim {
    None,
    /// So many times better than the published server.
    Times(f64),
    /// No more than this.
    AtMost(f64),
}

/// The median of some values, and how far they spread.
#[derive(Clone, Copy, Debug)]
struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

impl Compared {
    pub(crate) fn new(name: String, unit: Unit, aim: Aim, rounds: impl IntoIterator<Item = [f64; 2]>) -> Self {
        Self { name, unit, aim, rounds: rounds.into_iter().collect(), load: machine::load() }
    }

    fn ours(&self) -> Spread {
        Spread::of(self.rounds.iter().map(|round| round[0]))
    }

    fn theirs(&self) -> Spread {
        Spread::of(self.rounds.iter().map(|round| round[1]))
    }

    /// How many times better ours is, by round.
    fn ratio(&self) -> Spread {
        Spread::of(self.rounds.iter().map(|[ours, theirs]| self.unit.ratio(*ours, *theirs)))
    }

    fn met(&self) -> Option<bool> {
        match self.aim {
            Aim::None => None,
            Aim::Times(times) => Some(self.ratio().median >= times),
            Aim::AtMost(most) => Some(self.ours().median <= most),
        }
    }
}

impl Row for Compared {
    fn head() -> Vec<&'static str> {
        vec!["", "reveille", "published", "better", "min–max", "aim", "", "load"]
    }

    fn row(&self) -> Vec<String> {
        let ratio = self.ratio();
        vec![
            self.name.clone(),
            self.unit.show(self.ours().median),
            self.unit.show(self.theirs().median),
            format!("{:.1}×", ratio.median),
            if self.rounds.len() > 1 { format!("{:.1}–{:.1}", ratio.least, ratio.most) } else { String::new() },
            match self.aim {
                Aim::None => String::new(),
                Aim::Times(times) => format!("{times:.0}×"),
                Aim::AtMost(most) => self.unit.show(most),
            },
            self.met().map_or("", |met| if met { "met" } else { "missed" }).to_owned(),
            format!("{:.2}", self.load),
        ]
    }

    fn json(&self) -> Json {
        let aim = match self.aim {
            Aim::None => Json::Null,
            Aim::Times(times) => json!({ "times": times }),
            Aim::AtMost(most) => json!({ "at_most": most }),
        };
        json!({
            "name": self.name, "unit": self.unit.name(), "rounds": self.rounds, "reveille": self.ours().json(),
            "published": self.theirs().json(), "ratio": self.ratio().json(), "aim": aim, "met": self.met(),
            "load": self.load,
        })
    }
}

impl Spread {
    /// Of at least one value.
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<_> = values.collect();
        values.sort_unstable_by(f64::total_cmp);
        let at = |i: usize| values.get(i).copied().unwrap_or(f64::NAN);
        let last = values.len().saturating_sub(1);
        Self { least: at(0), median: f64::midpoint(at(last / 2), at(last.div_ceil(2))), most: at(last) }
    }

    fn json(self) -> Json {
        json!({ "median": self.median, "min": self.least, "max": self.most })
    }
}

impl Row for Run {
    fn head() -> Vec<&'static str> {
        [&["appends, the last round"], &observe::HEAD[..]].concat()
    }

    fn legend() -> Vec<&'static str> {
        vec!["all that was appended is read back; of the published server all is shell", observe::COUNTED]
    }

    fn row(&self) -> Vec<String> {
        [vec![format!("{}, {}", self.server, self.name)], self.answers.cells()].concat()
    }

    fn json(&self) -> Json {
        let mut json = self.answers.json();
        json["name"] = self.name.as_str().into();
        json["server"] = self.server.into();
        json
    }
}
