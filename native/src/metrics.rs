//! What the server counts about itself, and `GET /metrics`: Prometheus's text format, written by hand because it is
//! shorter than the glue to a crate that writes it.

use std::fmt::{Display, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use reveille_core::Counts;

/// The figures of one server. Whoever knows one records it; a scrape reads them all.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// Commands in each batch.
    pub(crate) batch: Histogram,
    /// Seconds that a batch takes, its commit included.
    pub(crate) batch_seconds: Histogram,
    /// Seconds that a commit takes.
    pub(crate) commit_seconds: Arc<Histogram>,
    /// Seconds by which timers run late.
    pub(crate) timer_lag: Histogram,
    /// Commands that wait for the engine.
    pub(crate) queued: Gauge,
    /// Requests turned away because the queue or the live readers were at their bound.
    pub(crate) turned_away: Gauge,
    /// Fetches that have not come back.
    pub(crate) deliveries: Arc<Gauge>,
    /// Long-polls and SSE readers.
    pub(crate) live_readers: Arc<Gauge>,
    /// Open connections.
    pub(crate) connections: Arc<Gauge>,
    /// What the engine counted, as of the last batch.
    pub(crate) counts: Mutex<Counts>,
    /// Where the database is, whose size is read when it is asked for.
    pub(crate) database: PathBuf,
}

impl Metrics {
    pub(crate) fn new(database: PathBuf) -> Self {
        Self {
            batch: Histogram::new(&[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0]),
            batch_seconds: Histogram::new(SECONDS),
            commit_seconds: Arc::new(Histogram::new(SECONDS)),
            timer_lag: Histogram::new(SECONDS),
            queued: Gauge::default(),
            turned_away: Gauge::default(),
            deliveries: Arc::default(),
            live_readers: Arc::default(),
            connections: Arc::default(),
            counts: Mutex::default(),
            database,
        }
    }

    /// Everything, as Prometheus reads it.
    pub(crate) fn text(&self) -> String {
        let counts = *self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = Text::default();
        out.histogram("batch_commands", "Commands in each batch.", &self.batch);
        out.histogram("batch_seconds", "Time a batch takes, its commit included.", &self.batch_seconds);
        out.histogram("commit_seconds", "Time a commit takes, until it is on disk.", &self.commit_seconds);
        out.histogram("timer_lag_seconds", "How late timers run.", &self.timer_lag);
        out.one("queue_depth", "gauge", "Commands that wait for the engine.", self.queued.value());
        out.one(
            "deliveries_in_flight",
            "gauge",
            "Webhooks and endpoint calls that have not come back.",
            self.deliveries.value(),
        );
        out.one("live_readers", "gauge", "Long-polls and SSE readers.", self.live_readers.value());
        out.one("connections", "gauge", "Open connections.", self.connections.value());
        out.one("log_bytes", "gauge", "Size of the write-ahead log.", self.file_size("-wal"));
        out.one("database_bytes", "gauge", "Size of the database file.", self.file_size(""));
        out.one(
            "turned_away_total",
            "counter",
            "Requests answered 503 because a bound was reached.",
            self.turned_away.value(),
        );
        out.one("commands_total", "counter", "Commands run.", counts.commands);
        out.one("panics_total", "counter", "Commands that panicked and were rolled back.", counts.panics);
        out.one("failed_commits_total", "counter", "Batches that could not commit.", counts.failed_commits);
        out.one("timers_total", "counter", "Timers run.", counts.timers);
        out.one("timer_failures_total", "counter", "Timers that failed and were pushed back.", counts.timer_failures);
        out.one("wakes_total", "counter", "Wakes written.", counts.wakes);
        out.one(
            "wakes_slowed_total",
            "counter",
            "Dispatches that had to wait for their turn: budgets used up, causes too deep.",
            counts.wakes_slowed,
        );
        out.one(
            "wakes_suppressed_total",
            "counter",
            "Wakes not written because the subscriber has stopped.",
            counts.wakes_suppressed,
        );
        out.one("dispatches_total", "counter", "Dispatches begun.", counts.dispatches);
        out.one("dead_letters_total", "counter", "Dispatches that were given up.", counts.dead_letters);
        out.one("leases_expired_total", "counter", "Leases that ended without a done.", counts.leases_expired);
        out.0
    }

