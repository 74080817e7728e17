//! The benchmark: starts the release server on a disk, loads it over loopback, prints what it reaches beside the
//! reference's figures and the aim.
//!
//! Figures are of this machine, except rows and statements. It is no test: nothing fails because something is slow.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "what the command prints is its output")]

mod client;
mod cost;
mod latency;
mod load;
mod machine;
mod memory;
mod observe;
mod receiver;
mod report;
mod server;
mod size;
mod throughput;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::report::Report;

/// What went wrong, in words.
type Failure = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Failure>;

/// Measures the native server: throughput, latency, start, memory, rows a command, size of the wasm files.
#[derive(Debug, Parser)]
#[command(name = "bench", max_term_width = 100)]
struct Options {
    /// Measure for a fifth of the time
    #[arg(long)]
    quick: bool,

    /// Print one JSON object instead of tables
    #[arg(long)]
    json: bool,

    /// The server to start [default: `reveille` beside this program, else target/release/reveille]
    #[arg(long, value_name = "PATH")]
    server: Option<PathBuf>,

    /// Where to make the data directories; it should be on the disk in question [default: beside this program]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Measure only these
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PARTS")]
    only: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    Spawns,
    Sends,
    Latency,
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
    server: PathBuf,
    data: PathBuf,
    root: PathBuf,
    warm_up: Duration,
    window: Duration,
    samples: usize,
    starts: usize,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&error.into()),
    };
    let measured = runtime.block_on(async {
        tokio::select! {
            measured = measure(&options) => measured,
            () = interrupted() => Err("interrupted".into()),
        }
    });
    match measured {
        Ok(report) if options.json => println!("{}", report.json()),
        Ok(report) => print!("{}", report.text()),
        Err(error) => return complain(&error),
    }
    ExitCode::SUCCESS
}

async fn measure(options: &Options) -> Result<Report> {
    let setting = Setting::of(options)?;
    let mut report = Report::new(machine::describe(&setting.data)?);
    let parts = if options.only.is_empty() { Part::all() } else { &options.only };
    let wants = |part| parts.contains(&part);
    if wants(Part::Spawns) || wants(Part::Sends) {
        throughput::measure(&setting, wants(Part::Spawns), wants(Part::Sends), &mut report).await?;
    }
    if wants(Part::Latency) {
        latency::measure(&setting, &mut report).await?;
    }
    if wants(Part::Memory) {
        memory::measure(&setting, &mut report).await?;
    }
    if wants(Part::Cost) {
        cost::measure(&setting, &mut report).await?;
    }
    if wants(Part::Size) {
        size::measure(&setting.root, &mut report)?;
    }
    Ok(report)
}

impl Setting {
    fn of(options: &Options) -> Result<Self> {
        let program = std::env::current_exe()?;
        let beside = program.parent().unwrap_or(Path::new("."));
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let server = match &options.server {
            Some(server) => server.clone(),
            None => [beside.join("reveille"), root.join("target/release/reveille")]
                .into_iter()
                .find(|path| path.exists())
                .ok_or("there is no server to measure; `tests/build native` makes it, --server names another")?,
        };
        let data = options.data_dir.clone().unwrap_or_else(|| beside.to_owned());
        std::fs::create_dir_all(&data)?;
        let quick = |long: u64, short: u64| Duration::from_millis(if options.quick { short } else { long });
        Ok(Self {
            server,
            data,
            root,
            warm_up: quick(1000, 300),
            window: quick(4000, 800),
            samples: if options.quick { 200 } else { 1000 },
            starts: if options.quick { 3 } else { 5 },
        })
    }

    /// A new data directory, which goes when it is dropped.
    fn directory(&self) -> Result<tempfile::TempDir> {
        Ok(tempfile::Builder::new().prefix("reveille-bench-").tempdir_in(&self.data)?)
    }
}

/// Completes when the benchmark is told to stop. Its server is ended and its data is removed then, too.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

fn complain(error: &Failure) -> ExitCode {
    eprintln!("bench: {error}");
    ExitCode::FAILURE
}
