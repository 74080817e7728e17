//! Load: so many connections, each with one request at a time, for so long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use reveille_tests::Result;
use reveille_tests::client::{Ask, Connection};
use reveille_tests::observe::{Answers, Moment};
use reveille_tests::server::Server;
use tokio::task::JoinSet;

use crate::Setting;
use crate::receiver::Receiver;

/// What request number `n` is.
pub(crate) type Command = Arc<dyn Fn(u64) -> Ask + Send + Sync>;

/// What a load came to in its window, after the warm-up.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) name: &'static str,
    pub(crate) connections: usize,
    /// Webhooks that came.
    pub(crate) woken: f64,
    pub(crate) answers: Answers,
}

/// What the connections of a load share.
struct Shared {
    command: Command,
    /// The number of the next request.
    next: AtomicU64,
    /// No request gets this number.
    end: u64,
    measuring: AtomicBool,
    over: AtomicBool,
}

/// Runs a load: a warm-up, then the window.
pub(crate) async fn run(
    setting: &Setting,
    server: &Server,
    receiver: &Receiver,
    name: &'static str,
    connections: usize,
    command: Command,
) -> Result<Run> {
    let shared = Shared::new(command, MOST);
    let mut workers = start(server, connections, &shared).await?;
    let mut watcher = server.connect().await?;
    tokio::time::sleep(setting.warm_up).await;
    let woken = receiver.count();
    let before = Moment::now(server, Some(&mut watcher)).await?;
    shared.measuring.store(true, Relaxed);
    tokio::time::sleep(setting.window).await;
    shared.measuring.store(false, Relaxed);
    let after = Moment::now(server, Some(&mut watcher)).await?;
    let woken = receiver.count() - woken;
    if shared.next.load(Relaxed) > MOST {
        return Err(format!("{name}: the load ran out of requests before its time was over").into());
    }
    shared.over.store(true, Relaxed);
    let mut took = Vec::new();
    while let Some(worker) = workers.join_next().await {
        took.extend(worker??);
    }
    let (a_second, between) = (took.len() as f64 / setting.window.as_secs_f64(), before.until(&after));
    let answers = Answers::new(&mut took, a_second, between);
    Ok(Run { name, connections, woken: woken as f64, answers })
}

/// Sends requests 0 to `count`, as fast as it goes.
pub(crate) async fn all(server: &Server, connections: usize, count: u64, command: Command) -> Result<()> {
    let shared = Shared::new(command, count);
    let mut workers = start(server, connections, &shared).await?;
    while let Some(worker) = workers.join_next().await {
        worker??;
    }
    Ok(())
}

impl Shared {
    fn new(command: Command, end: u64) -> Arc<Self> {
        let (measuring, over) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Self { command, next: AtomicU64::new(0), end, measuring, over })
    }
}

async fn start(server: &Server, connections: usize, shared: &Arc<Shared>) -> Result<JoinSet<Result<Vec<Duration>>>> {
    let mut workers = JoinSet::new();
    for _ in 0..connections {
        workers.spawn(work(server.connect().await?, Arc::clone(shared)));
    }
    Ok(workers)
}

/// Asks until it is over; gives how long each answer took in the window.
async fn work(mut connection: Connection, shared: Arc<Shared>) -> Result<Vec<Duration>> {
    let mut took = Vec::new();
    while !shared.over.load(Relaxed) {
        let n = shared.next.fetch_add(1, Relaxed);
        if n >= shared.end {
            break;
        }
        let start = Instant::now();
        connection.expect((shared.command)(n)).await?;
        if shared.measuring.load(Relaxed) {
            took.push(start.elapsed());
        }
    }
    Ok(took)
}

/// The most requests of one load.
const MOST: u64 = 500_000;
