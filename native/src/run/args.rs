//! The command line of `reveille run`.

use std::time::Duration;

use crate::client::Client;
use crate::client::caller::Caller;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The entity type whose work to take; registered, with its work going to this runner
    #[arg(long = "type", value_name = "NAME")]
    pub(crate) entity_type: String,

    /// The runner's id; runners of one id share its work [default: runner-NAME]
    #[arg(long, value_name = "ID")]
    pub(crate) runner_id: Option<String>,

    /// What the runner is called where runners are listed [default: the program]
    #[arg(long, value_name = "TEXT")]
    pub(crate) label: Option<String>,

    /// How many programs may run at once
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = places)]
    pub(crate) concurrency: usize,

    #[command(flatten)]
    caller: Caller,

    /// How long programs may finish after a signal, before their work is given back
    #[arg(long, default_value_t = 8, value_name = "SECONDS")]
    grace: u64,

    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    pub(crate) program: Vec<String>,
}

impl Args {
    /// The runner's id.
    pub(crate) fn runner(&self) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.!~*'()".contains(c) { c } else { '-' };
        self.runner_id
            .clone()
            .unwrap_or_else(|| format!("runner-{}", self.entity_type.chars().map(plain).collect::<String>()))
    }

    /// What the runner is called.
    pub(super) fn label(&self) -> String {
        self.label.clone().unwrap_or_else(|| self.program.join(" ").chars().take(200).collect())
    }

    pub(super) fn grace(&self) -> Duration {
        Duration::from_secs(self.grace)
    }

    /// A client for the server, as the caller that was asked for.
    pub(super) fn client(&self) -> Result<Client, String> {
        self.caller.client()
    }
}

fn places(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| (1..=1000).contains(n)).ok_or_else(|| "a number from 1 to 1000".to_owned())
}

/// What the program is given and what it may say: all that its author must know.
pub(crate) const HELP: &str = "\
The program is started once for each wake. It reads one JSON object on standard input, on one line:

  {
    \"entity\":     {\"url\":\"/worker/a\",\"type\":\"worker\",\"tags\":{},\"spawnArgs\":{},…},
    \"principal\":  {\"key\":\"user:alice\",…},       who made the entity
    \"wakeId\":     \"w_…\",                        this wake
    \"epoch\":      3,                            rises with each wake of the entity
    \"streamPath\": \"/worker/a/main\",             all that the entity has read and written
    \"events\":     [ … ]                         why it woke: what is new since its last wake
  }

An event is a row of that stream: a message (\"type\":\"inbox\", with value.payload and value.from), or a
wake (\"type\":\"wake\", with value.source and, when a child has finished, value.finished_child).

Its environment holds, for short scripts, REVEILLE_MESSAGE (the newest message, or answer of a child,
as text), REVEILLE_ENTITY, REVEILLE_SERVER and REVEILLE_WRITE_TOKEN.

What it prints on standard output is appended to the stream as it comes:

  any text             is its answer: `text_delta` rows of a run that begins with the first of them
  {\"type\":\"…\", …}      a JSON object that has a type, on one line, is appended as it is

When the program ends, its run ends: `completed`, or `failed` with an `error` row if its exit status
is not 0. Who waits for the entity wakes with the answer. Standard error is passed through.

All events are acknowledged then. If this command or its machine dies before, the work is announced
again within 30 s: a program may see an event twice. If the work goes to another runner meanwhile,
the program is killed, with all that it started.

SIGINT or SIGTERM: programs may finish for --grace seconds, then their work is given back. A second
signal gives it back at once.

Examples:
  reveille run --type worker -- ./agent.sh
  reveille run --type echo -- sh -c 'echo \"You said: $REVEILLE_MESSAGE\"'
  reveille run --type summary --server https://example.com --api-key-file key.txt -- python3 agent.py";

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn the_id_is_made_of_what_an_id_may_hold() {
        let runner = |args: &[&str]| Cli::parse_from([&["run"], args, &["--", "true"]].concat()).args.runner();
        assert_eq!(runner(&["--type", "worker"]), "runner-worker");
        assert_eq!(runner(&["--type", "wörker/x"]), "runner-w-rker-x");
        assert_eq!(runner(&["--type", "worker", "--runner-id", "mine"]), "mine");
    }
}
