//! A fleet of runners that die: starts the release server, spreads entities with runner policies over the runners, sends
//! messages at a steady rate, and lets runners die anywhere in their work. Some who were thought dead go on later.
//!
//! In the end, whoever was told what by whom is compared: a run fails when a wake was lost, when two had the same one, or
//! when something is left. The seed repeats the choices of a run, not its timing.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "what the command prints is its output")]

mod claim;
mod fleet;
mod ledger;
mod life;
mod name;
mod prepare;
mod quiet;
mod random;
mod report;
mod send;
mod tail;
mod work;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Parser;
use reveille_tests::program::{self, Named, Place};
use reveille_tests::progress::Progress;
use reveille_tests::server::Server;
use reveille_tests::{Result, machine};
use tokio::task::JoinSet;

use crate::fleet::{Fleet, Size};
use crate::name::Runner;
use crate::report::Report;

/// Runs many runners that die against the native server, and checks that no wake is lost or shared.
#[derive(Debug, Parser)]
#[command(name = "fleet", max_term_width = 100)]
struct Options {
    #[command(flatten)]
    place: Named,

    #[command(flatten)]
    size: Size,

    /// Repeats the choices of a run [default: another each time]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    program::run("fleet", async {
        let (report, well) = run(&options).await?;
        if well { Ok(report) } else { Err(format!("failed\n{}", report.trim_end()).into()) }
    })
}

async fn run(options: &Options) -> Result<(String, bool)> {
    program::raise_open_files()?;
    let place = Place::of(&options.place)?;
    let machine = machine::describe(&place.data)?;
    let data = place.directory()?;
    let server = Server::start_with(&place, data.path(), &["--long-poll", "10"]).await?;
    let seed = options.seed.unwrap_or_else(by_the_clock);
    // A run that does not come to its end must be repeatable, too.
    eprintln!("fleet: seed {seed}");
    let fleet = Arc::new(Fleet::new(server, seed, options.size));
    let progress = Progress::new();
    progress.say("the entities are spawned");
    prepare::prepare(&fleet).await?;

    let mut runners = JoinSet::new();
    for n in 0..fleet.size.runners {
        runners.spawn(life::run(Arc::clone(&fleet), Runner(n)));
    }
    let phases = async {
        progress.say(&format!("{} s of messages and deaths", options.size.seconds));
        send::send(&fleet, Duration::from_secs(options.size.seconds)).await?;
        fleet.spare();
        progress.say("what is left is done, and leases of the dead end");
        quiet::quiet(&fleet).await
    };
    let quiet = tokio::select! {
        quiet = phases => quiet?,
        Some(ended) = runners.join_next() => return Err(format!("a runner ended: {ended:?}").into()),
    };
    fleet.end();
    progress.say("the last of the dead have their say");
    while let Some(ended) = runners.join_next().await {
        ended??;
    }
    let left = quiet::left(&fleet).await?;
    let report = Report { machine, quiet, findings: fleet.ledger().judge(), left };
    let text = report.text(&fleet);
    Arc::into_inner(fleet).ok_or("somebody is still at work")?.server.stop().await?;
    Ok(text)
}

fn by_the_clock() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64 % 1_000_000_000)
}
