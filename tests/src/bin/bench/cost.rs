//! Rows written and statements run by each kind of command, from the answers' headers. They are the same on every
//! machine.

use std::time::Duration;

use reveille_tests::Result;
use reveille_tests::client::{Answer, Ask, Connection};
use reveille_tests::report::Cost;
use reveille_tests::server::Server;
use reveille_tests::wake::{Wake, write_token};
use serde_json::{Value as Json, json};

use crate::Setting;
use crate::receiver::{Agent, Receiver};
use crate::register::register;
use crate::report::Report;

/// Goes once through the loop: spawn, send, claim, a child that ends its run, done; and once through a runner's.
pub(crate) async fn measure(setting: &Setting, report: &mut Report) -> Result<()> {
    let data = setting.place.directory()?;
    let server = Server::start(&setting.place, data.path()).await?;
    let mut receiver = Receiver::start().await?;
    register(&server, "mute", None).await?;
    register(&server, "agent", Some(&receiver.url(Agent::Claims))).await?;
    let mut asking = Asking { connection: server.connect().await?, costs: &mut report.costs };
    asking.by_webhook(&mut receiver).await?;
    asking.by_runner().await?;
    server.stop().await
}

struct Asking<'r> {
    connection: Connection,
    costs: &'r mut Vec<Cost>,
}

impl Asking<'_> {
    async fn by_webhook(&mut self, receiver: &mut Receiver) -> Result<()> {
        let message = message();
        self.cost("spawn, no dispatch", Ask::put("/_electric/entities/mute/m", &json!({}))).await?;
        self.cost("send, no dispatch", Ask::post("/_electric/entities/mute/m/send", &message)).await?;
        self.cost("spawn, webhook policy", Ask::put("/_electric/entities/agent/p", &json!({}))).await?;
        self.cost("send that wakes a webhook", Ask::post("/_electric/entities/agent/p/send", &message)).await?;
        let parent = woken(receiver).await?;
        self.cost("claim of a webhook's wake", parent.claim()).await?;
        self.cost("heartbeat of a webhook's wake", parent.heartbeat()).await?;
        self.cost("send to an agent at work", Ask::post("/_electric/entities/agent/p/send", &message)).await?;

        let wake = json!({ "subscriberUrl": "/agent/p", "condition": "runFinished", "manifestKey": "child:agent:c" });
        let body = json!({ "parent": "/agent/p", "initialMessage": "count", "wake": wake });
        self.cost("spawn of a child, with its message and wake", Ask::put("/_electric/entities/agent/c", &body))
            .await?;
        let child = woken(receiver).await?;
        let claimed = self.cost("claim of a webhook's wake, by the child", child.claim()).await?;
        let token = write_token(&claimed.json()?)?;
        let append = |events: &Json| Ask::post(&child.stream, events).under(&token);
        self.cost("append of one event", append(&json!([event("text_delta", "t:0", "insert")]))).await?;
        let run = json!([event("run", "run-0", "insert"), event("run", "run-0", "update")]);
        let appended = self.cost("append that ends a run and wakes the parent", append(&run)).await?;
        self.cost("done of a webhook's wake", child.done(appended.header("stream-next-offset"))).await?;
        self.cost("done of a webhook's wake, more is pending", parent.done(&parent.tail)).await.map(drop)
    }

    async fn by_runner(&mut self) -> Result<()> {
        let runner = json!({ "id": "r", "label": "of the benchmark" });
        self.connection.expect(Ask::post("/_electric/runners", &runner)).await?;
        let policy = json!({ "targets": [{ "type": "runner", "runnerId": "r" }] });
        let body = json!({ "dispatch_policy": policy });
        self.cost("spawn, runner policy", Ask::put("/_electric/entities/mute/r", &body)).await?;
        let send = Ask::post("/_electric/entities/mute/r/send", &message());
        self.cost("send that wakes a runner", send.clone()).await?;
        let first = self.claim_as_runner().await?;
        self.cost("claim of a runner's wake, for its write token", first.claim()).await?;
        self.cost("heartbeat of a runner's wake", first.heartbeat()).await?;
        self.cost("send to a runner at work", send).await?;
        self.cost("done of a runner's wake, more is pending", first.done(&first.tail)).await?;
        let second = self.claim_as_runner().await?;
        self.cost("done of a runner's wake", second.done(&second.tail)).await.map(drop)
    }

    /// Claims what was announced last.
    async fn claim_as_runner(&mut self) -> Result<Wake> {
        let events = self.connection.expect(Ask::get("/runners/r/wake?offset=-1")).await?.json()?;
        let event = events.as_array().and_then(|events| events.last()).ok_or("no wake was announced")?;
        let claimed = self.cost("claim by a runner", Ask::post("/_electric/runners/r/claim", event)).await?;
        Wake::of(&claimed.json()?)
    }

    /// Asks, and notes what it cost; of what is asked again, only the first time.
    async fn cost(&mut self, command: &'static str, ask: Ask) -> Result<Answer> {
        let answer = self.connection.expect(ask).await?;
        if self.costs.iter().all(|cost| cost.command != command) {
            self.costs.push(answer.cost(command)?);
        }
        Ok(answer)
    }
}

/// The next wake by webhook. The outcome of the webhook is a command of its own: here it always comes before the claim.
async fn woken(receiver: &mut Receiver) -> Result<Wake> {
    let wake = Wake::of(&receiver.next().await?.json()?)?;
    tokio::time::sleep(PAUSE).await;
    Ok(wake)
}

fn message() -> Json {
    json!({ "payload": { "text": "How many words has chapter one?" } })
}

fn event(kind: &str, key: &str, operation: &str) -> Json {
    let status = if operation == "update" { "completed" } else { "started" };
    json!({ "type": kind, "key": key, "value": { "status": status }, "headers": { "operation": operation } })
}

const PAUSE: Duration = Duration::from_millis(100);
