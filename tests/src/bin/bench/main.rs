//! The benchmark: starts the release server on a disk, loads it over loopback, prints what it reaches beside the
//! reference's figures and the aim.
//!
//! Figures are of this machine, except rows and statements. It is no test: nothing fails because something is slow.

mod claims;
mod completion;
mod cost;
mod crowd;
mod disk;
mod latency;
mod load;
mod memory;
mod receiver;
mod register;
mod report;
mod shapes;
mod size;
mod throughput;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use reveille_tests::program::{self, Common, Place};
use reveille_tests::{Result, machine};

use crate::report::Report;

/// Measures the native server: throughput, latency, claims, registrations, shapes, start, memory, rows a command, size of the wasm files.
#[derive(Debug, Parser)]
#[command(name = "bench", max_term_width = 100)]
struct Options {
    #[command(flatten)]
    common: Common,

    /// Measure only these
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PARTS")]
    only: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    Spawns,
    Sends,
    Latency,
    Completion,
    Claims,
    Beside,
    Told,
    Shapes,
    Memory,
    Cost,
    Size,
}

impl Part {
    fn all() -> &'static [Self] {
        Self::value_variants()
    }
}

/// Where things are, and for how long to measure.
#[derive(Debug)]
struct Setting {
    place: Place,
    warm_up: Duration,
    window: Duration,
    samples: usize,
    starts: usize,
    /// Beside how many registrations to measure.
    most_beside: u64,
    /// Of how many entities lists and shapes are read.
    entities: u64,
}

fn main() -> ExitCode {
    let options = Options::parse();
    program::run("bench", async {
        let report = measure(&options).await?;
        Ok(if options.common.json { report.json().to_string() } else { report.text() })
    })
}

async fn measure(options: &Options) -> Result<Report> {
    let setting = Setting::of(&options.common)?;
    let mut report = Report::new(machine::describe(&setting.place.data)?);
    let parts = if options.only.is_empty() { Part::all() } else { &options.only };
    let wants = |part| parts.contains(&part);
    if wants(Part::Spawns) || wants(Part::Sends) {
        throughput::measure(&setting, wants(Part::Spawns), wants(Part::Sends), &mut report).await?;
    }
    if wants(Part::Latency) {
        latency::measure(&setting, &mut report).await?;
    }
    if wants(Part::Completion) {
        completion::measure(&setting, &mut report).await?;
    }
    if wants(Part::Claims) {
        claims::measure(&setting, &mut report).await?;
    }
    if wants(Part::Beside) {
        crowd::beside(&setting, &mut report).await?;
    }
    if wants(Part::Told) {
        crowd::told(&setting, &mut report).await?;
    }
    if wants(Part::Shapes) {
        shapes::measure(&setting, &mut report).await?;
    }
    if wants(Part::Memory) {
        memory::measure(&setting, &mut report).await?;
    }
    if wants(Part::Cost) {
        cost::measure(&setting, &mut report).await?;
    }
    if wants(Part::Size) {
        size::measure(&setting.place.root, &mut report)?;
    }
    Ok(report)
}

impl Setting {
    fn of(options: &Common) -> Result<Self> {
        let quick = |long: u64, short: u64| Duration::from_millis(if options.quick { short } else { long });
        Ok(Self {
            place: Place::of(&options.place)?,
            warm_up: quick(1000, 300),
            window: quick(4000, 800),
            samples: if options.quick { 200 } else { 1000 },
            starts: if options.quick { 3 } else { 5 },
            most_beside: if options.quick { 10_000 } else { 1_000_000 },
            entities: if options.quick { 10_000 } else { 100_000 },
        })
    }
}
