//! What happened, and what must not have.

use std::fmt::Write;
use std::time::Duration;

use reveille_tests::machine::{Description, quantile};

use crate::fleet::Fleet;
use crate::ledger::Findings;
use crate::work::Stage;

/// The end of a run.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) machine: Description,
    /// How long it took after the last message until nothing moved.
    pub(crate) quiet: Duration,
    pub(crate) findings: Findings,
    /// What the server has left to do.
    pub(crate) left: Vec<String>,
}

impl Report {
    /// The text, and whether all is well.
    pub(crate) fn text(&self, fleet: &Fleet) -> (String, bool) {
        let mut out = String::new();
        self.machine.text(&mut out);
        let checks = self.checks();
        // Writing to a string cannot fail.
        let _ = self.figures(&mut out, fleet).and_then(|()| verdicts(&mut out, &checks));
        (out, checks.iter().all(|(_, found)| found.is_empty()))
    }

    fn figures(&self, out: &mut String, fleet: &Fleet) -> std::fmt::Result {
        let ledger = fleet.ledger();
        let mut took = ledger.took();
        let [p50, p99, most] = [0.5, 0.99, 1.0].map(|q| quantile(&mut took, q).as_secs_f64());
        let (claims, done) = (ledger.claims().count(), ledger.claims().filter(|claim| claim.done().is_some()).count());
        let refused = ledger.claims().flat_map(|claim| &claim.asked).filter(|asked| !asked.accepted).count();
        let deaths: Vec<String> =
            Stage::ALL.iter().map(|at| format!("{} {}", ledger.deaths.get(at).unwrap_or(&0), at.name())).collect();
        writeln!(out, "seed     {}\n", fleet.seed)?;
        writeln!(out, "runners, entities        {}, {}", fleet.size.runners, fleet.size.entities)?;
        writeln!(out, "messages                 {}", ledger.messages())?;
        writeln!(out, "claims, of them done     {claims}, {done}")?;
        writeln!(out, "claims of nothing        {}", ledger.skipped)?;
        writeln!(out, "deaths                   {}: {}", ledger.deaths.values().sum::<u64>(), deaths.join(", "))?;
        writeln!(out, "said too late, refused   {refused}")?;
        writeln!(out, "send to done             p50 {p50:.3} s, p99 {p99:.1} s, at most {most:.1} s")?;
        writeln!(out, "quiet after              {:.1} s\n", self.quiet.as_secs_f64())
    }

    fn checks(&self) -> [(&'static str, &[String]); 5] {
        let Findings { lost, shared, stale, refused } = &self.findings;
        [
            ("every message was acknowledged by the done of a claim", lost),
            ("no entity was claimed by two at once", shared),
            ("nothing was accepted under a claim, or its write token, once the next was claimed", stale),
            ("nobody was refused who held a claim", refused),
            ("nothing is left: no entity runs, no claim is held, no wake waits", &self.left),
        ]
    }
}

fn verdicts(out: &mut String, checks: &[(&str, &[String])]) -> std::fmt::Result {
    for (check, found) in checks {
        writeln!(out, "{:<7}{check}", if found.is_empty() { "ok" } else { "FAILED" })?;
        for what in found.iter().take(SHOWN) {
            writeln!(out, "       {what}")?;
        }
        if found.len() > SHOWN {
            writeln!(out, "       and {} more", found.len() - SHOWN)?;
        }
    }
    let failed = checks.iter().filter(|(_, found)| !found.is_empty()).count();
    writeln!(out, "fleet: {} passed, {failed} failed", checks.len() - failed)
}

/// How many findings of a kind are shown.
const SHOWN: usize = 20;
