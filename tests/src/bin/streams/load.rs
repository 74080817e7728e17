//! Appends, as fast as they are answered: for a time, or so many.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use reveille_tests::Result;
use reveille_tests::observe::{Answers, Moment};
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use crate::message::{Appends, numbers, path, read};
use crate::pair::Side;
use crate::wire::Wire;

/// What a load came to in its window.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) name: String,
    pub(crate) server: &'static str,
    pub(crate) answers: Answers,
}

/// To so many streams from so many connections, each with one append at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) streams: u64,
    pub(crate) connections: u64,
}

/// What the connections of a load share.
struct Shared {
    /// The number of the next request.
    next: AtomicU64,
    /// No request gets this number.
    most: u64,
    /// No request starts after this.
    end: Instant,
}

/// An answered request: when it was sent, and when it was answered.
type Answered = (Instant, Instant);

/// Appends one message at a time to new streams: a warm-up, then the window. All of them must be there afterwards.
pub(crate) async fn run(side: &Side, prefix: &str, shape: Shape, warm_up: Duration, window: Duration) -> Result<Run> {
    for stream in 0..shape.streams {
        side.create(&path(prefix, stream)).await?;
    }
    let begin = Instant::now() + warm_up;
    let shared = Shared { next: AtomicU64::new(0), most: MOST, end: begin + window };
    let (end, shared) = (shared.end, Arc::new(shared));
    let workers = start(side, shape.connections, &Appends::new(prefix, shape.streams, 1), &shared).await?;
    let mut watcher = if side.ours { Some(side.server.connect().await?) } else { None };
    sleep_until(begin.into()).await;
    let before = Moment::now(&side.server, watcher.as_mut()).await?;
    sleep_until(end.into()).await;
    let after = Moment::now(&side.server, watcher.as_mut()).await?;
    let all = finish(workers).await?;
    complete(side, prefix, shape.streams, all.len() as u64).await?;

    let within = all.iter().filter(|(_, answered)| (begin..end).contains(answered));
    let mut took: Vec<_> = within.map(|(sent, answered)| *answered - *sent).collect();
    let a_second = took.len() as f64 / window.as_secs_f64();
    let answers = Answers::new(&mut took, a_second, before.until(&after));
    Ok(Run { name: shape.to_string(), server: side.name(), answers })
}

/// Fills a new stream with `count` messages, `each` in a request; `each` divides `count`. Nothing is read yet.
pub(crate) async fn fill(side: &Side, prefix: &str, count: u64, each: u64) -> Result<()> {
    side.create(&path(prefix, 0)).await?;
    let shared = Shared { next: AtomicU64::new(0), most: count / each, end: Instant::now() + PATIENCE };
    let workers = start(side, CONNECTIONS, &Appends::new(prefix, 1, each), &Arc::new(shared)).await?;
    let accepted = finish(workers).await?.len() as u64 * each;
    if accepted == count { Ok(()) } else { Err(format!("a stream takes longer than {} s", PATIENCE.as_secs()).into()) }
}

/// Reads a stream from its start to its tail: the pages, one behind the other.
pub(crate) async fn catch_up(wire: &mut Wire, path: &str, pages: &mut Vec<u8>) -> Result<()> {
    pages.clear();
    let mut offset = "-1".to_owned();
    loop {
        let head = wire.ask(&read(path, &format!("offset={offset}")), pages).await?;
        if head.up_to_date {
            return Ok(());
        }
        offset = head.next.filter(|next| *next != offset).ok_or("a read does not go on")?;
    }
}

/// Each of `count` messages is in one of the streams, once.
async fn complete(side: &Side, prefix: &str, streams: u64, count: u64) -> Result<()> {
    let (mut wire, mut pages) = (side.connect().await?, Vec::new());
    let mut there = Vec::new();
    for stream in 0..streams {
        catch_up(&mut wire, &path(prefix, stream), &mut pages).await?;
        there.extend(numbers(&pages)?);
    }
    expect_all(there, count)
}

/// Messages 0 to `count` are there, each once.
pub(crate) fn expect_all(mut there: Vec<u64>, count: u64) -> Result<()> {
    there.sort_unstable();
    if there.iter().copied().eq(0..count) {
        return Ok(());
    }
    Err(format!("{count} messages were accepted, and {} are there", there.len()).into())
}

async fn start(
    side: &Side,
    connections: u64,
    appends: &Appends,
    shared: &Arc<Shared>,
) -> Result<JoinSet<Result<Vec<Answered>>>> {
    let mut workers = JoinSet::new();
    for _ in 0..connections {
        workers.spawn(work(side.connect().await?, appends.clone(), Arc::clone(shared)));
    }
    Ok(workers)
}

async fn work(mut wire: Wire, mut appends: Appends, shared: Arc<Shared>) -> Result<Vec<Answered>> {
    let (mut answered, mut body) = (Vec::new(), Vec::new());
    loop {
        let sent = Instant::now();
        if sent >= shared.end {
            return Ok(answered);
        }
        let n = shared.next.fetch_add(1, Relaxed);
        if n >= shared.most {
            return Ok(answered);
        }
        wire.ask(appends.request(n), &mut body).await?;
        answered.push((sent, Instant::now()));
    }
}

async fn finish(mut workers: JoinSet<Result<Vec<Answered>>>) -> Result<Vec<Answered>> {
    let mut all = Vec::new();
    while let Some(worker) = workers.join_next().await {
        all.extend(worker??);
    }
    Ok(all)
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let plural = if self.streams == 1 { "" } else { "s" };
        write!(f, "{} stream{plural}, {} connections", self.streams, self.connections)
    }
}

/// The most requests of one load.
const MOST: u64 = 5_000_000;
/// How many connections fill a stream.
const CONNECTIONS: u64 = 64;
/// The longest that a stream is filled for.
const PATIENCE: Duration = Duration::from_secs(540);
