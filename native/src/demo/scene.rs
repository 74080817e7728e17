//! What must be there before the demo begins: a port for the planner, a runner for the workers, the two types, and a
//! planner with something to do. An unfinished demo is found by reading the server, and goes on.

use std::net::{Ipv4Addr, SocketAddr};

use serde_json::{Value as Json, json};
use tokio::net::TcpListener;

use super::plan;
use super::timeline::{Timeline, What};
use crate::client::wake::Row;
use crate::client::{Client, Failure};

/// The scene, set.
#[derive(Debug)]
pub(super) struct Scene {
    /// Where the planner hears webhooks.
    pub(super) listener: TcpListener,
    /// How the demo begins.
    pub(super) open: Opening,
}

/// How the demo begins.
#[derive(Debug)]
pub(super) struct Opening {
    /// The planner's URL.
    pub(super) planner: String,
    /// The policy under which it is spawned; none when it exists.
    policy: Option<Json>,
    /// How many answers it has already.
    answers: usize,
}

impl Scene {
    /// Registers what the agents need.
    pub(super) async fn set(client: &Client) -> Result<Self, Failure> {
        let planners = client.get("/_electric/entities?type=planner").await.map(|answer| answer.json());
        let planners = planners.map(|list| list.as_array().cloned().unwrap_or_default())?;
        let ours: Vec<&Json> = planners.iter().filter(|p| p["tags"]["demo"] == TAG).collect();
        let newest = ours.iter().find(|p| p["status"] != "killed" && p["status"] != "stopped");
        let listener = listen(client, newest.and_then(|p| port_of(p))).await?;
        let port = listener.local_addr().map_err(|error| Failure::Unreachable(error.to_string()))?.port();
        let policy = json!({ "targets": [{ "type": "webhook", "url": format!("http://127.0.0.1:{port}/wake") }] });

        client.post("/_electric/runners", &json!({ "id": RUNNER, "label": "The workers of the demo" })).await?;
        let kind = |name: &str, description: &str, policy: &Json| json!({ "name": name, "description": description, "default_dispatch_policy": policy });
        let planner = kind("planner", "Gives jobs to workers (demo)", &policy);
        client.post("/_electric/entity-types", &planner).await?;
        // Somebody else may run workers by now: see `reveille run`.
        if matches!(client.get("/_electric/entity-types/worker").await, Err(Failure::Refused { status: 404, .. })) {
            let worker = kind("worker", "Answers after a moment (demo)", &runner_policy());
            client.post("/_electric/entity-types", &worker).await?;
        }

        let unfinished = match newest {
            Some(planner) => unfinished(client, planner, port).await?,
            None => None,
        };
        let number = 1 + ours.iter().filter_map(|p| number_of(p)).max().unwrap_or(0);
        let fresh = || Opening { planner: format!("/planner/morning-{number}"), policy: Some(policy), answers: 0 };
        Ok(Self { listener, open: unfinished.unwrap_or_else(fresh) })
    }

    /// The workers' runner.
    pub(super) fn runner(&self) -> &'static str {
        RUNNER
    }
}

/// Spawns the planner with its first message; or says that there is one, which needs nobody to tell it anything.
pub(super) async fn raise_the_curtain(client: &Client, open: &Opening, timeline: &Timeline) -> Result<(), Failure> {
    let Some(policy) = &open.policy else {
        let answers = open.answers;
        timeline.tell(&open.planner, What::GoesOn { answers });
        return Ok(());
    };
    timeline.tell("you", What::Did { text: format!("spawn {} with \"{GREETING}\"", open.planner), wrote: None });
    let body = json!({ "initialMessage": GREETING, "tags": { "demo": TAG }, "dispatch_policy": policy });
    match client.put(&format!("/_electric/entities{}", open.planner), &body).await {
        Err(Failure::Refused { status: 409, .. }) => Ok(()),
        result => result.map(|_| ()),
    }
}

/// The policy of the workers.
pub(super) fn runner_policy() -> Json {
    json!({ "targets": [{ "type": "runner", "runnerId": RUNNER }] })
}

/// A planner that has not finished and whose webhooks come to this port.
async fn unfinished(client: &Client, planner: &Json, port: u16) -> Result<Option<Opening>, Failure> {
    let url = planner["url"].as_str().unwrap_or("");
    let rows = client.get(&format!("{url}/main")).await?.json();
    let rows: Vec<Row> = rows.as_array().into_iter().flatten().map(Row::of).collect();
    let goes_on = port_of(planner) == Some(port) && !plan::is_finished(&rows);
    Ok(goes_on.then(|| Opening { planner: url.to_owned(), policy: None, answers: plan::answers(&rows).len() }))
}

/// Listens where the last planner was reached, else next to the server, else anywhere.
async fn listen(client: &Client, last: Option<u16>) -> Result<TcpListener, Failure> {
    let beside =
        client.base().rsplit(':').next().and_then(|port| port.parse::<u16>().ok()).and_then(|p| p.checked_add(1));
    let mut refused = None;
    for port in [last, beside, Some(0)].into_iter().flatten() {
        match TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await {
            Ok(listener) => return Ok(listener),
            Err(error) => refused = Some(error),
        }
    }
    let reason = refused.map(|error| error.to_string()).unwrap_or_default();
    Err(Failure::Unreachable(format!("no port for the planner: {reason}")))
}

fn port_of(planner: &Json) -> Option<u16> {
    let url = planner["dispatch_policy"]["targets"][0]["url"].as_str()?;
    url.strip_prefix("http://127.0.0.1:")?.split('/').next()?.parse().ok()
}

fn number_of(planner: &Json) -> Option<u64> {
    planner["url"].as_str()?.strip_prefix("/planner/morning-")?.parse().ok()
}

const TAG: &str = "reveille";
const RUNNER: &str = "demo-workers";
const GREETING: &str = "Good morning!";
