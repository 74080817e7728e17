//! One transaction of commands: each nested in it, harming nobody else, leaving only when it is kept.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};

use http::StatusCode;

use super::{Command, Cost, Counts, Memory, Reply, Ticket, answer_error, dress, internal_error, reason, unavailable};
use crate::config::{Config, Virtual};
use crate::effect::{Effect, EffectId, Fetched, Touch};
use crate::entropy::Entropy;
use crate::http::{Call, Error, Handler, Request, Response, route};
use crate::limits::{EFFECTS_A_TURN, FORK_READ, FORK_READERS, PENDING, PENDING_FORKS};
use crate::pending::Pending;
use crate::schedule;
use crate::store::{Clock, Read, Sql, SqlError, Tx, Verdict};
use crate::time::Time;

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
    pub(crate) rekeyed: bool,
}

/// One transaction of commands.
pub(super) struct Batch<'a> {
    sql: &'a dyn Sql,
    config: &'a Config,
    memory: &'a Memory,
    now: Time,
    /// The commit row as it will be.
    clock: Cell<Clock>,
    slots: Slots,
    /// How many more bytes forks may read back.
    fork_read: Cell<usize>,
    next_pending: Cell<u64>,
    landed: RefCell<Vec<EffectId>>,
}

/// What one piece of work needs from its batch.
pub(crate) struct Handle<'a> {
    batch: &'a Batch<'a>,
    pub(crate) entropy: &'a Entropy,
}

impl<'a> Batch<'a> {
    pub(super) fn new(sql: &'a dyn Sql, config: &'a Config, memory: &'a Memory, now: Time, slots: Slots) -> Self {
        let clock = memory.clock.get();
        Self {
            sql,
            config,
            memory,
            now,
            clock: Cell::new(Clock { txid: clock.txid + 1, now, ..clock }),
            slots,
            fork_read: Cell::new(FORK_READ),
            next_pending: Cell::new(memory.next_pending),
            landed: RefCell::default(),
        }
    }

    pub(super) fn clock(&self) -> Clock {
        self.clock.get()
    }

    pub(super) fn tx(&'a self, entropy: Entropy) -> Tx<'a> {
        Tx::new(
            Read::new(self.sql, self.config, self.now),
            &self.clock,
            &self.slots,
            &self.fork_read,
            self.memory.stopping,
            entropy.draw(),
            &self.memory.keys,
        )
    }

    pub(super) fn handle(&'a self, entropy: &'a Entropy) -> Handle<'a> {
        Handle { batch: self, entropy }
    }

    /// Writes the commit row of a batch that wrote something. Gives the earliest timer.
    pub(super) fn finish(&self, wrote: bool) -> Result<Option<Time>, SqlError> {
        let read = Read::new(self.sql, self.config, self.now);
        if wrote {
            Tx::write_clock_row(&read, &self.clock())?;
        }
        read.next_timer(self.slots.free() > 0)
    }