    fn file_size(&self, suffix: &str) -> u64 {
        let mut path = self.database.clone().into_os_string();
        path.push(suffix);
        std::fs::metadata(path).map_or(0, |file| file.len())
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub(crate) struct Gauge(AtomicI64);

impl Gauge {
    pub(crate) fn add(&self, n: i64) {
        self.0.fetch_add(n, Relaxed);
    }

    pub(crate) fn set(&self, n: usize) {
        self.0.store(i64::try_from(n).unwrap_or(i64::MAX), Relaxed);
    }

    pub(crate) fn value(&self) -> i64 {
        self.0.load(Relaxed)
    }

    /// One more for as long as the guard lives.
    pub(crate) fn hold(self: &Arc<Self>) -> Held {
        self.add(1);
        Held(Arc::clone(self))
    }
}

/// One more in a gauge, until it is dropped.
#[derive(Debug)]
pub(crate) struct Held(Arc<Gauge>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.add(-1);
    }
}

/// How often values fell below each of its bounds.
#[derive(Debug)]
pub(crate) struct Histogram {
    bounds: &'static [f64],
    buckets: Vec<AtomicU64>,
    /// In millionths.
    sum: AtomicU64,
}

impl Histogram {
    pub(crate) fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, buckets: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(), sum: AtomicU64::new(0) }
    }

    pub(crate) fn record(&self, value: f64) {
        let bucket = self.bounds.iter().position(|bound| value <= *bound).unwrap_or(self.bounds.len());
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.sum.fetch_add((value * 1e6) as u64, Relaxed);
    }
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.head(name, kind, help);
        self.line(format_args!("{PREFIX}{name} {value}"));
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.head(name, "histogram", help);
        let mut below = 0;
        for (i, bucket) in histogram.buckets.iter().enumerate() {
            below += bucket.load(Relaxed);
            let bound = histogram.bounds.get(i).map_or_else(|| "+Inf".to_owned(), f64::to_string);
            self.line(format_args!("{PREFIX}{name}_bucket{{le=\"{bound}\"}} {below}"));
        }
        self.line(format_args!("{PREFIX}{name}_sum {}", histogram.sum.load(Relaxed) as f64 / 1e6));
        self.line(format_args!("{PREFIX}{name}_count {below}"));
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {PREFIX}{name} {help}"));
        self.line(format_args!("# TYPE {PREFIX}{name} {kind}"));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{line}");
    }
}

const PREFIX: &str = "reveille_";
const SECONDS: &[f64] = &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scrape_is_prometheus_text() {
        let metrics = Metrics::new(PathBuf::from("/nowhere"));
        for commands in [1.0, 3.0, 300.0] {
            metrics.batch.record(commands);
        }
        metrics.live_readers.add(2);
        let text = metrics.text();
        for line in [
            "# TYPE reveille_batch_commands histogram",
            "reveille_batch_commands_bucket{le=\"1\"} 1",
            "reveille_batch_commands_bucket{le=\"4\"} 2",
            "reveille_batch_commands_bucket{le=\"+Inf\"} 3",
            "reveille_batch_commands_sum 304",
            "reveille_batch_commands_count 3",
            "reveille_live_readers 2",
            "reveille_log_bytes 0",
            "reveille_wakes_suppressed_total 0",
        ] {
            assert!(text.lines().any(|l| l == line), "no line `{line}` in\n{text}");
        }
        assert!(text.lines().all(|l| l.starts_with("# ") || l.starts_with(PREFIX)));
    }
}
