//! The benchmark of the streams: starts Reveille and the published Durable Streams server on the same disk, asks the
//! same of both in turns over loopback, and prints how they compare.
//!
//! What was appended is read back, and a refusal or a message that is missing ends the run. It is no test all the same:
//! nothing fails because something is slow.

mod appends;
mod catch_up;
mod cost;
mod latency;
mod load;
mod memory;
mod message;
mod pair;
mod report;
mod tail;
mod wire;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use reveille_tests::program::{self, Common, Place};
use reveille_tests::progress::Progress;
use reveille_tests::{Result, machine};

use crate::pair::PUBLISHED;
use crate::report::Report;

/// Measures streams on the native server and on the published one: appends, catch-up, latency, memory.
#[derive(Debug, Parser)]
#[command(name = "streams", max_term_width = 100)]
struct Options {
    #[command(flatten)]
    common: Common,

    /// How often to measure [default: 5, and 3 with --quick]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100))]
    rounds: Option<u64>,

    /// How many seconds to wait before streams are read that have been sealed
    #[arg(long, value_name = "SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u64).range(0..=600))]
    seal_wait: u64,

    /// How many messages each append has that fills a stream to be read [default: 10, and 100 with --quick]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1000))]
    batch: Option<u64>,

    /// Measure only these
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PARTS")]
    only: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    Appends,
    CatchUp,
    Latency,
    Memory,
    Cost,
}

/// Where things are, and how much to measure.
#[derive(Debug)]
struct Setting {
    place: Place,
    progress: Progress,
    rounds: u64,
    warm_up: Duration,
    window: Duration,
    /// How many messages a stream has that is read, and how many of them come with each append.
    messages: u64,
    batch: u64,
    seal: Duration,
    /// How many appends are followed to one reader, and to all of many.
    samples: u64,
    fans: u64,
    /// How many streams are made to see what they take.
    streams: u64,
}

fn main() -> ExitCode {
    let options = Options::parse();
    program::run("streams", async {
        let report = measure(&options).await?;
        Ok(if options.common.json { report.json().to_string() } else { report.text() })
    })
}

async fn measure(options: &Options) -> Result<Report> {
    let setting = Setting::of(options)?;
    program::raise_open_files()?;
    let mut report = Report::new(machine::describe(&setting.place.data)?);
    report.notes.push(format!("published: {PUBLISHED}, on its file store"));
    let parts = if options.only.is_empty() { Part::value_variants() } else { &options.only };
    for part in parts {
        match part {
            Part::Appends => appends::measure(&setting, &mut report).await?,
            Part::CatchUp => catch_up::measure(&setting, &mut report).await?,
            Part::Latency => latency::measure(&setting, &mut report).await?,
            Part::Memory => memory::measure(&setting, &mut report).await?,
            Part::Cost => cost::measure(&setting, &mut report).await?,
        }
    }
    Ok(report)
}

impl Setting {
    fn of(options: &Options) -> Result<Self> {
        let quick = options.common.quick;
        let either = |long: u64, short: u64| if quick { short } else { long };
        let batch = options.batch.unwrap_or(either(10, 100));
        Ok(Self {
            place: Place::of(&options.common.place)?,
            progress: Progress::new(),
            rounds: options.rounds.unwrap_or(either(5, 3)),
            warm_up: Duration::from_millis(either(500, 200)),
            window: Duration::from_millis(either(3000, 800)),
            messages: 100_000 / batch * batch,
            batch,
            seal: Duration::from_secs(options.seal_wait),
            samples: either(300, 100),
            fans: either(15, 5),
            streams: either(10_000, 2000),
        })
    }
}
