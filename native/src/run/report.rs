//! What `reveille run` says about itself: lines for people, JSON for programs.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reveille::reveille_core::Time;
use serde_json::{Value as Json, json};

use super::args::Args;
use super::register::Registered;
use crate::client::Failure;
use crate::client::wake::Row;
use crate::terminal::{Terminal, shown};

/// Where it is said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Report(Terminal);

/// What is said.
#[derive(Debug)]
pub(super) enum What<'a> {
    /// The server knows the runner.
    Ready { args: &'a Args, server: &'a str, registered: &'a Registered },
    /// The wake stream is open.
    Online,
    /// The server is away.
    Offline { why: &'a Failure },
    /// The program was started.
    Started { entity: &'a str, wake: &'a str, epoch: i64, why: &'a [String] },
    /// It ended.
    Ended { entity: &'a str, failed: Option<&'a str>, took: Duration, lines: usize },
    /// Its lease was lost.
    Lost { entity: &'a str },
    /// Its work was given back.
    Released { entity: &'a str },
    /// Something could not be done.
    Trouble { entity: &'a str, why: &'a Failure },
    /// A signal came.
    Stopping { busy: usize, grace: Duration },
}

impl Report {
    pub(super) fn new() -> Self {
        Self(Terminal::stdout())
    }

    /// Says it.
    pub(super) fn tell(self, what: &What<'_>) {
        let now = now();
        if self.0.person { self.paint(&now, what) } else { self.0.json(&as_json(&now, what)) }
    }

    fn paint(self, now: &str, what: &What<'_>) {
        let t = self.0;
        let line = |who: &str, what: &str| {
            t.line(&format!(
                "{}  {}  {what}",
                t.dim(now.get(11..19).unwrap_or(now)),
                t.cyan(&format!("{:<24}", shown(who, 40)))
            ))
        };
        match what {
            What::Ready { args, server, registered } => {
                let program = shown(&args.program.join(" "), 60);
                t.line(&format!(
                    "{} {program} for {} at {server}, as {}",
                    t.bold("reveille run:"),
                    t.bold(&args.entity_type),
                    args.runner()
                ));
                if let Registered::TakenOver { from } = registered {
                    t.line(&t.yellow(&format!(
                        "new `{}` entities came to {} until now; they come here from now on",
                        args.entity_type,
                        shown(from, 80)
                    )));
                }
            }
            What::Online => line("", "online, waiting for work; Ctrl-C stops"),
            What::Offline { why } => line("", &t.yellow(&format!("no server: {why}; trying again"))),
            What::Started { entity, why, .. } => {
                line(entity, &format!("{} by {}", t.green("woken"), shown(&why.join(", and "), 80)))
            }
            What::Ended { entity, failed: None, took, lines } => line(
                entity,
                &format!("completed in {} {}", seconds(*took), t.dim(&format!("· {}", counted(*lines, "line")))),
            ),
            What::Ended { entity, failed: Some(why), took, .. } => {
                line(entity, &format!("{} in {}: {}", t.red("failed"), seconds(*took), shown(why, 120)))
            }
            What::Lost { entity } => {
                line(entity, &t.red("its lease was lost: the program was killed, somebody else has the work"))
            }
            What::Released { entity } => line(entity, "given back: it is announced again"),
            What::Trouble { entity, why } => line(entity, &t.red(&shown(&why.to_string(), 120))),
            What::Stopping { busy: 0, .. } => line("", "stopping"),
            What::Stopping { busy, grace } => line(
                "",
                &format!(
                    "stopping: {} may finish for {} s; Ctrl-C again gives their work back",
                    counted(*busy, "program"),
                    grace.as_secs()
                ),
            ),
        }
    }
}

fn as_json(now: &str, what: &What<'_>) -> Json {
    let mut line = match what {
        What::Ready { args, server, registered } => {
            let from = if let Registered::TakenOver { from } = registered { Some(from) } else { None };
            json!({ "event": "ready", "type": args.entity_type, "runner": args.runner(), "server": server, "taken_over_from": from })
        }
        What::Online => json!({ "event": "online" }),
        What::Offline { why } => json!({ "event": "offline", "error": why.to_string() }),
        What::Started { entity, wake, epoch, why } => {
            json!({ "event": "started", "entity": entity, "wake": wake, "epoch": epoch, "why": why })
        }
        What::Ended { entity, failed, took, lines } => {
            let event = if failed.is_some() { "failed" } else { "completed" };
            json!({ "event": event, "entity": entity, "ms": took.as_millis() as u64, "lines": lines, "error": failed })
        }
        What::Lost { entity } => json!({ "event": "lost", "entity": entity }),
        What::Released { entity } => json!({ "event": "released", "entity": entity }),
        What::Trouble { entity, why } => json!({ "event": "trouble", "entity": entity, "error": why.to_string() }),
        What::Stopping { busy, .. } => json!({ "event": "stopping", "busy": busy }),
    };
    line["at"] = now.into();
    line
}

/// Why an entity woke, in words.
pub(super) fn why(row: &Row) -> String {
    let value = &row.json["value"];
    match row.json["type"].as_str() {
        Some("wake") => match value["finished_child"]["url"].as_str() {
            Some(child) => {
                format!("{child}, which has {}", value["finished_child"]["run_status"].as_str().unwrap_or("finished"))
            }
            None => format!("a change of {}", value["source"].as_str().unwrap_or("?")),
        },
        _ => format!("the message {}", value["payload"]),
    }
}

fn seconds(took: Duration) -> String {
    format!("{:.2} s", took.as_secs_f64())
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)).iso()
}
