//! The timeline: what woke whom, why, and how many milliseconds after its cause; as it happens.

use std::time::{Duration, SystemTime};

use serde_json::{Value as Json, json};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::cause::Cause;
use super::scene::Scene;
use crate::terminal::{Terminal, shown};

/// Where the agents say what they do. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Timeline(mpsc::UnboundedSender<Line>);

/// What happened.
#[derive(Debug)]
pub(super) enum What {
    /// An agent woke.
    Woke {
        /// Why.
        cause: Cause,
        /// How it was reached.
        by: &'static str,
    },
    /// Somebody did something.
    Did {
        /// In words.
        text: String,
        /// What it wrote, when that is an answer.
        wrote: Option<String>,
    },
    /// A demo from before is there and goes on.
    GoesOn {
        /// How many answers it has.
        answers: usize,
    },
    /// Nothing happens yet.
    Waits,
    /// Something went wrong.
    Trouble {
        /// What.
        text: String,
    },
    /// The planner has finished.
    Finished {
        /// Its answer.
        text: String,
    },
}

#[derive(Debug)]
struct Line {
    at: SystemTime,
    who: String,
    what: What,
}

impl Timeline {
    /// Begins to print.
    pub(super) fn begin(scene: &Scene, url: &str, began: SystemTime) -> Self {
        let (sender, lines) = mpsc::unbounded_channel();
        let printer = Printer {
            terminal: Terminal::stdout(),
            began,
            url: url.to_owned(),
            planner: scene.open.planner.clone(),
            last: String::new(),
            latencies: Vec::new(),
            finished: false,
            hush: None,
        };
        tokio::spawn(printer.print(lines));
        Self(sender)
    }

    /// Something happens now.
    pub(super) fn tell(&self, who: &str, what: What) {
        self.tell_at(SystemTime::now(), who, what);
    }

    /// Something happened at a moment that is just past.
    pub(super) fn tell_at(&self, at: SystemTime, who: &str, what: What) {
        let _ = self.0.send(Line { at, who: who.to_owned(), what });
    }
}

struct Printer {
    terminal: Terminal,
    began: SystemTime,
    url: String,
    planner: String,
    last: String,
    latencies: Vec<u64>,
    finished: bool,
    /// When to explain that nothing happens.
    hush: Option<Instant>,
}

impl Printer {
    /// Prints lines in the order of their moments: agents tell of a wake when they have read why.
    async fn print(mut self, mut lines: mpsc::UnboundedReceiver<Line>) {
        self.head();
        let mut waiting: Vec<Line> = Vec::new();
        loop {
            let settled = match (waiting.is_empty(), self.hush) {
                (false, _) => Instant::now() + SETTLE,
                (true, Some(hush)) => hush,
                (true, None) => Instant::now() + Duration::from_secs(3600),
            };
            tokio::select! {
                line = lines.recv() => match line {
                    Some(line) => waiting.push(line),
                    None => return,
                },
                () = tokio::time::sleep_until(settled) => {
                    waiting.sort_by_key(|line| line.at);
                    waiting.drain(..).for_each(|line| self.line(&line));
                    if self.hush.take_if(|hush| *hush <= Instant::now()).is_some() {
                        let what = What::Waits;
                        self.line(&Line { at: SystemTime::now(), who: self.planner.clone(), what });
                    }
                }
            }
        }
    }

    fn line(&mut self, line: &Line) {
        match &line.what {
            What::GoesOn { .. } => self.hush = Some(Instant::now() + HUSH),
            What::Woke { .. } => self.hush = None,
            _ => {}
        }
        let at = line.at.duration_since(self.began).unwrap_or_default();
        let latency = match &line.what {
            What::Woke { cause, .. } => cause.at.map(|cause| line.at.duration_since(cause).unwrap_or_default().as_millis() as u64),
            _ => None,
        };
        // What was caused while nothing ran says how long that was, and nothing of how fast the server is.
        let before = matches!(&line.what, What::Woke { cause, .. } if cause.at.is_some_and(|cause| cause < self.began));
        if !before {
            self.latencies.extend(latency);
        }
        if self.terminal.person {
            self.paint(at, latency, before, line);
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
        let who = format!("{:<26}", shown(&line.who, 26));
        let who = match line.who.as_str() {
            same if same == self.last => t.dim(&who),
            planner if planner.starts_with("/planner/") => t.cyan(&who),
            worker if worker.starts_with("/worker/") => t.yellow(&who),
            _ => who,
        };
        self.last.clone_from(&line.who);
        let what = match &line.what {
            What::Woke { cause, by } => {
                format!("{} by {} {}", t.green("woken"), shown(&cause.why.join(", and "), 70), t.dim(&format!("· {by}")))
            }
            What::Did { text, .. } => shown(text, 80),
            What::GoesOn { answers } => format!("goes on: it has {answers} of 3 answers"),
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
        t.line("A planner, woken by signed webhooks, gives jobs to three workers, woken through a runner. Each sleeps in between,");
        t.line(&format!(
            "and nothing waits in memory: stop this halfway (Ctrl-C, or kill -9 {}), start it again, and it goes on.",
            std::process::id()
        ));
        t.line("");
        t.line(&t.dim(&format!("{:>8}{:>9}  {:<26}  {}", "at", "after", "who", "what")));
    }

    /// What was shown, and what to try.
    fn summary(&self, at: Duration) {
        let t = self.terminal;
        let tries = tries(&self.url, &self.planner);
        if !t.person {
            t.json(&json!({ "event": "summary", "at_ms": at.as_millis() as u64, "wakes": self.latencies.len(), "try": tries.map(|(_, line)| line) }));
            return;
        }
        let (fastest, slowest) = (self.latencies.iter().min().unwrap_or(&0), self.latencies.iter().max().unwrap_or(&0));
        t.line("");
        t.line(&format!(
            "{} wakes in {:.1} s, each {fastest} to {slowest} ms after its cause. The agents and the server stay up. Try next:",
            self.latencies.len(),
            at.as_secs_f64()
        ));
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
        What::Waits => json!({ "event": "waits", "at_ms": at, "entity": line.who, "text": LEASED }),
        What::Trouble { text } => json!({ "event": "trouble", "at_ms": at, "entity": line.who, "text": text }),
        What::Finished { text } => json!({ "event": "finished", "at_ms": at, "entity": line.who, "answer": text }),
    }
}

/// Three requests to go on with.
fn tries(url: &str, planner: &str) -> [(&'static str, String); 3] {
    [
        (
            "send the planner a message, and see above that it wakes",
            format!("curl -X POST {url}/_electric/entities{planner}/send -d '{{\"payload\":\"Is it ready?\"}}'"),
        ),
        ("read its stream; add ?offset=-1&live=sse to follow it", format!("curl {url}{planner}/main")),
        ("list the entities", format!("curl {url}/_electric/entities")),
    ]
}

/// Why a demo that goes on may stand still at first, and when that is said.
const LEASED: &str = "what was claimed when it was stopped is announced again when its lease ends, within 30 s";
const HUSH: Duration = Duration::from_secs(3);
/// How long a line waits for one that happened before it.
const SETTLE: Duration = Duration::from_millis(25);
