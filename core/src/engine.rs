//! The engine: one tenant, one database, one queue of commands.
//!
//! It stays thin on purpose. A command is routed, run in a nested transaction of its own and answered; what it decides
//! lives in the rooms beside this one. This file owns the batch: all or nothing towards the disk, one refusal or one
//! panic harming nobody else.

mod batch;
mod clock;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use http::StatusCode;
use http::header::CONTENT_TYPE;

use self::batch::Batch;
pub(crate) use self::batch::{Done, Ended, Fate, Handle, Scratch, Slots};
use self::clock::clock_route;
use crate::config::{Config, Virtual};
use crate::effect::{Effect, EffectId, Fetched, Touch};
use crate::entropy::Entropy;
use crate::http::{Call, Error, Handler, Refusal, Request, Response, is_subscription, route};
use crate::live::Live;
use crate::pending::Pending;
use crate::schedule::{self, Timer};
use crate::store::{Clock, Keys, Read, Sql, SqlError, Verdict, migrate};
use crate::stream::Next;
use crate::time::Time;

/// Names a request between the host and the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What a host brings to the engine.
#[derive(Debug)]
pub enum Command {
    /// An HTTP request, to be answered under its ticket.
    Request {
        /// The ticket.
        ticket: Ticket,
        /// The request.
        request: Request,
    },
    /// Timers may be due: run at most `budget` of them.
    Tick {
        /// The most rows to run.
        budget: usize,
    },
    /// An effect has finished.
    Outcome {
        /// Which.
        effect: EffectId,
        /// How.
        result: Fetched,
    },
    /// A read wants something remembered.
    Touch(Touch),
}

/// An answer.
#[derive(Debug)]
pub enum Reply {
    /// A whole response.
    Whole(Response),
    /// A long-poll or SSE read that the host drives: see [`Live`].
    Live(Box<Live>),
}

/// What a command gives back. Everything in it leaves after the commit.
#[derive(Debug, Default)]
pub struct Turn {
    /// Answers to requests: usually to the command's own, sometimes to one that was parked.
    pub replies: Vec<(Ticket, Reply)>,
    /// What the host must do now.
    pub effects: Vec<Effect>,
    /// When the host must call [`Engine::tick`] next, as of the end of this batch.
    pub next_deadline: Option<Time>,
    /// What the command cost.
    pub cost: Cost,
}

/// What a command cost the store; the same on every machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Table rows and index entries written, without the commit row.
    pub rows: u64,
    /// Statements run.
    pub statements: u64,
}

/// Counts since the engine was opened, for a host's metrics.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Commands run.
    pub commands: u64,
    /// Commands that panicked and were rolled back.
    pub panics: u64,
    /// Batches that could not commit.
    pub failed_commits: u64,
    /// Timer rows run.
    pub timers: u64,
    /// Timer rows that failed and were pushed back.
    pub timer_failures: u64,
    /// Wake rows written.
    pub wakes: u64,
    /// Dispatches that had to wait: their entity had used up its budget of wakes, or the chain of causes was too deep.
    pub wakes_slowed: u64,
    /// Wakes whose condition matched and for which no row was written (the subscriber had stopped).
    pub wakes_suppressed: u64,
    /// Dispatches begun: generations of subscriptions.
    pub dispatches: u64,
    /// Leases that ended without a done.
    pub leases_expired: u64,
    /// Dispatches that were given up.
    pub dead_letters: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        self.commands += other.commands;
        self.panics += other.panics;
        self.failed_commits += other.failed_commits;
        self.timers += other.timers;
        self.timer_failures += other.timer_failures;
        self.wakes += other.wakes;
        self.wakes_slowed += other.wakes_slowed;
        self.wakes_suppressed += other.wakes_suppressed;
        self.dispatches += other.dispatches;
        self.leases_expired += other.leases_expired;
        self.dead_letters += other.dead_letters;
    }
}

/// One tenant's engine over its database.
#[derive(Debug)]
pub struct Engine<S> {
    sql: S,
    config: Config,
    memory: Memory,
}

