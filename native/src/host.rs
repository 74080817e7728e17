//! The engine's thread: takes what has queued up, runs it as one batch, and lets go of what the batch leaves behind.
//!
//! It waits for nothing but its queue, its next timer and the disk. Replies, effects and notifications leave after the
//! commit, in the order of their commands.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use reveille_core::store::{Sql, SqlError};
use reveille_core::{Command, Config, Effect, Engine, Entropy, Reply, Ticket, Time, Turn};
use tokio::sync::oneshot;

use crate::hub::Hub;
use crate::limits::{BATCH, TICK};
use crate::lock::Lock;
use crate::metrics::Metrics;
use crate::now::now;
use crate::queue::{Job, Queue};
use crate::webhook::Fetcher;

/// What the engine's thread works with.
#[derive(Debug)]
pub(crate) struct Surroundings {
    pub(crate) queue: Arc<Queue>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) fetcher: Fetcher,
}

/// The thread, to be waited for.
#[derive(Debug)]
pub(crate) struct Thread(oneshot::Receiver<()>);

impl Thread {
    /// Waits until it has ended and the store is closed.
    pub(crate) async fn ended(&mut self) {
        let _ = (&mut self.0).await;
    }
}

/// Starts the thread. The store is opened on it, and the engine over that, before this returns; the lock is held for as
/// long as the store is open.
pub(crate) async fn start<S: Sql>(
    open: impl FnOnce() -> Result<S, SqlError> + Send + 'static,
    config: Config,
    around: Surroundings,
    lock: Lock,
) -> Result<Thread, SqlError> {
    let (opened, ready) = oneshot::channel();
    let (alive, ended) = oneshot::channel();
    let spawned = std::thread::Builder::new().name("engine".to_owned()).spawn(move || {
        let _until_the_end: (Lock, oneshot::Sender<()>) = (lock, alive);
        let engine = match open().and_then(|sql| Engine::open(sql, config, now(), entropy())) {
            Ok(engine) => engine,
            Err(error) => return drop(opened.send(Err(error))),
        };
        if opened.send(Ok(())).is_ok() {
            Host::new(engine, around).run();
        }
    });
    spawned.map_err(|error: io::Error| SqlError::new(format!("the engine's thread cannot start: {error}")))?;
    ready.await.map_err(|_| SqlError::new("the engine panicked while it opened"))??;
    Ok(Thread(ended))
}

struct Host<S> {
    engine: Engine<S>,
    around: Surroundings,
    /// Who waits for the reply to which request.
    waiting: HashMap<Ticket, oneshot::Sender<Reply>>,
    tickets: u64,
    deadline: Option<Time>,
    /// How many timers the next tick may run.
    budget: usize,
    /// No tick before this: the last one changed nothing and yet more was said to be due.
    rest_until: Option<Instant>,
    /// The last batch ticked, and took its time.
    ticked_long: bool,
    /// When something was last written that may still lie in the log alone.
    unfolded: Option<Instant>,
}

impl<S: Sql> Host<S> {
    fn new(engine: Engine<S>, around: Surroundings) -> Self {
        let deadline = engine.next_deadline().unwrap_or(Some(Time::ZERO));
        Self {
            engine,
            around,
            waiting: HashMap::new(),
            tickets: 0,
            deadline,
            budget: BUDGET,
            rest_until: None,
            ticked_long: false,
            unfolded: None,
        }
    }

    fn run(mut self) {
        let _closing = Closing(Arc::clone(&self.around.queue));
        let mut jobs = Vec::with_capacity(BATCH);
        while self.around.queue.take(&mut jobs, BATCH, self.patience()) {
            self.batch(&mut jobs);
            self.fold_when_idle();
        }
        if let Err(error) = self.engine.sql().run("PRAGMA wal_checkpoint(TRUNCATE)", &[], &mut |_| Ok(())) {
            tracing::warn!(%error, "the log could not be folded into the database; the next start does it");
        }
    }

    /// How long to wait for a command.
    fn patience(&self) -> Option<Duration> {
        let fold = self.unfolded.map(|since| IDLE.saturating_sub(since.elapsed()));
        self.until_due().into_iter().chain(fold).min()
    }

    /// Folds the log into the database once nothing has been written for a while: who reads it from there reads faster.
    fn fold_when_idle(&mut self) {
        if self.unfolded.is_some_and(|since| since.elapsed() >= IDLE) {
            self.unfolded = None;
            if let Err(error) = self.engine.sql().run("PRAGMA wal_checkpoint(PASSIVE)", &[], &mut |_| Ok(())) {
                tracing::warn!(%error, "the log could not be folded into the database");
            }
        }
    }

