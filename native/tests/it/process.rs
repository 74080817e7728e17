//! The binary as a process that says what it does in JSON lines.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value as Json;
use tokio::sync::mpsc;

/// A running command. Dropped, it is killed.
pub(crate) struct Process {
    child: Child,
    lines: mpsc::UnboundedReceiver<Json>,
    /// All that it has said so far, as far as it was waited for.
    pub(crate) said: Vec<Json>,
}

impl Process {
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reveille"));
        command.args(args).env_remove("REVEILLE_API_KEY");
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap_or(Json::String(line));
                let _ = sender.send(line);
            }
        });
        Self { child, lines, said: Vec::new() }
    }

    /// The next line that fits.
    pub(crate) async fn until(&mut self, what: &str, fits: impl Fn(&Json) -> bool) -> Json {
        loop {
            let line = tokio::time::timeout(PATIENCE, self.lines.recv()).await;
            let Ok(Some(line)) = line else { panic!("never: {what}; it said {:#?}", self.said) };
            self.said.push(line.clone());
            if fits(&line) {
                return line;
            }
        }
    }

    /// The next line of an event about an entity.
    pub(crate) async fn event(&mut self, event: &str, entity: &str) -> Json {
        self.until(&format!("{event} {entity}"), |line| line["event"] == event && line["entity"] == entity).await
    }

    /// All it said of one kind.
    pub(crate) fn events(&self, event: &str) -> Vec<&Json> {
        self.said.iter().filter(|line| line["event"] == event).collect()
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Kills it, as a power cut would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end.
    pub(crate) async fn end(mut self) -> ExitStatus {
        for _ in 0..PATIENCE.as_millis() / 20 {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it does not end")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const PATIENCE: Duration = Duration::from_secs(40);