/// What may be dropped at any moment without anyone noticing: the last committed clock, the keys, what is in flight, and
/// requests that wait (their callers are told to try again).
#[derive(Debug)]
struct Memory {
    clock: Cell<Clock>,
    keys: Keys,
    in_flight: BTreeMap<EffectId, ()>,
    pending: BTreeMap<u64, (Ticket, Pending)>,
    next_pending: u64,
    uses: RefCell<BTreeMap<String, u64>>,
    counts: Counts,
    stopping: bool,
}

impl Memory {
    fn new(clock: Clock, keys: Keys) -> Self {
        Self {
            clock: Cell::new(clock),
            keys,
            in_flight: BTreeMap::new(),
            pending: BTreeMap::new(),
            next_pending: 0,
            uses: RefCell::default(),
            counts: Counts::default(),
            stopping: false,
        }
    }

    /// When the first of the parked commands has waited long enough.
    fn next_parked(&self) -> Option<Time> {
        self.pending.values().map(|(_, parked)| parked.deadline()).min()
    }
}

impl<S: Sql> Engine<S> {
    /// Opens the engine on its database: brings the schema up to date and finds its clock. Nothing else is recovered,
    /// since nothing else exists; call [`Engine::tick`] when [`Engine::next_deadline`] says so.
    ///
    /// # Errors
    /// When the database cannot be read or written, or holds the schema of a newer release.
    pub fn open(sql: S, config: Config, now: Time, entropy: Entropy) -> Result<Self, SqlError> {
        let start = config.virtual_time.as_ref().map_or(now, |v| v.start);
        let entropy = config.virtual_time.as_ref().map_or(entropy, Virtual::entropy);
        let clock = migrate::open(&sql, start, &entropy.part("open", 0))?;
        let keys = Read::new(&sql, &config, clock.now).keys()?;
        let memory = Memory::new(clock, keys);
        Ok(Self { sql, config, memory })
    }

    /// The configuration it was opened with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The connection to the database.
    pub fn sql(&self) -> &S {
        &self.sql
    }

    /// Lets go of the connection.
    pub fn into_sql(self) -> S {
        self.sql
    }

    /// From now on no fetch starts: the host is about to end. Whatever would have left is due when the engine is opened
    /// again; all else goes on.
    pub fn stop(&mut self) {
        self.memory.stopping = true;
    }

    /// Counts since it was opened.
    pub fn counts(&self) -> Counts {
        self.memory.counts
    }

    /// How many `Fetch` effects are in flight.
    pub fn in_flight(&self) -> usize {
        self.memory.in_flight.len()
    }

    /// The engine's own `now`: the host's, or the virtual clock's, never before the last committed one.
    pub fn now(&self, now: Time) -> Time {
        let committed = self.memory.clock.get().now;
        if self.config.virtual_time.is_some() { committed } else { now.max(committed) }
    }

