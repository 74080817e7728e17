//! The engine: one tenant, one database, one queue of commands.
//!
//! It stays thin on purpose. A command is routed, run in a nested transaction of its own and answered; what it decides
//! lives in the rooms beside this one. This file owns the batch: all or nothing towards the disk, one refusal or one
//! panic harming nobody else.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use http::StatusCode;

use crate::config::{Config, Virtual};
use crate::effect::{Effect, EffectId, Fetched};
use crate::entropy::Entropy;
use crate::http::{Call, Error, Handler, Refusal, Request, Response, route};
use crate::limits::{EFFECTS_A_TURN, PENDING};
use crate::pending::Pending;
use crate::schedule;
use crate::store::{Clock, Read, Sql, SqlError, Tx, Verdict, migrate};
use crate::stream::{Live, Next};
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
    /// Wakes spaced out because their chain of causes was too deep.
    pub wakes_slowed: u64,
    /// Wakes whose condition matched and for which no row was written (the subscriber had stopped).
    pub wakes_suppressed: u64,
    /// Dispatches begun: generations of subscriptions.
    pub dispatches: u64,
    /// Leases that ended without a done.
    pub leases_expired: u64,
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
    }
}

/// One tenant's engine over its database.
#[derive(Debug)]
pub struct Engine<S> {
    sql: S,
    config: Config,
    memory: Memory,
}

/// What may be dropped at any moment without anyone noticing: the last committed clock, what is in flight, and
/// requests that wait for an effect (their callers are told to try again).
#[derive(Debug, Default)]
struct Memory {
    clock: Cell<Clock>,
    in_flight: BTreeMap<EffectId, ()>,
    pending: BTreeMap<u64, (Ticket, Pending)>,
    next_pending: u64,
    uses: RefCell<BTreeMap<String, u64>>,
    counts: Counts,
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
        let memory = Memory { clock: Cell::new(clock), ..Memory::default() };
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
        deadline(&Read::new(&self.sql, &self.config, now), self.free_slots(), &self.memory.pending)
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
        let mut all = Turn::default();
        for row in due {
            let batch = Batch::new(&self.sql, &self.config, &self.memory, now, self.free_slots());
            let mut pushed = Ok(None);
            self.sql.transaction(&mut || {
                let tx = batch.tx(entropy.part("push", 0));
                pushed = schedule::push_back(&tx, &row, "the instance trapped")
                    .and_then(|row| tx.write_clock(&batch.clock()).map(|()| row));
                if pushed.is_ok() { Verdict::Commit } else { Verdict::Rollback }
            })?;
            let pushed = pushed?;
            let clock = batch.clock();
            drop(batch);
            self.memory.clock.set(clock);
            let Some(row) = pushed else { continue };
            let turn = self.run_row(row, now, entropy);
            all.effects.extend(turn.effects);
            all.replies.extend(turn.replies);
        }
        all.next_deadline = self.next_deadline()?;
        Ok(all)
    }

    /// Runs commands in one transaction, each nested in it. One turn comes back for each, in order.
    ///
    /// A refusal rolls back its command alone, and so does a panic where the host unwinds. When the transaction itself
    /// fails, every command that ran in it is answered 503 and its effects are dropped; the rest run in a new one.
    pub fn batch(&mut self, commands: Vec<Command>, now: Time, entropy: Entropy) -> Vec<Turn> {
        let mut turns = Vec::with_capacity(commands.len());
        let mut rest = commands.as_slice();
        while !rest.is_empty() {
            let (ran, mut done) = self.attempt(rest, turns.len(), now, &entropy);
            turns.append(&mut done);
            rest = &rest[ran..];
        }
        turns
    }

    /// The next piece of a live read, as of the last commit.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn next(&self, live: &mut Live, now: Time) -> Result<Next, SqlError> {
        live.next(&Read::new(&self.sql, &self.config, self.now(now)))
    }

    fn one(&mut self, command: Command, now: Time, entropy: Entropy) -> Turn {
        self.batch(vec![command], now, entropy).pop().unwrap_or_default()
    }

    fn run_row(&mut self, row: schedule::Timer, now: Time, entropy: Entropy) -> Turn {
        let mut turns = self.transact(1, now, |batch, _| {
            let mut scratch = Scratch::default();
            let fate = schedule::run_row(&batch.handle(&entropy), &row, &mut scratch);
            (scratch, fate)
        });
        turns.pop().unwrap_or_default()
    }

    fn attempt(&mut self, commands: &[Command], offset: usize, now: Time, entropy: &Entropy) -> (usize, Vec<Turn>) {
        let now = self.now(now);
        let turns = self.transact(commands.len(), now, |batch, i| {
            let part = entropy.part("command", (offset + i) as u64);
            batch.run(&commands[i], &part)
        });
        let ran = turns.len();
        let mut turns = turns;
        for (turn, command) in turns.iter_mut().zip(commands) {
            if let (Command::Request { ticket, .. }, true) = (command, turn.replies.is_empty() && !self.parked(command))
            {
                turn.replies.push((*ticket, Reply::Whole(unavailable())));
            }
        }
        (ran, turns)
    }

    fn parked(&self, command: &Command) -> bool {
        matches!(command, Command::Request { ticket, .. } if self.memory.pending.values().any(|(t, _)| t == ticket))
    }

    /// Runs up to `n` pieces of work in one transaction and publishes what they leave, or drops it all.
    fn transact(&mut self, n: usize, now: Time, work: impl Fn(&Batch<'_>, usize) -> (Scratch, Fate)) -> Vec<Turn> {
        let batch = Batch::new(&self.sql, &self.config, &self.memory, now, self.free_slots());
        let before = self.sql.written();
        let mut done: Vec<Scratch> = Vec::with_capacity(n);
        let mut spoiled = false;
        let mut next_deadline = None;
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
                Ok(deadline) => {
                    next_deadline = deadline;
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
            let deadline = Some(now + RETRY_AFTER_FAILED_COMMIT);
            return (0..ran).map(|_| Turn { next_deadline: deadline, ..Turn::default() }).collect();
        }
        if self.sql.written() != before {
            self.memory.clock.set(clock);
        }
        done.into_iter().map(|scratch| self.publish(scratch, next_deadline)).collect()
    }

    /// Moves what a committed command left behind into memory, and hands the rest to the host.
    fn publish(&mut self, scratch: Scratch, next_deadline: Option<Time>) -> Turn {
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
        Turn { replies: scratch.replies, effects: scratch.effects, next_deadline, cost: scratch.cost }
    }

    fn free_slots(&self) -> usize {
        self.config.fetches.saturating_sub(self.memory.in_flight.len())
    }
}

