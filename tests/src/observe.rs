//! Where the time goes between two moments: by the processors' time of each thread, and by what the server says of
//! itself.

use std::fs;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Value as Json, json};

use crate::client::{Ask, Connection};
use crate::machine::quantile;
use crate::server::Server;
use crate::{Result, machine};

/// What can be seen at a moment.
#[derive(Clone, Debug)]
pub struct Moment {
    at: Instant,
    engine: Cpu,
    server: Cpu,
    bench: Cpu,
    everybody: Duration,
    metrics: Metrics,
}

/// The time that threads spent.
#[derive(Clone, Copy, Debug, Default)]
struct Cpu {
    /// On a processor.
    ran: Duration,
    /// Ready, and waiting for one.
    waited: Duration,
}

/// Sums from `GET /metrics`.
#[derive(Clone, Copy, Debug, Default)]
struct Metrics {
    batches: f64,
    batch_seconds: f64,
    commits: f64,
    commit_seconds: f64,
    commands: f64,
}

/// What happened between two moments.
#[derive(Clone, Copy, Debug)]
pub struct Between {
    /// How long that was.
    pub seconds: f64,
    /// Commands of any kind that the engine ran: requests, ticks and outcomes.
    pub commands: f64,
    /// Commands in a batch.
    pub batch: f64,
    /// Seconds of a commit.
    pub commit: f64,
    /// The share of the time that the engine's thread works on commands.
    pub working: f64,
    /// The share that commits take.
    pub committing: f64,
    /// The share in which it is ready but gets no processor.
    pub starved: f64,
    /// Processors' seconds of the engine's thread.
    pub engine: f64,
    /// Those of the rest of the server.
    pub shell: f64,
    /// Those of this process.
    pub bench: f64,
    /// Processors that everybody else kept busy.
    pub others: f64,
    /// The load average.
    pub load: f64,
}

/// The answers of a load in its window, and what happened meanwhile.
#[derive(Clone, Debug)]
pub struct Answers {
    /// How many were answered with success.
    pub answered: f64,
    /// How many that is a second.
    pub a_second: f64,
    /// The median time until the answer.
    pub p50: Duration,
    /// The 99th percentile of that.
    pub p99: Duration,
    /// Where the time went.
    pub between: Between,
}

impl Moment {
    /// Looks; `watcher` is a connection to a server that has metrics.
    pub async fn now(server: &Server, watcher: Option<&mut Connection>) -> Result<Self> {
        let metrics = match watcher {
            Some(watcher) => watcher.expect(Ask::get("/metrics")).await?.body,
            None => Bytes::new(),
        };
        let metrics = Metrics::parse(&String::from_utf8_lossy(&metrics));
        Ok(Self {
            at: Instant::now(),
            engine: Cpu::of(server.pid(), Some("engine")),
            server: Cpu::of(server.pid(), None),
            bench: Cpu::of(std::process::id(), None),
            everybody: everybody(),
            metrics,
        })
    }

    /// What happened from this one to a later one.
    pub fn until(&self, later: &Self) -> Between {
        let seconds = (later.at - self.at).as_secs_f64();
        let (was, is) = (&self.metrics, &later.metrics);
        let (batches, commits) = (is.batches - was.batches, is.commits - was.commits);
        let committing = is.commit_seconds - was.commit_seconds;
        let engine = later.engine.ran_since(&self.engine);
        let server = later.server.ran_since(&self.server);
        let bench = later.bench.ran_since(&self.bench);
        let everybody = later.everybody.saturating_sub(self.everybody).as_secs_f64();
        Between {
            seconds,
            commands: is.commands - was.commands,
            batch: (is.commands - was.commands) / batches.max(1.0),
            commit: committing / commits.max(1.0),
            working: (is.batch_seconds - was.batch_seconds - committing) / seconds,
            committing: committing / seconds,
            starved: later.engine.waited.saturating_sub(self.engine.waited).as_secs_f64() / seconds,
            engine,
            shell: server - engine,
            bench,
            others: ((everybody - server - bench) / seconds).max(0.0),
            load: machine::load(),
        }
    }
}

