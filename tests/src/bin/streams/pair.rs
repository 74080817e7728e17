//! The two servers, side by side on the same disk: Reveille, and the published one on its file store.

use std::time::Duration;

use reveille_tests::Result;
use reveille_tests::machine::on_disk;
use reveille_tests::program::Place;
use reveille_tests::server::Server;
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use crate::message::create;
use crate::wire::Wire;

/// What the published server is called.
pub(crate) const PUBLISHED: &str = "@durable-streams/server 0.3.7";

/// Both, started on empty directories.
#[derive(Debug)]
pub(crate) struct Pair([Side; 2]);

/// One of the two.
#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) server: Server,
    pub(crate) ours: bool,
    data: TempDir,
}

impl Pair {
    pub(crate) async fn start(place: &Place) -> Result<Self> {
        let data = place.directory()?;
        let ours = Side { server: Server::start(place, data.path()).await?, ours: true, data };
        let data = place.directory()?;
        let mut command = Command::new(place.root.join("tests/node"));
        command.arg("--expose-gc").arg(place.root.join("tests/harness/npm-server.mjs")).arg(data.path());
        let theirs = Side { server: Server::spawn(command).await?, ours: false, data };
        Ok(Self([ours, theirs]))
    }

    /// Measures both, so many times. Gives what each round gave, ours first.
    pub(crate) async fn rounds<T>(
        &self,
        count: u64,
        mut measure: impl AsyncFnMut(&Side, u64) -> Result<T>,
    ) -> Result<Vec<[T; 2]>> {
        let mut rounds = Vec::new();
        for round in 0..count {
            rounds.push(self.round(round, &mut measure).await?);
        }
        Ok(rounds)
    }

    /// Measures both; who is first takes turns.
    pub(crate) async fn round<T>(
        &self,
        round: u64,
        mut measure: impl AsyncFnMut(&Side, u64) -> Result<T>,
    ) -> Result<[T; 2]> {
        let [ours, theirs] = &self.0;
        let mut bounded = async |side: &Side| {
            sleep(REST).await;
            let measured = timeout(LIMIT, measure(side, round)).await;
            let measured = measured.map_err(|_| format!("a round takes longer than {} s", LIMIT.as_secs()))?;
            measured.map_err(|error| format!("{}: {error}", side.name()))
        };
        if round.is_multiple_of(2) {
            return Ok([bounded(ours).await?, bounded(theirs).await?]);
        }
        let theirs = bounded(theirs).await?;
        Ok([bounded(ours).await?, theirs])
    }

    /// Ends both, and gives the bytes that they leave on the disk.
    pub(crate) async fn stop(self) -> Result<[u64; 2]> {
        let [ours, theirs] = self.0;
        Ok([ours.stop().await?, theirs.stop().await?])
    }
}

impl Side {
    pub(crate) fn name(&self) -> &'static str {
        if self.ours { "reveille" } else { "published" }
    }

    pub(crate) async fn connect(&self) -> Result<Wire> {
        Wire::open(self.server.address).await
    }

    /// Makes a stream.
    pub(crate) async fn create(&self, path: &str) -> Result<()> {
        self.connect().await?.ask(&create(path), &mut Vec::new()).await.map(drop)
    }

    /// Its resident memory, in bytes, after its garbage is collected.
    pub(crate) async fn resident(&self) -> Result<f64> {
        if !self.ours {
            self.server.signal(Signal::USR2)?;
        }
        sleep(COLLECT).await;
        Ok(self.server.resident()? as f64)
    }

    async fn stop(self) -> Result<u64> {
        self.server.stop().await?;
        on_disk(self.data.path())
    }
}

/// Before each measurement, so that what the one before has left to do is done.
const REST: Duration = Duration::from_millis(200);
const COLLECT: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(600);