    /// How many timers are dead: they failed too often, and their last error is kept.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn dead_timers(&self) -> Result<i64, SqlError> {
        Read::new(&self.sql, &self.config, self.memory.clock.get().now).dead_timers()
    }

    /// When the host must call [`Engine::tick`]: the earliest due timer, unless it only waits for a free slot.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn next_deadline(&self) -> Result<Option<Time>, SqlError> {
        let now = self.memory.clock.get().now;
        let timer = Read::new(&self.sql, &self.config, now).next_timer(self.free_slots() > 0)?;
        Ok(timer.into_iter().chain(self.memory.next_parked()).min())
    }

    /// Runs one request: a batch of one.
    pub fn request(&mut self, ticket: Ticket, request: Request, now: Time, entropy: Entropy) -> Turn {
        self.one(Command::Request { ticket, request }, now, entropy)
    }

    /// Runs at most `budget` due timers, oldest first. More are due when the turn's deadline is not in the future.
    pub fn tick(&mut self, budget: usize, now: Time, entropy: Entropy) -> Turn {
        self.one(Command::Tick { budget }, now, entropy)
    }

    /// Takes the outcome of an effect.
    pub fn outcome(&mut self, effect: EffectId, result: Fetched, now: Time, entropy: Entropy) -> Turn {
        self.one(Command::Outcome { effect, result }, now, entropy)
    }

    /// The first tick after a trap: each due row is pushed back and committed before it runs, so that the row that
    /// trapped cannot do so for ever.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn careful_tick(&mut self, budget: usize, now: Time, entropy: Entropy) -> Result<Turn, SqlError> {
        let now = self.now(now);
        let due = Read::new(&self.sql, &self.config, now).due_timers(now, budget)?;
        let mut turn = Turn::default();
        for row in due {
            self.run_carefully(&row, now, entropy, &mut turn)?;
        }
        let free = self.free_slots();
        for row in Read::new(&self.sql, &self.config, now).waiting_timers(free.min(budget))? {
            self.run_carefully(&row, now, entropy, &mut turn)?;
        }
        turn.next_deadline = self.next_deadline()?;
        Ok(turn)
    }

    /// Runs commands in one transaction, each nested in it. One turn comes back for each, in order.
    ///
    /// A refusal rolls back its command alone, and so does a panic where the host unwinds. When the transaction itself
    /// fails, every command that ran in it is answered 503 and its effects are dropped; the rest run in a new one.
    pub fn batch(&mut self, commands: Vec<Command>, now: Time, entropy: Entropy) -> Vec<Turn> {
        let mut turns = Vec::with_capacity(commands.len());
        let mut rest = commands.as_slice();
        while let Some(first) = rest.first() {
            if let Some(turn) = self.move_clock(first) {
                turns.push(turn);
                rest = &rest[1..];
                continue;
            }
            let together = rest.iter().position(|c| clock_route(&self.config, c).is_some()).unwrap_or(rest.len());
            let mut done = self.attempt(&rest[..together], turns.len(), now, &entropy);
            rest = &rest[done.len()..];
            turns.append(&mut done);
        }
        turns
    }

    /// The next piece of a live read, as of the last commit, and perhaps something to remember.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn next(&self, live: &mut Live, now: Time) -> Result<(Next, Option<Touch>), SqlError> {
        next(&self.sql, &self.config, live, now)
    }

    fn one(&mut self, command: Command, now: Time, entropy: Entropy) -> Turn {
        self.batch(vec![command], now, entropy).pop().unwrap_or_default()
    }

    /// Runs one row in a transaction of its own, after it was pushed back in another.
    fn run_carefully(&mut self, row: &Timer, now: Time, entropy: Entropy, turn: &mut Turn) -> Result<(), SqlError> {
        let mut pushed = Ok(None);
        let batch = Batch::new(&self.sql, &self.config, &self.memory, now, self.slots());
        self.sql.transaction(&mut || {
            let tx = batch.tx(entropy.part("push back", 0));
            pushed = schedule::push_back(&tx, row, "the instance trapped");
            let kept = pushed.is_ok() && batch.finish(true).is_ok();
            if kept { Verdict::Commit } else { Verdict::Rollback }
        })?;
        let clock = batch.clock();
        self.memory.clock.set(clock);
        if let Some(pushed) = pushed? {
            // Being pushed back was no failure: if it fails now, that is counted once.
            let row = Timer { attempt: row.attempt, ..pushed };
            turn.absorb(
                self.transact_one(now, |batch, scratch| schedule::run_row(&batch.handle(&entropy), &row, scratch)),
            );
        }
        Ok(())
    }

    fn transact_one(&mut self, now: Time, work: impl Fn(&Batch<'_>, &mut Scratch) -> Fate) -> Turn {
        let turns = self.transact(1, now, |batch, _| {
            let mut scratch = Scratch::default();
            let fate = work(batch, &mut scratch);
            (scratch, fate)
        });
        turns.ok().and_then(|mut turns| turns.pop()).unwrap_or_default()
    }

    /// Runs commands in one transaction. Gives a turn for each that ran: all of them, or those up to the failure.
    fn attempt(&mut self, commands: &[Command], offset: usize, now: Time, entropy: &Entropy) -> Vec<Turn> {
        let now = self.now(now);
        let ran = self.transact(commands.len(), now, |batch, i| {
            let part = entropy.part("command", (offset + i) as u64);
            batch.run(&commands[i], &part)
        });
        let ran = match ran {
            Ok(turns) => return turns,
            Err(ran) => ran,
        };
        let mut turns = Vec::with_capacity(ran);
        for command in &commands[..ran] {
            let mut turn = Turn { next_deadline: Some(now + RETRY_AFTER_FAILED_COMMIT), ..Turn::default() };
            match command {
                Command::Request { ticket, request } => {
                    let mut response = unavailable();
                    dress(&mut response, request, &self.config, Cost::default());
                    turn.replies.push((*ticket, Reply::Whole(response)));
                }
                // A delivery's row is due again when its time is up; a parked command is answered.
                Command::Outcome { effect, .. } => {
                    self.memory.in_flight.remove(effect);
                    let parked = match effect {
                        EffectId::Pending(number) => self.memory.pending.remove(number),
                        EffectId::Delivery { .. } | EffectId::Shape { .. } => None,
                    };
                    if let Some((ticket, pending)) = parked {
                        turn.replies.push((ticket, pending.dress(Reply::Whole(unavailable()))));
                    }
                }
                // What a lost touch would have kept alive is used again, or not.
                Command::Tick { .. } | Command::Touch(_) => {}
            }
            turns.push(turn);
        }
        turns
    }

    /// Runs up to `n` pieces of work in one transaction and publishes what they leave; or drops it all, and says how
    /// many ran.
    fn transact(
        &mut self,
        n: usize,
        now: Time,
        work: impl Fn(&Batch<'_>, usize) -> (Scratch, Fate),
    ) -> Result<Vec<Turn>, usize> {
        let batch = Batch::new(&self.sql, &self.config, &self.memory, now, self.slots());
        let before = self.sql.written();
        let mut done: Vec<Scratch> = Vec::with_capacity(n);
        let mut spoiled = false;
        let mut next_timer = None;
        let result = self.sql.transaction(&mut || {
            done.clear();
            for i in 0..n {
                let (scratch, fate) = work(&batch, i);
                done.push(scratch);
                if fate == Fate::Spoiled {
                    spoiled = true;
                    return Verdict::Rollback;
                }
            }
            match batch.finish(self.sql.written() != before) {
                Ok(timer) => {
                    next_timer = timer;
                    Verdict::Commit
                }
                Err(_) => {
                    spoiled = true;
                    Verdict::Rollback
                }
            }
        });
        let clock = batch.clock();
        let ran = done.len().max(1);
        if spoiled || result.is_err() {
            self.memory.counts.failed_commits += 1;
            return Err(ran);
        }
        if self.sql.written() != before {
            self.memory.clock.set(clock);
        }
        let mut turns: Vec<Turn> = done.into_iter().map(|scratch| self.publish(scratch)).collect();
        let next_deadline = next_timer.into_iter().chain(self.memory.next_parked()).min();
        turns.iter_mut().for_each(|turn| turn.next_deadline = next_deadline);
        Ok(turns)
    }

    /// Moves what a committed command left behind into memory, and hands the rest to the host.
    fn publish(&mut self, scratch: Scratch) -> Turn {
        if scratch.rekeyed
            && let Ok(keys) = Read::new(&self.sql, &self.config, self.memory.clock.get().now).keys()
        {
            self.memory.keys = keys;
        }
        let memory = &mut self.memory;
        memory.counts.add(&scratch.counts);
        for id in scratch.landed {
            memory.in_flight.remove(&id);
            if let EffectId::Pending(number) = id {
                memory.pending.remove(&number);
            }
        }
        for (number, ticket, pending) in scratch.parked {
            memory.pending.insert(number, (ticket, pending));
            memory.next_pending = memory.next_pending.max(number + 1);
        }
        for effect in &scratch.effects {
            if let Effect::Fetch(fetch) = effect {
                memory.in_flight.insert(fetch.id.clone(), ());
            }
        }
        Turn { replies: scratch.replies, effects: scratch.effects, next_deadline: None, cost: scratch.cost }
    }

    fn slots(&self) -> Slots {
        let asked = self.memory.in_flight.keys().filter(|id| matches!(id, EffectId::Shape { .. })).count();
        Slots::new(self.free_slots(), self.config.shapes_at_once().saturating_sub(asked))
    }

    fn free_slots(&self) -> usize {
        let fetches = if self.memory.stopping { 0 } else { self.config.fetches };
        fetches.saturating_sub(self.memory.in_flight.len())
    }
}

impl Turn {
    /// Adds what another turn leaves.
    fn absorb(&mut self, other: Self) {
        self.replies.extend(other.replies);
        self.effects.extend(other.effects);
    }
}

/// Answers a request on a read route from any connection over any committed snapshot, without the engine; `None` when
/// the route writes and must go through [`Engine::batch`]. Beside the reply there may be something to remember.
pub fn read(sql: &dyn Sql, config: &Config, request: &Request, now: Time) -> Option<(Reply, Option<Touch>)> {
    let found = route(config, &request.method, &request.path);
    let Handler::Read(handler) = found.handler else { return None };
    let (mut touched, mut cost) = (None, Cost::default());
    let answer = catch_unwind(AssertUnwindSafe(|| {
        let committed = Clock::read(sql)?.now;
        let now = if config.virtual_time.is_some() { committed } else { now.max(committed) };
        let read = Read::new(sql, config, now);
        let answer = handler(&Call { store: &read, request, found: &found });
        touched = read.touched();
        cost.statements = read.statements();
        answer
    }));
    Some(match answer {
        Ok(Ok(reply)) => reply,
        Ok(Err(error)) => Reply::Whole(answer_error(&error, config)),
        Err(_) => Reply::Whole(internal_error()),
    })
    .map(|reply| (finish(reply, request, config, cost), touched))
}

/// The next piece of a live read from any connection, as of its last committed snapshot, and perhaps something to
/// remember.
///
/// # Errors
/// When the database cannot be read.
pub fn next(sql: &dyn Sql, config: &Config, live: &mut Live, now: Time) -> Result<(Next, Option<Touch>), SqlError> {
    let committed = Clock::read(sql)?.now;
    let now = if config.virtual_time.is_some() { committed } else { now.max(committed) };
    let read = Read::new(sql, config, now);
    let next = live.next(&read)?;
    Ok((next, read.touched()))
}

fn reason(error: &Error) -> String {
    match error {
        Error::Refused(refusal) => refusal.message.clone(),
        Error::Store(error) => error.to_string(),
    }
}

/// The answer to a storage failure: nothing was kept, and trying again is safe.
fn unavailable() -> Response {
    not_committed().response()
}

fn not_committed() -> Refusal {
    Refusal::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "STORE_UNAVAILABLE",
        "the store could not commit; nothing was kept, try again",
    )
    .with("retry-after", "1")
}

