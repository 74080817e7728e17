//! From a child's completion to its parent's webhook: the append that ends the child's run, and the wake that it causes.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use reveille_tests::client::{Ask, Connection};
use reveille_tests::machine::{self, quantile};
use reveille_tests::report::Unit;
use reveille_tests::server::Server;
use reveille_tests::wake::{Wake, write_token};
use reveille_tests::{Failure, Result};
use serde_json::{Value as Json, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use crate::Setting;
use crate::receiver::{Agent, Receiver};
use crate::register::register;
use crate::report::{Figure, Report};

/// One completion at a time, then one of each pair at once.
pub(crate) async fn measure(setting: &Setting, report: &mut Report) -> Result<()> {
    let data = setting.place.directory()?;
    let server = Server::start(&setting.place, data.path()).await?;
    let mut receiver = Receiver::start().await?;
    register(&server, "parent", Some(&receiver.url(Agent::Told))).await?;
    register(&server, "child", None).await?;
    let (mut pairs, mut parents) = (Vec::new(), HashMap::new());
    for n in 0..PAIRS {
        let (told, woken) = unbounded_channel();
        parents.insert(format!("/parent/{n}"), told);
        pairs.push(Pair::start(&server, &mut receiver, n, woken).await?);
    }
    let mut webhooks = tokio::spawn(hand_out(receiver, parents));
    for (each, name) in [(PAIRS, "one at a time".to_owned()), (1, format!("{PAIRS} pairs at once"))] {
        let mut took = tokio::select! {
            took = all(&mut pairs, each, setting.samples) => took?,
            ended = &mut webhooks => return Err(format!("webhooks are handed out no more: {ended:?}").into()),
        };
        let load = machine::load();
        for (q, quantile_name) in [(0.5, "p50"), (0.99, "p99")] {
            let name = format!("child's completion to parent's webhook, {name}, {quantile_name}");
            report.figure(Figure::new(name, quantile(&mut took, q).as_secs_f64(), Unit::Seconds).load(load));
        }
    }
    webhooks.abort();
    server.stop().await
}

/// A parent, and its child at work.
#[derive(Debug)]
struct Pair {
    connection: Connection,
    child: Wake,
    token: String,
    /// When the child's claim was last extended.
    kept: Instant,
    runs: u64,
    /// When each webhook to the parent arrived.
    woken: UnboundedReceiver<Instant>,
}

impl Pair {
    async fn start(
        server: &Server,
        receiver: &mut Receiver,
        n: usize,
        woken: UnboundedReceiver<Instant>,
    ) -> Result<Self> {
        let mut connection = server.connect().await?;
        let parent = format!("/parent/{n}");
        connection.expect(Ask::put(format!("/_electric/entities{parent}"), &json!({}))).await?;
        let wake =
            json!({ "subscriberUrl": parent, "condition": "runFinished", "manifestKey": format!("child:child:{n}") });
        // Without a policy of its own a child goes where its parent goes.
        let policy = json!({ "targets": [{ "type": "webhook", "url": receiver.url(Agent::Claims) }] });
        let child = json!({ "parent": parent, "dispatch_policy": policy, "initialMessage": "count", "wake": wake });
        connection.expect(Ask::put(format!("/_electric/entities/child/{n}"), &child)).await?;
        let child = Wake::of(&receiver.next().await?.json()?)?;
        let token = write_token(&connection.expect(child.claim()).await?.json()?)?;
        Ok(Self { connection, child, token, kept: Instant::now(), runs: 0, woken })
    }

    /// One run of the child: from just before its end is sent until the parent's webhook is there.
    async fn complete(&mut self) -> Result<Duration> {
        if self.kept.elapsed() > KEEP {
            self.connection.expect(self.child.heartbeat()).await?;
            self.kept = Instant::now();
        }
        self.runs += 1;
        self.connection.expect(self.append("insert", "started")).await?;
        if self.woken.try_recv().is_ok() {
            return Err("a parent was woken before its child's run had ended".into());
        }
        let end = self.append("update", "completed");
        let start = Instant::now();
        self.connection.expect(end).await?;
        let arrived = self.woken.recv().await.ok_or("the receiver has ended")?;
        // The outcome of the webhook is a commit of its own: it is no part of the next sample.
        tokio::time::sleep(PAUSE).await;
        Ok(arrived.saturating_duration_since(start))
    }

    fn append(&self, operation: &str, status: &str) -> Ask {
        let headers = json!({ "operation": operation });
        let key = format!("run-{}", self.runs);
        let event = json!({ "type": "run", "key": key, "value": { "status": status }, "headers": headers });
        Ask::post(&self.child.stream, &json!([event])).under(&self.token)
    }
}

/// At least `count` completions: pairs at once, in groups of so many `each`, of which one is at work at a time.
async fn all(pairs: &mut Vec<Pair>, each: usize, count: usize) -> Result<Vec<Duration>> {
    let groups = pairs.len() / each;
    let mut working = JoinSet::new();
    for _ in 0..groups {
        let mut group = pairs.split_off(pairs.len() - each);
        let count = count.div_ceil(groups);
        working.spawn(async move {
            let mut took = Vec::new();
            for n in 0..WARM_UP + count {
                let sample = group[n % each].complete().await?;
                if n >= WARM_UP {
                    took.push(sample);
                }
            }
            Ok::<_, Failure>((group, took))
        });
    }
    let mut all = Vec::new();
    while let Some(worked) = working.join_next().await {
        let (group, took) = worked??;
        pairs.extend(group);
        all.extend(took);
    }
    Ok(all)
}

/// Tells each parent of its webhooks.
async fn hand_out(mut receiver: Receiver, parents: HashMap<String, UnboundedSender<Instant>>) -> Result<()> {
    loop {
        let arrival = receiver.next().await?;
        let body = arrival.json()?;
        let parent = body.pointer("/entity/url").and_then(Json::as_str).and_then(|url| parents.get(url));
        let _ = parent.ok_or_else(|| format!("a webhook for nobody: {body}"))?.send(arrival.at);
    }
}

const PAIRS: usize = 16;
const WARM_UP: usize = 20;
const PAUSE: Duration = Duration::from_millis(8);
/// How long a child works before it extends its claim.
const KEEP: Duration = Duration::from_secs(5);