/// Answers a request on a read route from any connection over any committed snapshot, without the engine; `None` when
/// the route writes and must go through [`Engine::batch`].
pub fn read(sql: &dyn Sql, config: &Config, request: &Request, now: Time) -> Option<Reply> {
    let found = route(&request.method, &request.path);
    let Handler::Read(handler) = found.handler else { return None };
    let answer = catch_unwind(AssertUnwindSafe(|| {
        let committed = Clock::read(sql)?.now;
        let now = if config.virtual_time.is_some() { committed } else { now.max(committed) };
        let read = Read::new(sql, config, now);
        handler(&Call { store: &read, request, params: &found.params })
    }));
    Some(match answer {
        Ok(Ok(reply)) => reply,
        Ok(Err(error)) => Reply::Whole(answer_error(&error)),
        Err(_) => Reply::Whole(internal_error()),
    })
    .map(|reply| finish(reply, request, config, Cost::default()))
}

/// The next piece of a live read from any connection, as of its last committed snapshot.
///
/// # Errors
/// When the database cannot be read.
pub fn next(sql: &dyn Sql, config: &Config, live: &mut Live, now: Time) -> Result<Next, SqlError> {
    let committed = Clock::read(sql)?.now;
    let now = if config.virtual_time.is_some() { committed } else { now.max(committed) };
    live.next(&Read::new(sql, config, now))
}

/// Whether a command let the batch go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    Done,
    Spoiled,
}

/// What a command leaves behind, dropped with it when it is rolled back.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) replies: Vec<(Ticket, Reply)>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) parked: Vec<(u64, Ticket, Pending)>,
    pub(crate) landed: Vec<EffectId>,
    pub(crate) counts: Counts,
    pub(crate) cost: Cost,
}

/// One transaction of commands.
struct Batch<'a> {
    sql: &'a dyn Sql,
    config: &'a Config,
    memory: &'a Memory,
    now: Cell<Time>,
    txid: i64,
    serial: Cell<i64>,
    slots: Slots,
    moved: Cell<bool>,
    next_pending: Cell<u64>,
    landed: RefCell<Vec<EffectId>>,
}

/// What one piece of work needs from its batch.
pub(crate) struct Handle<'a> {
    batch: &'a Batch<'a>,
    pub(crate) entropy: &'a Entropy,
}

