//! `reveille revive`: takes dispatches back that were given up.

use std::process::ExitCode;

use serde_json::{Value as Json, json};

use super::{entity, failed, refused};
use crate::client::Client;
use crate::client::Failure;
use crate::client::caller::Caller;
use crate::terminal::Terminal;

#[derive(clap::Args, Debug)]
pub(crate) struct Revive {
    /// The entity: its type and its id
    #[arg(value_name = "/TYPE/ID", value_parser = entity, required_unless_present = "all")]
    entity: Option<String>,

    /// All that you may write to
    #[arg(long, conflicts_with = "entity")]
    all: bool,

    #[command(flatten)]
    caller: Caller,
}

/// Takes one entity's dispatch back, or all.
pub(crate) async fn revive(args: Revive) -> ExitCode {
    let client = match args.caller.client() {
        Ok(client) => client,
        Err(message) => return refused(&message),
    };
    let done = match &args.entity {
        Some(entity) => one(&client, entity).await,
        None => all(&client).await,
    };
    match done {
        Ok((text, json)) => {
            let terminal = Terminal::stdout();
            if terminal.person {
                terminal.line(&text)
            } else {
                terminal.json(&json)
            }
            ExitCode::SUCCESS
        }
        Err(failure) => failed(client.base(), &failure),
    }
}

async fn one(client: &Client, entity: &str) -> Result<(String, Json), Failure> {
    let answer = client.post(&format!("/_reveille/entities{entity}/revive"), &Json::Null).await?.json();
    Ok((format!("{entity} is {}", answer["state"].as_str().unwrap_or("revived")), answer))
}

async fn all(client: &Client) -> Result<(String, Json), Failure> {
    let (mut revived, mut after) = (0, 0);
    loop {
        let page = client.post(&format!("/_reveille/dead-letters/revive?after={after}"), &Json::Null).await?.json();
        revived += page["revived"].as_u64().unwrap_or(0);
        match page["next"].as_i64() {
            Some(next) => after = next,
            None => return Ok((format!("{revived} taken back"), json!({ "revived": revived }))),
        }
    }
}

pub(crate) const REVIVE: &str = "\
A webhook that fails a hundred times, over about an hour and a half, is given up; what was pending stays so.

Examples:
  reveille revive /horton/a
  reveille revive --all
  curl http://127.0.0.1:4437/_reveille/dead-letters     what was given up, and the last answers";
