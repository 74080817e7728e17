//! The server under test, as a child process: started, asked about, ended.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value as Json, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::client::{Ask, Connection};
use crate::{Result, Setting};

/// A running server. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pid: u32,
    pub(crate) address: SocketAddr,
    /// From the start of the process to its first healthy answer.
    pub(crate) healthy_after: Duration,
}

impl Server {
    /// Starts the server on `data` and waits until it is healthy.
    pub(crate) async fn start(setting: &Setting, data: &Path) -> Result<Self> {
        let mut command = Command::new(&setting.server);
        command.args(["--log", "warn", "dev", "--port", "0", "--data-dir"]).arg(data);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let start = Instant::now();
        let mut child = command.spawn().map_err(|error| format!("{}: {error}", setting.server.display()))?;
        let pid = child.id().ok_or("the server ended at once")?;
        let output = child.stdout.take().ok_or("the server has no output")?;
        let line = timeout(PATIENCE, BufReader::new(output).lines().next_line()).await;
        let line = line.map_err(|_| "the server is not ready after 30 s")??.ok_or("the server ended at its start")?;
        let ready: Json = serde_json::from_str(&line)?;
        let url = ready["ready"].as_str().ok_or("the server does not say where it listens")?;
        let address = url.trim_start_matches("http://").parse()?;
        Connection::open(address).await?.expect(Ask::get("/_electric/health")).await?;
        Ok(Self { child, pid, address, healthy_after: start.elapsed() })
    }

    /// Its process, for `/proc`.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    pub(crate) async fn connect(&self) -> Result<Connection> {
        Connection::open(self.address).await
    }

    /// Registers a type whose entities are woken at `webhook`, or not at all.
    pub(crate) async fn register(&self, name: &str, webhook: Option<&str>) -> Result<()> {
        let mut body = json!({ "name": name, "description": "of the benchmark" });
        if let Some(url) = webhook {
            let target = json!({ "type": "webhook", "url": url, "subscription_id": name });
            body["default_dispatch_policy"] = json!({ "targets": [target] });
        }
        self.connect().await?.expect(Ask::post("/_electric/entity-types", &body)).await.map(drop)
    }

    /// Its resident memory, in bytes.
    pub(crate) fn resident(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kilobytes * 1024)
    }

    /// Ends it gracefully.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw).ok_or("no process")?;
        kill_process(pid, Signal::TERM)?;
        timeout(PATIENCE, self.child.wait()).await.map_err(|_| "the server does not stop")??;
        Ok(())
    }

    /// Ends it as a crash does.
    pub(crate) async fn crash(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }
}

const PATIENCE: Duration = Duration::from_secs(30);