    pub(super) fn run(&self, command: &Command, entropy: &Entropy) -> (Scratch, Fate) {
        let mut scratch = Scratch::default();
        scratch.counts.commands = 1;
        self.slots.begin_turn();
        let before = self.sql.written();
        let fate = match command {
            Command::Request { ticket, request } => self.request(*ticket, request, entropy, &mut scratch),
            Command::Tick { budget } => {
                let entropy = self.config.virtual_time.as_ref().map_or(*entropy, Virtual::entropy);
                match self.give_up_waiting(&entropy, &mut scratch) {
                    Fate::Done => schedule::tick(&self.handle(&entropy), *budget, &mut scratch),
                    Fate::Spoiled => Fate::Spoiled,
                }
            }
            Command::Outcome { effect, result } => {
                let entropy =
                    self.config.virtual_time.as_ref().map_or(*entropy, |v| v.entropy().part(&effect.to_string(), 0));
                self.outcome(effect, result, &entropy, &mut scratch)
            }
            Command::Touch(touch) => self.touch(*touch, entropy, &mut scratch),
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
        let found = route(self.config, &request.method, &request.path);
        let entropy = self.virtual_entropy(request, &found.handler).unwrap_or(*entropy);
        match found.handler {
            Handler::Read(handler) => {
                let read = Read::new(self.sql, self.config, self.now);
                let answer = catch_unwind(AssertUnwindSafe(|| handler(&Call { store: &read, request, found: &found })));
                scratch.cost.statements += read.statements();
                let touched = read.touched();
                let (reply, fate) = match answer {
                    Ok(Ok(reply)) => (reply, Fate::Done),
                    Ok(Err(Error::Store(_))) if self.sql.intact() != Some(true) => return Fate::Spoiled,
                    Ok(Err(error)) => (Reply::Whole(answer_error(&error, self.config)), Fate::Done),
                    Err(_) => {
                        scratch.counts.panics += 1;
                        (Reply::Whole(internal_error()), Fate::Done)
                    }
                };
                scratch.replies.push((ticket, reply));
                match touched {
                    Some(touch) if fate == Fate::Done => self.touch(touch, &entropy, scratch),
                    _ => fate,
                }
            }
            Handler::Write(handler) => {
                let ended = self.handle(&entropy).nested(scratch, |tx| {
                    if let Some(origin) = &request.origin {
                        tx.remember_origin(origin)?;
                    }
                    handler(&Call { store: tx, request, found: &found })
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
            // The engine has answered it before it came to a batch.
            Handler::Clock(_) => Fate::Done,
        }
    }

    fn touch(&self, touch: Touch, entropy: &Entropy, scratch: &mut Scratch) -> Fate {
        let ended = self.handle(entropy).nested(scratch, |tx| match touch {
            Touch::Stream(stream) => crate::stream::touch(tx, stream),
            Touch::Dispatches => Ok(tx.watch_dispatches().map(|()| Done::nothing())?),
        });
        match ended {
            Ended::Spoiled => Fate::Spoiled,
            Ended::Kept(_) | Ended::Failed { .. } => Fate::Done,
        }
    }

    /// Parks a command; refused when too many wait already.
    fn park(&self, ticket: Ticket, pending: Pending, scratch: &mut Scratch) {
        let most = if pending.has_effect() { PENDING } else { PENDING_FORKS };
        if self.memory.pending.len() + scratch.parked.len() < most {
            self.wait(ticket, pending, scratch);
        } else {
            scratch.replies.push((ticket, Reply::Whole(unavailable())));
        }
    }

    /// Has a command wait until its effect lands, for which there must be a slot, or its moment comes. Of those that keep
    /// much in memory, only so many do.
    fn wait(&self, ticket: Ticket, pending: Pending, scratch: &mut Scratch) {
        let parked = self.memory.pending.iter().filter(|(number, _)| !self.has_landed(**number)).map(|(_, (_, p))| p);
        let keeping = parked.chain(scratch.parked.iter().map(|(.., p)| p)).filter(|p| p.keeps()).count();
        let pending = if pending.keeps() && keeping >= FORK_READERS { pending.stand_back(self.now) } else { pending };
        if pending.has_effect() && !self.slots.take() {
            scratch.replies.push((ticket, Reply::Whole(unavailable())));
            return;
        }
        let number = self.next_pending.get();
        self.next_pending.set(number + 1);
        scratch.effects.extend(pending.fetch(number).map(Effect::Fetch));
        scratch.parked.push((number, ticket, pending));
    }

    /// Whether a parked command has gone on in this batch.
    fn has_landed(&self, number: u64) -> bool {
        self.landed.borrow().contains(&EffectId::Pending(number))
    }

    /// Goes on with the parked commands whose moment has come, and answers those whose effect never came back. Forks read
    /// no more than one transaction should; those that come too late for that are due again at once.
    pub(super) fn give_up_waiting(&self, entropy: &Entropy, scratch: &mut Scratch) -> Fate {
        // What has been read is read to its end beside those that begin: neither waits for the other.
        for keeps in [true, false] {
            self.fork_read.set(FORK_READ);
            let parked = self.memory.pending.iter().map(|(number, (_, pending))| (*number, pending));
            for (number, pending) in parked.filter(|(_, p)| p.keeps() == keeps && p.deadline() <= self.now) {
                if self.give_up(number, pending, entropy, scratch) == Fate::Spoiled {
                    return Fate::Spoiled;
                }
            }
        }
        Fate::Done
    }

    fn give_up(&self, number: u64, pending: &Pending, entropy: &Entropy, scratch: &mut Scratch) -> Fate {
        let (effect, timed_out) = (EffectId::Pending(number), Err("timed out".to_owned()));
        if pending.has_effect() {
            return self.outcome(&effect, &timed_out, entropy, scratch);
        }
        if self.fork_read.get() == 0 || self.landed.borrow().contains(&effect) {
            return Fate::Done;
        }
        self.landed.borrow_mut().push(effect.clone());
        scratch.landed.push(effect);
        let entropy = entropy.part("pending", number);
        self.go_on(number, &timed_out, &self.handle(&entropy), scratch)
    }

    /// Goes on with a parked command.
    fn go_on(&self, number: u64, result: &Fetched, handle: &Handle<'_>, scratch: &mut Scratch) -> Fate {
        let Some((ticket, pending)) = self.memory.pending.get(&number) else { return Fate::Done };
        match handle.nested(scratch, |tx| pending.resume(tx, result)) {
            Ended::Kept(Done::Reply(reply)) | Ended::Failed { reply, .. } => {
                scratch.replies.push((*ticket, pending.dress(reply)));
            }
            Ended::Kept(Done::Park(next)) => self.wait(*ticket, next, scratch),
            Ended::Spoiled => return Fate::Spoiled,
        }
        Fate::Done
    }

    fn outcome(&self, effect: &EffectId, result: &Fetched, entropy: &Entropy, scratch: &mut Scratch) -> Fate {
        if !self.memory.in_flight.contains_key(effect) || self.landed.borrow().contains(effect) {
            return Fate::Done;
        }
        self.landed.borrow_mut().push(effect.clone());
        self.slots.give_back(effect);
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
            EffectId::Shape { shape, turn } => {
                let ended = handle.nested(scratch, |tx| {
                    Ok(crate::observe::pg_sync::answered(tx, *shape, *turn, result).map(|()| Done::nothing())?)
                });
                if matches!(ended, Ended::Spoiled) {
                    return Fate::Spoiled;
                }
            }
            EffectId::Pending(number) => {
                if self.go_on(*number, result, &handle, scratch) == Fate::Spoiled {
                    return Fate::Spoiled;
                }
            }
        }
        schedule::run_waiting(&handle, scratch)
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
        self.batch.now
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

    /// Runs `work` in a nested transaction. A refusal, a storage failure and a panic roll it back alone; what it left
    /// stays only when it is kept.
    pub(crate) fn nested(&self, scratch: &mut Scratch, work: impl Fn(&Tx<'_>) -> Result<Done, Error>) -> Ended {
        let batch = self.batch;
        let (slots, clock) = (batch.slots.clone(), batch.clock.get());
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
            scratch.rekeyed |= left.rekeyed;
            return Ended::Kept(done);
        }
        batch.slots.restore(&slots);
        // Its numbers are never given out again.
        batch.clock.set(Clock { serial: batch.clock.get().serial, ..clock });
        match (answer, ended) {
            (Some(Ok(Err(error))), Ok(())) => match error {
                Error::Store(_) if batch.sql.intact() != Some(true) => Ended::Spoiled,
                error => {
                    Ended::Failed { reason: reason(&error), reply: Reply::Whole(answer_error(&error, batch.config)) }
                }
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

/// How many fetches may start: in all, for shapes, and in one turn.
#[derive(Clone, Debug)]
pub(crate) struct Slots {
    free: Cell<usize>,
    shapes: Cell<usize>,
    turn: Cell<usize>,
}

impl Slots {
    pub(crate) fn new(free: usize, shapes: usize) -> Self {
        Self { free: Cell::new(free), shapes: Cell::new(shapes), turn: Cell::new(EFFECTS_A_TURN) }
    }

    fn begin_turn(&self) {
        self.turn.set(EFFECTS_A_TURN);
    }

    fn free(&self) -> usize {
        self.free.get()
    }

    fn give_back(&self, effect: &EffectId) {
        self.free.set(self.free.get() + 1);
        if matches!(effect, EffectId::Shape { .. }) {
            self.shapes.set(self.shapes.get() + 1);
        }
    }

    fn restore(&self, saved: &Self) {
        self.free.swap(&saved.free);
        self.shapes.swap(&saved.shapes);
        self.turn.swap(&saved.turn);
    }

    /// Takes one, if there is one.
    pub(crate) fn take(&self) -> bool {
        let (free, turn) = (self.free.get(), self.turn.get());
        if free == 0 || turn == 0 {
            return false;
        }
        self.free.set(free - 1);
        self.turn.set(turn - 1);
        true
    }

    /// Whether shapes hold all that they may: their questions wait for changes, and deliveries must not wait for them.
    pub(crate) fn shapes_are_full(&self) -> bool {
        self.shapes.get() == 0
    }

    /// Takes one for a shape, if there is one.
    pub(crate) fn take_for_shape(&self) -> bool {
        let taken = !self.shapes_are_full() && self.take();
        if taken {
            self.shapes.set(self.shapes.get() - 1);
        }
        taken
    }
}