impl<'a> Batch<'a> {
    fn new(sql: &'a dyn Sql, config: &'a Config, memory: &'a Memory, now: Time, slots: usize) -> Self {
        let clock = memory.clock.get();
        Self {
            sql,
            config,
            memory,
            now: Cell::new(now),
            txid: clock.txid + 1,
            serial: Cell::new(clock.serial),
            slots: Slots::new(slots),
            moved: Cell::new(false),
            next_pending: Cell::new(memory.next_pending),
            landed: RefCell::default(),
        }
    }

    fn clock(&self) -> Clock {
        Clock { txid: self.txid, now: self.now.get(), serial: self.serial.get() }
    }

    fn tx(&'a self, entropy: Entropy) -> Tx<'a> {
        Tx::new(Read::new(self.sql, self.config, self.now.get()), self.txid, &self.serial, &self.slots, entropy.draw())
    }

    fn handle(&'a self, entropy: &'a Entropy) -> Handle<'a> {
        Handle { batch: self, entropy }
    }

    fn finish(&self, wrote: bool) -> Result<Option<Time>, SqlError> {
        let read = Read::new(self.sql, self.config, self.now.get());
        if wrote || self.moved.get() {
            Tx::write_clock_row(&read, &self.clock())?;
        }
        deadline(&read, self.slots.free(), &self.memory.pending)
    }

    fn run(&self, command: &Command, entropy: &Entropy) -> (Scratch, Fate) {
        let mut scratch = Scratch::default();
        scratch.counts.commands = 1;
        self.slots.begin_turn();
        let before = self.sql.written();
        let fate = match command {
            Command::Request { ticket, request } => self.request(*ticket, request, entropy, &mut scratch),
            Command::Tick { budget } => {
                let entropy = self.config.virtual_time.as_ref().map_or(*entropy, Virtual::entropy);
                self.give_up_waiting(&entropy, &mut scratch);
                schedule::tick(&self.handle(&entropy), *budget, &mut scratch)
            }
            Command::Outcome { effect, result } => {
                let entropy =
                    self.config.virtual_time.as_ref().map_or(*entropy, |v| v.entropy().part(&effect.to_string(), 0));
                self.outcome(effect, result, &entropy, &mut scratch)
            }
        };
        scratch.cost.rows = self.sql.written() - before;
        if let (Command::Request { request, .. }, Some((_, Reply::Whole(response)))) =
            (command, scratch.replies.first_mut())
        {
            dress(response, request, self.config, scratch.cost);
        }
        (scratch, fate)
    }

    fn request(&self, ticket: Ticket, request: &Request, entropy: &Entropy, scratch: &mut Scratch) -> Fate {
        let found = route(&request.method, &request.path);
        let entropy = self.virtual_entropy(request, &found.handler).unwrap_or(*entropy);
        match found.handler {
            Handler::Read(handler) => {
                let read = Read::new(self.sql, self.config, self.now.get());
                let answer =
                    catch_unwind(AssertUnwindSafe(|| handler(&Call { store: &read, request, params: &found.params })));
                scratch.cost.statements += read.statements();
                let (reply, fate) = match answer {
                    Ok(Ok(reply)) => (reply, Fate::Done),
                    Ok(Err(Error::Store(_))) if self.sql.intact() != Some(true) => return Fate::Spoiled,
                    Ok(Err(error)) => (Reply::Whole(answer_error(&error)), Fate::Done),
                    Err(_) => {
                        scratch.counts.panics += 1;
                        (Reply::Whole(internal_error()), Fate::Done)
                    }
                };
                scratch.replies.push((ticket, reply));
                fate
            }
            Handler::Write(handler) => {
                let ended = self.handle(&entropy).nested(scratch, |tx| {
                    if let Some(origin) = &request.origin {
                        tx.remember_origin(origin)?;
                    }
                    handler(&Call { store: tx, request, params: &found.params })
                });
                match ended {
                    Ended::Kept(Done::Reply(reply)) | Ended::Failed { reply, .. } => {
                        scratch.replies.push((ticket, reply))
                    }
                    Ended::Kept(Done::Park(pending)) => self.park(ticket, pending, scratch),
                    Ended::Spoiled => return Fate::Spoiled,
                }
                Fate::Done
            }
            Handler::Clock(advance) => self.advance_clock(ticket, request, advance, scratch),
        }
    }

    /// Parks a command until its effect lands; refused when too many wait already.
    fn park(&self, ticket: Ticket, pending: Pending, scratch: &mut Scratch) {
        if self.memory.pending.len() + scratch.parked.len() >= PENDING || !self.slots.take() {
            scratch.replies.push((ticket, Reply::Whole(unavailable())));
            return;
        }
        let number = self.next_pending.get();
        self.next_pending.set(number + 1);
        scratch.effects.push(Effect::Fetch(pending.fetch(number)));
        scratch.parked.push((number, ticket, pending));
    }