impl Answers {
    /// Of the requests that were answered in a window, each in so much time.
    pub fn new(took: &mut [Duration], a_second: f64, between: Between) -> Self {
        let answered = took.len() as f64;
        Self { answered, a_second, p50: quantile(took, 0.5), p99: quantile(took, 0.99), between }
    }

    /// What a table says of them, under [`HEAD`].
    pub fn cells(&self) -> Vec<String> {
        let b = &self.between;
        let micros = |seconds: f64| format!("{:.0}", seconds / self.answered.max(1.0) * 1e6);
        let share = |share: f64| format!("{:.0}", share * 100.0);
        vec![
            format!("{:.0}", self.a_second),
            format!("{:.2}", self.p50.as_secs_f64() * 1e3),
            format!("{:.2}", self.p99.as_secs_f64() * 1e3),
            format!("{:.1}", b.batch),
            format!("{:.2}", b.commit * 1e3),
            share(b.working),
            share(b.committing),
            share(b.starved),
            micros(b.engine),
            micros(b.shell),
            micros(b.bench),
            format!("{:.1}", b.others),
            format!("{:.2}", b.load),
        ]
    }

    /// The same as JSON.
    pub fn json(&self) -> Json {
        let b = &self.between;
        json!({
            "answered": self.answered, "a_second": self.a_second, "p50": self.p50.as_secs_f64(),
            "p99": self.p99.as_secs_f64(), "seconds": b.seconds, "commands": b.commands, "batch": b.batch,
            "commit": b.commit, "working": b.working, "committing": b.committing, "starved": b.starved,
            "cpu": { "engine": b.engine, "shell": b.shell, "bench": b.bench, "others": b.others * b.seconds },
            "load": b.load,
        })
    }
}

impl Cpu {
    /// Of the threads of a process, or of those with a name.
    fn of(pid: u32, name: Option<&str>) -> Self {
        let mut sum = Self::default();
        for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let read = |file: &str| fs::read_to_string(task.path().join(file)).unwrap_or_default();
            if name.is_some_and(|name| read("comm").trim() != name) {
                continue;
            }
            let spent = read("schedstat");
            let mut spent = spent.split(' ').map(|n| Duration::from_nanos(n.trim().parse().unwrap_or(0)));
            sum.ran += spent.next().unwrap_or_default();
            sum.waited += spent.next().unwrap_or_default();
        }
        sum
    }

    fn ran_since(&self, earlier: &Self) -> f64 {
        self.ran.saturating_sub(earlier.ran).as_secs_f64()
    }
}

/// How long all processors were busy, for whomever: user, nice, system, irq, softirq and steal, in hundredths.
fn everybody() -> Duration {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks: Vec<u64> =
        text.lines().next().unwrap_or("").split_whitespace().skip(1).map(|n| n.parse().unwrap_or(0)).collect();
    let busy: u64 = [0, 1, 2, 5, 6, 7].iter().filter_map(|i| ticks.get(*i)).sum();
    Duration::from_millis(busy * 10)
}

impl Metrics {
    fn parse(text: &str) -> Self {
        let of = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix("reveille_")?.strip_prefix(name));
            line.and_then(|value| value.trim().parse().ok()).unwrap_or(0.0)
        };
        Self {
            batches: of("batch_seconds_count "),
            batch_seconds: of("batch_seconds_sum "),
            commits: of("commit_seconds_count "),
            commit_seconds: of("commit_seconds_sum "),
            commands: of("commands_total "),
        }
    }
}

/// The columns of [`Answers::cells`].
pub const HEAD: [&str; 13] = [
    "a second",
    "p50 ms",
    "p99 ms",
    "batch",
    "commit ms",
    "work %",
    "commit %",
    "starved %",
    "engine µs",
    "shell µs",
    "bench µs",
    "others",
    "load",
];
/// What those columns count.
pub const COUNTED: &str = "\
a second: requests answered with success; p50, p99: until the answer; batch: commands in a commit; work, commit,
starved: shares of the engine thread's time spent on commands, on commits, and ready without a processor; µs: processor
time a request, of the engine's thread, the rest of the server, and the benchmark; others: processors busy for other
programs";
