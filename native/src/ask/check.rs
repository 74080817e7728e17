//! `reveille check`: whether every entity is dispatched in exactly one way and nothing was forgotten; and to repair it.

use std::io::Write;
use std::process::ExitCode;

use serde_json::{Value as Json, json};

use super::{failed, refused};
use crate::client::caller::Caller;
use crate::terminal::{Terminal, shown};

#[derive(clap::Args, Debug)]
pub(crate) struct Check {
    /// Repair what is found
    #[arg(long)]
    repair: bool,

    #[command(flatten)]
    caller: Caller,
}

/// Looks at all entities, page by page. Fails when something is wrong and was not repaired.
pub(crate) async fn check(args: Check) -> ExitCode {
    let client = match args.caller.client() {
        Ok(client) => client,
        Err(message) => return refused(&message),
    };
    let terminal = Terminal::stdout();
    let mut tally = Tally::default();
    let mut after = 0;
    loop {
        let path = format!("/_reveille/check?after={after}");
        let page = if args.repair { client.post(&path, &Json::Null).await } else { client.get(&path).await };
        let page = match page {
            Ok(answer) => answer.json(),
            Err(failure) => return failed(client.base(), &failure),
        };
        tally.add(terminal, &page);
        match page["next"].as_i64() {
            Some(next) => after = next,
            None => break,
        }
    }
    tally.print(terminal, args.repair);
    if tally.left > 0 { ExitCode::from(crate::FAILURE) } else { ExitCode::SUCCESS }
}

#[derive(Default)]
struct Tally {
    checked: u64,
    repaired: u64,
    left: usize,
    problems: Vec<Json>,
}

impl Tally {
    fn add(&mut self, terminal: Terminal, page: &Json) {
        self.checked += page["checked"].as_u64().unwrap_or(0);
        self.repaired += page["repaired"].as_u64().unwrap_or(0);
        let left = if page["left"].is_array() { &page["left"] } else { &page["problems"] };
        self.left += left.as_array().map_or(0, Vec::len);
        for problem in page["problems"].as_array().into_iter().flatten() {
            if terminal.person {
                let kind = problem["kind"].as_str().unwrap_or("");
                let text = |name: &str| shown(problem[name].as_str().unwrap_or(""), 300);
                terminal.line(&format!(
                    "{} {}; {}",
                    terminal.yellow(kind),
                    text("message"),
                    terminal.dim(&text("repair"))
                ));
            }
            self.problems.push(problem.clone());
        }
        if terminal.person && page["next"].is_number() {
            let _ = write!(std::io::stderr(), "\r{} entities…", self.checked);
        }
    }

    fn print(&self, terminal: Terminal, repair: bool) {
        if !terminal.person {
            let Self { checked, repaired, left, problems } = self;
            let all = json!({ "checked": checked, "problems": problems, "repaired": repaired, "left": left });
            return terminal.json(&all);
        }
        let found = match self.problems.len() {
            0 => terminal.green("all is as it should be"),
            1 => "1 problem".to_owned(),
            n => format!("{n} problems"),
        };
        let mended = if repair && !self.problems.is_empty() {
            format!(", {} repairs, {} left", self.repaired, self.left)
        } else {
            String::new()
        };
        terminal.line(&format!("{} entities: {found}{mended}", self.checked));
    }
}

pub(crate) const CHECK: &str = "\
The server is asked and goes on meanwhile; it needs a built-in system principal, which a development server takes everyone
to be.

Examples:
  reveille check
  reveille check --repair
  reveille check --server https://agents.example.com --api-key-file key.txt | jq .problems";
