//! Rows written and statements run by each kind of command, from the answers' headers. They are the same on every
//! machine.

use reveille_tests::Result;
use reveille_tests::client::{Answer, Ask, Connection};
use reveille_tests::report::Cost;
use reveille_tests::server::Server;
use serde_json::{Value as Json, json};

use crate::Setting;
use crate::receiver::{Agent, Receiver};
use crate::register::register;
use crate::report::Report;

/// Goes once through the loop: spawn, send, claim, a child that ends its run, done.
pub(crate) async fn measure(setting: &Setting, report: &mut Report) -> Result<()> {
    let data = setting.place.directory()?;
    let server = Server::start(&setting.place, data.path()).await?;
    let mut receiver = Receiver::start().await?;
    register(&server, "mute", None).await?;
    register(&server, "agent", Some(&receiver.url(Agent::Claims))).await?;
    let mut asking = Asking { connection: server.connect().await?, costs: &mut report.costs };
    let message = json!({ "payload": { "text": "How many words has chapter one?" } });

    asking.cost("spawn, no dispatch", Ask::put("/_electric/entities/mute/m", &json!({}))).await?;
    asking.cost("send, no dispatch", Ask::post("/_electric/entities/mute/m/send", &message)).await?;
    asking.cost("spawn, webhook policy", Ask::put("/_electric/entities/agent/p", &json!({}))).await?;
    asking.cost("send that wakes a webhook", Ask::post("/_electric/entities/agent/p/send", &message)).await?;
    let parent = receiver.next().await?.json()?;
    asking.claim("claim", &parent).await?;
    asking.cost("send to an agent at work", Ask::post("/_electric/entities/agent/p/send", &message)).await?;

    let wake = json!({ "subscriberUrl": "/agent/p", "condition": "runFinished", "manifestKey": "child:agent:c" });
    let body = json!({ "parent": "/agent/p", "initialMessage": "count", "wake": wake });
    asking.cost("spawn of a child, with its message and wake", Ask::put("/_electric/entities/agent/c", &body)).await?;
    let child = receiver.next().await?.json()?;
    let token = asking.claim("claim, by the child", &child).await?;
    let append = |events: &Json| Ask::post("/agent/c/main", events).under(&token);
    asking.cost("append of one event", append(&json!([event("text_delta", "t:0", "insert")]))).await?;
    let run = json!([event("run", "run-0", "insert"), event("run", "run-0", "update")]);
    let appended = asking.cost("append that ends a run and wakes the parent", append(&run)).await?;
    let tail = appended.headers.get("stream-next-offset").and_then(|tail| tail.to_str().ok()).unwrap_or("");
    let acks = json!([{ "path": child["streamPath"], "offset": tail }]);
    asking.callback("done", &child, &json!({ "epoch": child["epoch"], "acks": acks, "done": true })).await?;
    server.stop().await
}

struct Asking<'r> {
    connection: Connection,
    costs: &'r mut Vec<Cost>,
}

impl Asking<'_> {
    async fn cost(&mut self, command: &'static str, ask: Ask) -> Result<Answer> {
        let answer = self.connection.expect(ask).await?;
        self.costs.push(answer.cost(command)?);
        Ok(answer)
    }

    async fn callback(&mut self, command: &'static str, hook: &Json, body: &Json) -> Result<Answer> {
        let text = |member: &str| hook[member].as_str().ok_or_else(|| format!("no `{member}` in the webhook"));
        let path = format!("/_electric/wake-callbacks/{}", text("wakeId")?);
        self.cost(command, Ask::post(path, body).under(text("claimToken")?)).await
    }

    /// Claims, and gives the write token.
    async fn claim(&mut self, command: &'static str, hook: &Json) -> Result<String> {
        let body = json!({ "epoch": hook["epoch"], "wakeId": hook["wakeId"] });
        let answer = self.callback(command, hook, &body).await?;
        answer.json()?["writeToken"].as_str().map(str::to_owned).ok_or_else(|| "no write token".into())
    }
}

fn event(kind: &str, key: &str, operation: &str) -> Json {
    let status = if operation == "update" { "completed" } else { "started" };
    json!({ "type": kind, "key": key, "value": { "status": status }, "headers": { "operation": operation } })
}
