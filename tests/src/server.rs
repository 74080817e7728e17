//! The server under test, as a child process: started, asked about, ended.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value as Json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::Result;
use crate::client::{Ask, Connection};
use crate::program::Place;

/// A running server. Dropped, it is killed.
#[derive(Debug)]
pub struct Server {
    child: Child,
    pid: u32,
    started: Instant,
    /// Where it listens.
    pub address: SocketAddr,
    /// From the start of the process to its first healthy answer.
    pub healthy_after: Duration,
}

impl Server {
    /// Starts Reveille in dev mode on `data`, on any free port, and waits until it is healthy.
    pub async fn start(place: &Place, data: &Path) -> Result<Self> {
        Self::start_with(place, data, &[]).await
    }

    /// The same with more options of `reveille dev`.
    pub async fn start_with(place: &Place, data: &Path, options: &[&str]) -> Result<Self> {
        let mut command = Command::new(&place.server);
        command.args(["--log", "warn", "dev", "--port", "0", "--data-dir"]).arg(data).args(options);
        let mut server = Self::spawn(command).await?;
        server.connect().await?.expect(Ask::get("/_electric/health")).await?;
        server.healthy_after = server.started.elapsed();
        Ok(server)
    }

    /// Starts a program that prints `{"ready":"http://ADDRESS"}` once it listens there.
    pub async fn spawn(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let started = Instant::now();
        let mut child = command.spawn().map_err(|error| format!("{:?}: {error}", command.as_std().get_program()))?;
        let pid = child.id().ok_or("the server ended at once")?;
        let output = child.stdout.take().ok_or("the server has no output")?;
        let line = timeout(PATIENCE, BufReader::new(output).lines().next_line()).await;
        let line = line.map_err(|_| "the server is not ready after 30 s")??.ok_or("the server ended at its start")?;
        let ready: Json = serde_json::from_str(&line)?;
        let url = ready["ready"].as_str().ok_or("the server does not say where it listens")?;
        let address = url.trim_start_matches("http://").parse()?;
        Ok(Self { child, pid, address, started, healthy_after: started.elapsed() })
    }

    /// Its process, for `/proc`.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// A new connection to it.
    pub async fn connect(&self) -> Result<Connection> {
        Connection::open(self.address).await
    }

    /// Its resident memory, in bytes.
    pub fn resident(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kilobytes * 1024)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw).ok_or("no process")?;
        Ok(kill_process(pid, signal)?)
    }

    /// Ends it gracefully.
    pub async fn stop(mut self) -> Result<()> {
        self.signal(Signal::TERM)?;
        timeout(PATIENCE, self.child.wait()).await.map_err(|_| "the server does not stop")??;
        Ok(())
    }

    /// Ends it as a crash does.
    pub async fn crash(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }
}

const PATIENCE: Duration = Duration::from_secs(30);