    /// Answers the parked commands whose effect never came back.
    fn give_up_waiting(&self, entropy: &Entropy, scratch: &mut Scratch) {
        let late: Vec<u64> =
            self.memory.pending.iter().filter(|(_, (_, p))| p.deadline() <= self.now.get()).map(|(n, _)| *n).collect();
        for number in late {
            self.outcome(&EffectId::Pending(number), &Err("timed out".to_owned()), entropy, scratch);
        }
    }

    fn outcome(&self, effect: &EffectId, result: &Fetched, entropy: &Entropy, scratch: &mut Scratch) -> Fate {
        if !self.memory.in_flight.contains_key(effect) || self.landed.borrow().contains(effect) {
            return Fate::Done;
        }
        self.landed.borrow_mut().push(effect.clone());
        self.slots.give_back();
        scratch.landed.push(effect.clone());
        let handle = self.handle(entropy);
        match effect {
            EffectId::Delivery { .. } => {
                let ended = handle.nested(scratch, |tx| {
                    Ok(crate::subscription::delivered(tx, effect, result).map(|()| Done::nothing())?)
                });
                if matches!(ended, Ended::Spoiled) {
                    return Fate::Spoiled;
                }
            }
            EffectId::Pending(number) => {
                let Some((ticket, pending)) = self.memory.pending.get(number) else { return Fate::Done };
                match handle.nested(scratch, |tx| pending.resume(tx, result)) {
                    Ended::Kept(Done::Reply(reply)) | Ended::Failed { reply, .. } => {
                        scratch.replies.push((*ticket, pending.dress(reply)));
                    }
                    Ended::Kept(Done::Park(next)) => self.park(*ticket, next, scratch),
                    Ended::Spoiled => return Fate::Spoiled,
                }
            }
        }
        schedule::run_waiting(&handle, scratch)
    }

    /// Moves the virtual clock, running each timer at the moment when it falls due.
    fn advance_clock(
        &self,
        ticket: Ticket,
        request: &Request,
        advance: crate::http::Advance,
        scratch: &mut Scratch,
    ) -> Fate {
        let target = match advance(request, self.config, self.now.get()) {
            Ok(target) => target,
            Err(refusal) => {
                scratch.replies.push((ticket, Reply::Whole(refusal.response())));
                return Fate::Done;
            }
        };
        let Some(seed) = self.config.virtual_time.as_ref().map(Virtual::entropy) else { return Fate::Done };
        let handle = self.handle(&seed);
        match schedule::advance(&handle, &self.now, target, scratch) {
            Ok(Fate::Done) => {}
            Ok(Fate::Spoiled) | Err(_) => return Fate::Spoiled,
        }
        self.moved.set(true);
        scratch.effects.push(Effect::clock(target));
        let reply = Response::json(StatusCode::OK, &serde_json::json!({ "now": target }));
        scratch.replies.push((ticket, Reply::Whole(reply)));
        Fate::Done
    }

    /// The entropy of a write on the virtual clock: a function of the seed, the test's id and how often it was used.
    fn virtual_entropy(&self, request: &Request, handler: &Handler) -> Option<Entropy> {
        let seed = self.config.virtual_time.as_ref()?.entropy();
        if matches!(handler, Handler::Read(_)) {
            return Some(seed);
        }
        let id = request.header("reveille-test-id").unwrap_or("");
        let mut uses = self.memory.uses.borrow_mut();
        let count = uses.entry(id.to_owned()).or_default();
        *count += 1;
        Some(seed.part(id, *count))
    }
}

/// How a write ends when it is not refused.
pub(crate) enum Done {
    Reply(Reply),
    Park(Pending),
}

impl Done {
    pub(crate) fn nothing() -> Self {
        Self::Reply(Reply::Whole(Response::empty(StatusCode::NO_CONTENT)))
    }
}

impl From<Response> for Done {
    fn from(response: Response) -> Self {
        Self::Reply(Reply::Whole(response))
    }
}

