//! Load: so many connections, each with one request at a time, for so long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use reveille_tests::Result;
use reveille_tests::client::{Ask, Connection};
use reveille_tests::machine::quantile;
use reveille_tests::observe::{Between, Moment};
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
    /// Requests answered with success.
    pub(crate) answered: f64,
    /// Webhooks that came.
    pub(crate) woken: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) between: Between,
}

/// What the connections of a load share.
struct Shared {
    command: Command,
    /// The number of the next request.
    next: AtomicU64,
    answered: AtomicU64,
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
    let (answered, woken) = (shared.answered.load(Relaxed), receiver.count());
    let before = Moment::now(server, Some(&mut watcher)).await?;
    shared.measuring.store(true, Relaxed);
    tokio::time::sleep(setting.window).await;
    let after = Moment::now(server, Some(&mut watcher)).await?;
    let (answered, woken) = (shared.answered.load(Relaxed) - answered, receiver.count() - woken);
    if shared.next.load(Relaxed) > MOST {
        return Err(format!("{name}: the load ran out of requests before its time was over").into());
    }
    shared.over.store(true, Relaxed);
    let mut took = Vec::new();
    while let Some(worker) = workers.join_next().await {
        took.extend(worker??);
    }
    Ok(Run {
        name,
        connections,
        answered: answered as f64,
        woken: woken as f64,
        p50: quantile(&mut took, 0.5),
        p99: quantile(&mut took, 0.99),
        between: before.until(&after),
    })
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
        Arc::new(Self { command, next: AtomicU64::new(0), answered: AtomicU64::new(0), end, measuring, over })
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
        shared.answered.fetch_add(1, Relaxed);
        if shared.measuring.load(Relaxed) {
            took.push(start.elapsed());
        }
    }
    Ok(took)
}

/// The most requests of one load.
const MOST: u64 = 500_000;