fn internal_error() -> Response {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_SERVER_ERROR", "Internal server error").response()
}

/// The answer to a failure. A development server says what the store said.
fn answer_error(error: &Error, config: &Config) -> Response {
    match error {
        Error::Refused(refusal) => refusal.response(),
        Error::Store(error) if config.is_dev() => {
            let mut refusal = not_committed();
            refusal.details = Some(serde_json::json!({ "store": error.message }));
            refusal.response()
        }
        Error::Store(_) => unavailable(),
    }
}

/// Puts on what every answer wears.
fn dress(response: &mut Response, request: &Request, config: &Config, cost: Cost) {
    crate::http::dress(response, &request.path);
    // The stream protocol's control routes say no charset (section 9.1).
    let bare = is_subscription(config, &request.path);
    if bare && response.headers.get(CONTENT_TYPE).is_some_and(|t| t.as_bytes().starts_with(b"application/json;")) {
        response.set("content-type", "application/json");
    }
    if config.is_dev() {
        response.set("reveille-rows-written", cost.rows.to_string());
        response.set("reveille-statements", cost.statements.to_string());
    }
}

fn finish(reply: Reply, request: &Request, config: &Config, cost: Cost) -> Reply {
    match reply {
        Reply::Whole(mut response) => {
            dress(&mut response, request, config, cost);
            Reply::Whole(response)
        }
        live @ Reply::Live(_) => live,
    }
}

const RETRY_AFTER_FAILED_COMMIT: crate::time::Span = crate::time::Span::millis(1000);