impl Handle<'_> {
    /// Now, in this batch.
    pub(crate) fn now(&self) -> Time {
        self.batch.now.get()
    }

    /// A view of the store as it stands in this batch.
    pub(crate) fn read(&self) -> Read<'_> {
        Read::new(self.batch.sql, self.batch.config, self.now())
    }

    /// How many more fetches may be started.
    pub(crate) fn free_slots(&self) -> usize {
        self.batch.slots.free()
    }

    /// The same with other entropy.
    pub(crate) fn with<'b>(&'b self, entropy: &'b Entropy) -> Handle<'b> {
        Handle { batch: self.batch, entropy }
    }

    /// Begins to count the fetches of a turn anew.
    pub(crate) fn new_turn(&self) {
        self.batch.slots.begin_turn();
    }

    /// Runs `work` in a nested transaction. A refusal, a storage failure and a panic roll it back alone; what it left
    /// stays only when it is kept.
    pub(crate) fn nested(&self, scratch: &mut Scratch, work: impl Fn(&Tx<'_>) -> Result<Done, Error>) -> Ended {
        let batch = self.batch;
        let slots = batch.slots.save();
        let tx = batch.tx(*self.entropy);
        let mut answer = None;
        let ended = batch.sql.transaction(&mut || {
            let result = catch_unwind(AssertUnwindSafe(|| work(&tx)));
            let verdict = if matches!(result, Ok(Ok(_))) { Verdict::Commit } else { Verdict::Rollback };
            answer = Some(result);
            verdict
        });
        scratch.cost.statements += tx.statements();
        let left = tx.into_left();
        if ended.is_ok()
            && let Some(Ok(Ok(done))) = answer
        {
            scratch.effects.extend(left.effects);
            scratch.counts.add(&left.counts);
            return Ended::Kept(done);
        }
        batch.slots.restore(slots);
        match (answer, ended) {
            (Some(Ok(Err(error))), Ok(())) => match error {
                Error::Store(_) if batch.sql.intact() != Some(true) => Ended::Spoiled,
                error => Ended::Failed { reason: reason(&error), reply: Reply::Whole(answer_error(&error)) },
            },
            (Some(Err(_)), Ok(())) => {
                scratch.counts.panics += 1;
                Ended::Failed { reason: "it panicked".to_owned(), reply: Reply::Whole(internal_error()) }
            }
            _ => Ended::Spoiled,
        }
    }
}

/// How a nested transaction ended.
pub(crate) enum Ended {
    /// Kept, with what it has to say.
    Kept(Done),
    /// Rolled back alone: what to answer, and why.
    Failed { reply: Reply, reason: String },
    /// The whole batch is lost.
    Spoiled,
}

/// How many fetches may start: in all, and in one turn.
#[derive(Debug)]
pub(crate) struct Slots {
    free: Cell<usize>,
    turn: Cell<usize>,
}

impl Slots {
    pub(crate) fn new(free: usize) -> Self {
        Self { free: Cell::new(free), turn: Cell::new(EFFECTS_A_TURN) }
    }

    fn begin_turn(&self) {
        self.turn.set(EFFECTS_A_TURN);
    }

    fn free(&self) -> usize {
        self.free.get()
    }

    fn give_back(&self) {
        self.free.set(self.free.get() + 1);
    }

    fn save(&self) -> (usize, usize) {
        (self.free.get(), self.turn.get())
    }

    fn restore(&self, (free, turn): (usize, usize)) {
        self.free.set(free);
        self.turn.set(turn);
    }

    /// Takes one, if there is one.
    pub(crate) fn take(&self) -> bool {
        let (free, turn) = self.save();
        if free == 0 || turn == 0 {
            return false;
        }
        self.restore((free - 1, turn - 1));
        true
    }
}

fn deadline(
    read: &Read<'_>,
    slots: usize,
    pending: &BTreeMap<u64, (Ticket, Pending)>,
) -> Result<Option<Time>, SqlError> {
    let timer = read.next_timer(slots > 0)?;
    let parked = pending.values().map(|(_, p)| p.deadline()).min();
    Ok(timer.into_iter().chain(parked).min())
}

fn reason(error: &Error) -> String {
    match error {
        Error::Refused(refusal) => refusal.message.clone(),
        Error::Store(error) => error.to_string(),
    }
}

/// The answer to a storage failure: nothing was kept, and trying again is safe.
fn unavailable() -> Response {
    Refusal::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "STORE_UNAVAILABLE",
        "the store could not commit; nothing was kept, try again",
    )
    .with("retry-after", "1")
    .response()
}

fn internal_error() -> Response {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_SERVER_ERROR", "Internal server error").response()
}

fn answer_error(error: &Error) -> Response {
    match error {
        Error::Refused(refusal) => refusal.response(),
        Error::Store(_) => unavailable(),
    }
}

/// Puts on what every answer wears.
fn dress(response: &mut Response, request: &Request, config: &Config, cost: Cost) {
    crate::http::dress(response, &request.path);
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
