//! Claims a second: runners that take wakes which have been announced to them, each from its claim to its done.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use reveille_tests::Result;
use reveille_tests::client::{Ask, Connection};
use reveille_tests::observe::{Answers, Moment};
use reveille_tests::report::Unit;
use reveille_tests::server::Server;
use reveille_tests::wake::{Wake, write_token};
use serde_json::{Value as Json, json};
use tokio::task::JoinSet;

use crate::Setting;
use crate::load::{self, Command, Run};
use crate::register::register;
use crate::report::{Figure, Report};

/// Measures at each number of connections: so many entities are spawned with a message, then every wake is taken.
pub(crate) async fn measure(setting: &Setting, report: &mut Report) -> Result<()> {
    let data = setting.place.directory()?;
    let server = Server::start(&setting.place, data.path()).await?;
    register(&server, "pulled", None).await?;
    let mut connection = server.connect().await?;
    let mut runners = Vec::new();
    for n in 0..RUNNERS {
        let runner = json!({ "id": format!("r{n}"), "label": "of the benchmark" });
        connection.expect(Ask::post("/_electric/runners", &runner)).await?;
        runners.push(Runner { id: format!("r{n}"), offset: "-1".to_owned() });
    }
    for (connections, times) in LOADS {
        let count = setting.samples * times;
        load::all(&server, 64, count as u64, spawn(connections)).await?;
        let mut claims = Vec::with_capacity(count);
        for runner in &mut runners {
            claims.extend(runner.announced(&mut connection).await?);
        }
        if claims.len() < count {
            return Err(format!("{} of {count} wakes were announced", claims.len()).into());
        }
        let run = run(&server, connections, claims).await?;
        let each = if connections == 1 { "connection" } else { "connections" };
        let name = |what: &str| format!("{what}, {connections} {each}");
        let (answers, load) = (&run.answers, run.answers.between.load);
        for (what, value, unit) in [
            ("claims a second, each with its write token and done", answers.a_second, Unit::PerSecond),
            ("claim to answer, p50", answers.p50.as_secs_f64(), Unit::Seconds),
            ("claim to answer, p99", answers.p99.as_secs_f64(), Unit::Seconds),
        ] {
            report.figure(Figure::new(name(what), value, unit).load(load));
        }
        report.runs.push(run);
    }
    server.stop().await
}

/// Spawns of entities that go to the runners in turn, each with its first message.
fn spawn(connections: usize) -> Command {
    let of = |n| {
        let policy = json!({ "targets": [{ "type": "runner", "runnerId": format!("r{n}") }] });
        Ask::put("", &json!({ "dispatch_policy": policy, "initialMessage": "How many words has chapter one?" }))
    };
    let asks: Vec<Ask> = (0..RUNNERS).map(of).collect();
    Arc::new(move |n| {
        let path = format!("/_electric/entities/pulled/{connections}-{n}");
        Ask { path, ..asks[n as usize % RUNNERS].clone() }
    })
}

/// A runner, and how far its wake stream has been read.
#[derive(Debug)]
struct Runner {
    id: String,
    offset: String,
}

impl Runner {
    /// The claims of what has been announced since the last time.
    async fn announced(&mut self, connection: &mut Connection) -> Result<Vec<Ask>> {
        let mut claims = Vec::new();
        loop {
            let path = format!("/runners/{}/wake?offset={}", self.id, self.offset);
            let answer = connection.expect(Ask::get(path)).await?;
            answer.header("stream-next-offset").clone_into(&mut self.offset);
            let Json::Array(events) = answer.json()? else { return Err("a wake stream is no array".into()) };
            let claim = |event| Ask::post(format!("/_electric/runners/{}/claim", self.id), event);
            claims.extend(events.iter().map(claim));
            if answer.header("stream-up-to-date") == "true" {
                return Ok(claims);
            }
        }
    }
}

/// Takes all wakes, with so many connections.
async fn run(server: &Server, connections: usize, claims: Vec<Ask>) -> Result<Run> {
    let shared: Arc<(Vec<Ask>, AtomicUsize)> = Arc::new((claims, AtomicUsize::new(0)));
    let mut ready = Vec::new();
    for _ in 0..connections {
        ready.push(server.connect().await?);
    }
    let mut watcher = server.connect().await?;
    let before = Moment::now(server, Some(&mut watcher)).await?;
    let mut workers = JoinSet::new();
    for connection in ready {
        workers.spawn(work(connection, Arc::clone(&shared)));
    }
    let mut took = Vec::new();
    while let Some(worker) = workers.join_next().await {
        took.extend(worker??);
    }
    let between = before.until(&Moment::now(server, Some(&mut watcher)).await?);
    let a_second = took.len() as f64 / between.seconds;
    Ok(Run { name: "claim to done", connections, woken: 0.0, answers: Answers::new(&mut took, a_second, between) })
}

/// Takes one wake after the other to its done; gives how long each claim took.
async fn work(mut connection: Connection, shared: Arc<(Vec<Ask>, AtomicUsize)>) -> Result<Vec<Duration>> {
    let (claims, next) = &*shared;
    let mut took = Vec::new();
    while let Some(claim) = claims.get(next.fetch_add(1, Relaxed)) {
        let start = Instant::now();
        let claimed = connection.expect(claim.clone()).await?;
        took.push(start.elapsed());
        let wake = Wake::of(&claimed.json()?)?;
        write_token(&connection.expect(wake.claim()).await?.json()?)?;
        connection.expect(wake.done(&wake.tail)).await?;
    }
    Ok(took)
}

const RUNNERS: usize = 16;
/// Connections, and how many times the number of samples is taken.
const LOADS: [(usize, usize); 3] = [(1, 1), (16, 8), (64, 16)];
