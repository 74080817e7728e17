//! How the timeline looks: columns for people, JSON lines for programs.

use std::time::{Duration, SystemTime};

use serde_json::{Value as Json, json};

use super::timeline::{Line, What};
use crate::terminal::{Terminal, shown};

/// What has been printed so far, as far as it matters for what comes.
pub(super) struct Printer {
    terminal: Terminal,
    began: SystemTime,
    url: String,
    planner: String,
    last: String,
    latencies: Vec<u64>,
    finished: bool,
}

impl Printer {
    /// Prints what the demo is about.
    pub(super) fn new(url: &str, planner: &str, began: SystemTime) -> Self {
        let (url, planner) = (url.to_owned(), planner.to_owned());
        let terminal = Terminal::stdout();
        let printer =
            Self { terminal, began, url, planner, last: String::new(), latencies: Vec::new(), finished: false };
        printer.head();
        printer
    }

    /// Prints what happened.
    pub(super) fn line(&mut self, line: &Line) {
        let at = line.at.duration_since(self.began).unwrap_or_default();
        let latency = match &line.what {
            What::Woke { cause, .. } => {
                cause.at.map(|cause| line.at.duration_since(cause).unwrap_or_default().as_millis() as u64)
            }
            _ => None,
        };
        // What was caused while nothing ran says how long that was, and nothing of how fast the server is.
        let before = matches!(&line.what, What::Woke { cause, .. } if cause.at.is_some_and(|cause| cause < self.began));
        if !before && !self.finished {
            self.latencies.extend(latency);
        }
        if self.terminal.person {
            if !matches!(line.what, What::Sleeps) {
                self.paint(at, latency, before, line);
            }
        } else {
            self.terminal.json(&as_json(at, latency, line));
        }
        if matches!(line.what, What::Finished { .. }) && line.who == self.planner && !self.finished {
            self.finished = true;
            self.summary(at);
        }
    }

    fn paint(&mut self, at: Duration, latency: Option<u64>, before: bool, line: &Line) {
        let t = self.terminal;
        let when = t.dim(&format!("{:>8}", format!("{:.2} s", at.as_secs_f64())));
        let after = match latency {
            Some(_) if before => t.dim(&format!("{:>9}", "restart")),
            Some(ms) => t.bold(&format!("{:>9}", format!("{ms} ms"))),
            None => " ".repeat(9),
        };
        let who = format!("{:<25}", shown(&line.who, 25));
        let who = match line.who.as_str() {
            same if same == self.last => t.dim(&who),
            planner if planner.starts_with("/planner/") => t.cyan(&who),
            worker if worker.starts_with("/worker/") => t.yellow(&who),
            _ => who,
        };
        self.last.clone_from(&line.who);
        let what = match &line.what {
            What::Woke { cause, by } => {
                format!(
                    "{} {} {}",
                    t.green("woken"),
                    t.dim(&format!("via {by}:")),
                    shown(&cause.why.join(", and "), 70)
                )
            }
            What::Did { text, .. } => shown(text, 80),
            What::GoesOn { answers } => format!("goes on: it has {answers} of 3 answers"),
            What::Sleeps => "sleeps".to_owned(),
            What::Waits => t.dim(LEASED),
            What::Trouble { text } => t.red(&shown(text, 80)),
            What::Finished { text } => t.bold(&shown(text, 80)),
        };
        t.line(&format!("{when}{after}  {who}  {what}"));
    }

    fn head(&self) {
        let t = self.terminal;
        if !t.person {
            return;
        }
        t.line("");
        t.line("A planner, woken by signed webhooks, gives jobs to three workers, woken through a runner.");
        t.line("Nothing waits in memory: stop this halfway and start it again, and it goes on.");
        t.line(&format!("Ctrl-C will do; so will kill -9 {}.", std::process::id()));
        t.line("");
        t.line(&t.dim(&format!("{:>8}{:>9}  {:<25}  {}", "at", "after", "who", "what")));
    }

    /// What was shown, and what to try.
    fn summary(&self, at: Duration) {
        let t = self.terminal;
        let tries = tries(&self.url, &self.planner);
        if !t.person {
            let (at, wakes) = (at.as_millis() as u64, self.latencies.len());
            let tries = tries.map(|(_, line)| line);
            t.json(&json!({ "event": "summary", "at_ms": at, "wakes": wakes, "try": tries }));
            return;
        }
        t.line("");
        if let (Some(fastest), Some(slowest)) = (self.latencies.iter().min(), self.latencies.iter().max()) {
            let (wakes, took) = (self.latencies.len(), at.as_secs_f64());
            t.line(&format!("{wakes} wakes in {took:.1} s, {fastest} to {slowest} ms after their causes."));
        }
        t.line("The agents and the server stay up. Try next:");
        for (what, line) in tries {
            t.line("");
            t.line(&t.dim(&format!("  # {what}")));
            t.line(&format!("  {line}"));
        }
        t.line("");
    }
}

fn as_json(at: Duration, latency: Option<u64>, line: &Line) -> Json {
    let at = at.as_millis() as u64;
    match &line.what {
        What::Woke { cause, by } => {
            json!({ "event": "woke", "at_ms": at, "entity": line.who, "why": cause.why, "by": by, "after_ms": latency })
        }
        What::Did { text, wrote: Some(answer) } => {
            json!({ "event": "answered", "at_ms": at, "entity": line.who, "text": text, "answer": answer })
        }
        What::Did { text, wrote: None } => json!({ "event": "did", "at_ms": at, "entity": line.who, "text": text }),
        What::GoesOn { answers } => json!({ "event": "goes_on", "at_ms": at, "entity": line.who, "answers": answers }),
        What::Sleeps => json!({ "event": "sleeps", "at_ms": at, "entity": line.who }),
        What::Waits => json!({ "event": "waits", "at_ms": at, "entity": line.who, "text": LEASED }),
        What::Trouble { text } => json!({ "event": "trouble", "at_ms": at, "entity": line.who, "text": text }),
        What::Finished { text } => json!({ "event": "finished", "at_ms": at, "entity": line.who, "answer": text }),
    }
}

/// Requests to go on with.
fn tries(url: &str, planner: &str) -> [(&'static str, String); 4] {
    [
        (
            "send the planner a message, and see above that it wakes",
            format!("curl -X POST {url}/_electric/entities{planner}/send -d '{{\"payload\":\"Is it ready?\"}}'"),
        ),
        ("read its stream; add ?offset=-1&live=sse to follow it", format!("curl {url}{planner}/main")),
        ("ask why it is asleep, and what woke it", format!("curl {url}/_reveille/entities{planner}/explain")),
        ("list the entities", format!("curl {url}/_electric/entities")),
    ]
}

/// Why a demo that goes on may stand still at first.
const LEASED: &str = "what was claimed when it was stopped is announced again when its lease ends, within 30 s";