    /// How long until a timer is due; `None` when only a command can change anything.
    fn until_due(&self) -> Option<Duration> {
        let now = self.engine.now(now());
        let deadline = self.deadline?;
        if deadline <= now {
            let rest = self.rest_until.map(|until| until.saturating_duration_since(Instant::now()));
            return Some(rest.unwrap_or_default());
        }
        // A virtual clock is moved by its command, which runs what falls due. A real one may be set, and the machine
        // may sleep meanwhile, so it is looked at now and then.
        let wait = Duration::from_millis(deadline.since(now).as_millis().unsigned_abs());
        self.engine.config().virtual_time.is_none().then_some(wait.min(LOOK))
    }

    fn batch(&mut self, jobs: &mut Vec<Job>) {
        let due = self.until_due() == Some(Duration::ZERO);
        // Who has waited for a long tick does not wait for another.
        let tick = due && (jobs.is_empty() || !self.ticked_long);
        let mut commands = Vec::with_capacity(jobs.len() + 1);
        if tick {
            commands.push(Command::Tick { budget: self.budget });
            self.note_lag();
        }
        commands.extend(jobs.drain(..).filter_map(|job| self.command(job)));
        if commands.is_empty() {
            return;
        }
        let (size, start, timers) = (commands.len(), Instant::now(), self.engine.counts().timers);
        let turns = self.engine.batch(commands, now(), entropy());
        let took = start.elapsed();
        let metrics = &self.around.metrics;
        metrics.batch.record(size as f64);
        metrics.batch_seconds.record(took.as_secs_f64());
        *metrics.counts.lock().unwrap_or_else(PoisonError::into_inner) = self.engine.counts();
        if turns.iter().any(|turn| turn.cost.rows > 0) {
            self.unfolded = Some(Instant::now());
        }
        self.deadline = turns.last().map_or(self.deadline, |turn| turn.next_deadline);
        self.ticked_long = tick && took > TICK / 4;
        if tick {
            let timers = usize::try_from(self.engine.counts().timers - timers).unwrap_or(usize::MAX);
            self.after_tick(timers, took, turns.first().is_some_and(|turn| turn.cost.rows > 0));
        }
        for turn in turns {
            self.leave(turn);
        }
    }

    fn command(&mut self, job: Job) -> Option<Command> {
        Some(match job {
            Job::Stop => {
                self.engine.stop();
                return None;
            }
            Job::Outcome(effect, result) => Command::Outcome { effect, result },
            Job::Touch(touch) => Command::Touch(touch),
            Job::Request(request, reply) => {
                self.tickets += 1;
                let ticket = Ticket(self.tickets);
                self.waiting.insert(ticket, reply);
                Command::Request { ticket, request }
            }
        })
    }

    /// Sizes the next tick by a batch whose tick used up its budget, so that such a batch takes about [`TICK`].
    fn after_tick(&mut self, timers: usize, took: Duration, wrote: bool) {
        if timers >= self.budget {
            let fits = self.budget as f64 * TICK.as_secs_f64() / took.as_secs_f64().max(1e-6);
            self.budget = (fits as usize).clamp(BUDGET_MIN, BUDGET_MAX);
        }
        self.rest_until = (timers == 0 && !wrote).then(|| Instant::now() + REST);
    }

    fn note_lag(&self) {
        if let Some(deadline) = self.deadline.filter(|deadline| *deadline >= Time::LINE) {
            let late = self.engine.now(now()).since(deadline);
            self.around.metrics.timer_lag.record(late.as_millis() as f64 / 1000.0);
        }
    }

    /// Lets go of what a command leaves behind. A caller who has gone away is not missed.
    fn leave(&mut self, turn: Turn) {
        for (ticket, reply) in turn.replies {
            if let Some(waiting) = self.waiting.remove(&ticket) {
                let _ = waiting.send(reply);
            }
        }
        for effect in turn.effects {
            match effect {
                Effect::Fetch(fetch) => self.around.fetcher.start(fetch),
                Effect::Notify(notice) => self.around.hub.publish(notice),
            }
        }
    }
}

/// Closes the queue when the thread ends, also by a panic: then nobody waits for a reply that cannot come.
struct Closing(Arc<Queue>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
        let mut unanswered = Vec::new();
        while self.0.take(&mut unanswered, usize::MAX, Some(Duration::ZERO)) {}
    }
}

fn entropy() -> Entropy {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the operating system has random bytes once it has started");
    Entropy::new(bytes)
}

/// How many timers a first tick may run, and the fewest and most that any may.
const BUDGET: usize = 64;
const BUDGET_MIN: usize = 8;
const BUDGET_MAX: usize = 4096;
/// How often the system's clock is looked at while a timer is far away.
const LOOK: Duration = Duration::from_secs(1);
/// How long nothing has been written when the log is folded into the database.
const IDLE: Duration = Duration::from_secs(1);
/// How long to wait after a tick that changed nothing.
const REST: Duration = Duration::from_millis(50);
