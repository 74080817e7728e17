//! `reveille explain`: why an entity is awake or asleep, what it waits for, and what happens next.

use std::process::ExitCode;

use percent_encoding::utf8_percent_encode;
use serde_json::Value as Json;

use super::{entity, failed, refused};
use crate::client::caller::Caller;
use crate::terminal::{Terminal, shown};

#[derive(clap::Args, Debug)]
pub(crate) struct Explain {
    /// The entity: its type and its id
    #[arg(value_name = "/TYPE/ID", value_parser = entity)]
    entity: String,

    /// Why an event did not wake it: the entity or the stream on which it stands
    #[arg(long, value_name = "PATH", requires = "offset")]
    source: Option<String>,

    /// Where the event's append ended
    #[arg(long, value_name = "OFFSET", requires = "source")]
    offset: Option<String>,

    /// Which event of the append, from 0; otherwise all of them
    #[arg(long, value_name = "N", requires = "offset")]
    index: Option<u32>,

    /// All that is remembered, and not only the last wake
    #[arg(long)]
    journal: bool,

    #[command(flatten)]
    caller: Caller,
}

/// Asks, and prints what the server says.
pub(crate) async fn explain(args: Explain) -> ExitCode {
    let client = match args.caller.client() {
        Ok(client) => client,
        Err(message) => return refused(&message),
    };
    let explained = match client.get(&args.path()).await {
        Ok(answer) => answer.json(),
        Err(failure) => return failed(client.base(), &failure),
    };
    let steps = if args.journal {
        match client.get(&format!("/_reveille/entities{}/journal", args.entity)).await {
            Ok(answer) => answer.json()["steps"].take(),
            Err(failure) => return failed(client.base(), &failure),
        }
    } else {
        explained["last"].clone()
    };
    let terminal = Terminal::stdout();
    if terminal.person {
        print(terminal, &explained, steps.as_array().map_or(&[], Vec::as_slice));
    } else {
        let mut explained = explained;
        if args.journal {
            explained["journal"] = steps;
        }
        terminal.json(&explained);
    }
    ExitCode::SUCCESS
}

impl Explain {
    fn path(&self) -> String {
        let mut path = format!("/_reveille/entities{}/explain", self.entity);
        let mut separator = '?';
        let index = self.index.map(|index| index.to_string());
        for (name, value) in [("source", &self.source), ("offset", &self.offset), ("index", &index)] {
            if let Some(value) = value {
                path.push_str(&format!(
                    "{separator}{name}={}",
                    utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC)
                ));
                separator = '&';
            }
        }
        path
    }
}

fn print(terminal: Terminal, explained: &Json, steps: &[Json]) {
    let text = |value: &Json| shown(value.as_str().unwrap_or(""), LONGEST);
    let list = |name: &str| explained[name].as_array().cloned().unwrap_or_default();
    terminal.line(&text(&explained["summary"]));
    for (i, wait) in list("waiting_for").iter().enumerate() {
        heading(terminal, if i == 0 { "waits for" } else { "" }, &text(wait));
    }
    for (i, next) in list("next").iter().enumerate() {
        heading(
            terminal,
            if i == 0 { "next" } else { "" },
            &format!("{}  {}", terminal.cyan(&text(&next["at"])), text(&next["what"])),
        );
    }
    for (i, step) in steps.iter().enumerate() {
        heading(terminal, if i == 0 { "journal" } else { "" }, &line(terminal, step));
    }
    let event = &explained["event"];
    if let Some(why) = event["why"].as_str() {
        heading(terminal, "event", &shown(why, LONGEST));
    }
    for event in event["events"].as_array().into_iter().flatten() {
        let name = format!("{} {} `{}`", event["index"], text(&event["type"]), text(&event["key"]));
        heading(terminal, "event", &terminal.bold(&name));
        for one in event["registrations"].as_array().into_iter().flatten() {
            let mark = if one["matched"] == true { terminal.green("matched") } else { terminal.yellow("no match") };
            heading(
                terminal,
                "",
                &format!("{mark}  registration {} {}: {}", one["registration"], one["condition"], text(&one["why"])),
            );
        }
    }
}

fn heading(terminal: Terminal, head: &str, text: &str) {
    terminal.line(&format!("{} {text}", terminal.dim(&format!("{head:>10}"))));
}

/// One step: when, what, and what belongs to it.
fn line(terminal: Terminal, step: &Json) -> String {
    let what = step["what"].as_str().unwrap_or("");
    let painted = match what {
        "dead-lettered" | "expired" | "fenced" => terminal.red(&format!("{what:<13}")),
        "retried" | "slowed" | "suppressed" | "parked" => terminal.yellow(&format!("{what:<13}")),
        _ => terminal.bold(&format!("{what:<13}")),
    };
    let more: Vec<String> = step
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, _)| !["at", "what", "entity", "generation"].contains(&name.as_str()))
        .map(|(name, value)| match value.as_str() {
            Some(text) => format!("{name}={}", shown(text, LONGEST)),
            None => format!("{name}={}", shown(&value.to_string(), LONGEST)),
        })
        .collect();
    format!("{}  {painted} {}", terminal.cyan(step["at"].as_str().unwrap_or("")), terminal.dim(&more.join(" ")))
}

pub(crate) const EXPLAIN: &str = "\
Examples:
  reveille explain /horton/a
  reveille explain /horton/a --journal
  reveille explain /horton/a --source /worker/b --offset 0000000000000000_0000000000000186
  reveille explain /horton/a | jq .dispatch";

/// The longest text of one member.
const LONGEST: usize = 400;
