//! A benchmark as a program: the options of all of them, where things are, and its run.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "what the command prints is its output")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::Result;

/// The options that every benchmark has.
#[derive(Clone, Debug, Args)]
pub struct Common {
    /// Measure for a fifth of the time
    #[arg(long)]
    pub quick: bool,

    /// Print one JSON object instead of tables
    #[arg(long)]
    pub json: bool,

    /// Where things are.
    #[command(flatten)]
    pub place: Named,
}

/// The options that name where things are.
#[derive(Clone, Debug, Args)]
pub struct Named {
    /// The server to start [default: `reveille` beside this program, else target/release/reveille]
    #[arg(long, value_name = "PATH")]
    server: Option<PathBuf>,

    /// Where to make the data directories; it should be on the disk in question [default: beside this program]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// Where things are.
#[derive(Clone, Debug)]
pub struct Place {
    /// The server's program.
    pub server: PathBuf,
    /// Where data directories are made.
    pub data: PathBuf,
    /// The repository.
    pub root: PathBuf,
}

impl Place {
    /// The place that the options name, or the usual one.
    pub fn of(options: &Named) -> Result<Self> {
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
        Ok(Self { server, data, root })
    }

    /// A new data directory, which goes when it is dropped.
    pub fn directory(&self) -> Result<tempfile::TempDir> {
        Ok(tempfile::Builder::new().prefix("reveille-bench-").tempdir_in(&self.data)?)
    }
}

/// A connection is an open file, here and in the servers, which inherit the limit: as many as the system allows.
pub fn raise_open_files() -> Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}

/// Runs a benchmark on one thread and prints what it gives. Interrupted, it is dropped, and so its servers are ended
/// and its data is removed.
pub fn run(name: &str, benchmark: impl Future<Output = Result<String>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let measured = runtime.map_err(Into::into).and_then(|runtime| {
        runtime.block_on(async {
            tokio::select! {
                measured = benchmark => measured,
                () = interrupted() => Err("interrupted".into()),
            }
        })
    });
    match measured {
        Ok(report) => println!("{}", report.trim_end()),
        Err(error) => {
            eprintln!("{name}: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Completes when the benchmark is told to stop.
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
