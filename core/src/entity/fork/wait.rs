//! A fork on its way: it is tried, and as long as one of the entities that it copies is at work, tried again. It holds
//! nothing meanwhile.

use std::sync::Arc;

use http::StatusCode;
use serde_json::json;

use super::ask::{Ask, Place};
use super::build::build;
use super::reading::{Left, Reading};
use super::subtree;
use crate::dispatch::link;
use crate::engine::Done;
use crate::entity::{EntityNotFound, Status};
use crate::http::{Error, Refusal, failure};
use crate::limits::FORK_LOOK;
use crate::pending::Pending;
use crate::store::{EntityRow, SqlError, Tx};
use crate::tenant::{Permission, Principal, permission};
use crate::time::{Span, Time};

failure! {
    /// It is a part of something.
    OnlyTopLevel => BAD_REQUEST "INVALID_REQUEST", "Only top-level entities can be forked"
}

failure! {
    /// It goes on no more.
    Terminal { url: String } => CONFLICT "NOT_RUNNING", "Cannot fork terminal entity \"{url}\""
}

/// A fork that waits, or does not have to.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    by: Principal,
    source: String,
    ask: Arc<Ask>,
    since: Time,
    /// When it is given up.
    deadline: Time,
    /// When it looks again.
    pub(crate) look_at: Time,
    /// Who was at work when it looked last.
    busy: Option<i64>,
    /// What was read back: what is written does not change any more.
    read: Reading,
}

impl Waiting {
    pub(super) fn new(by: &Principal, source: &EntityRow, ask: Ask, now: Time) -> Self {
        let deadline = now + ask.wait();
        let (by, source) = (by.clone(), source.url.clone());
        let read = Reading::default();
        Self { by, source, ask: Arc::new(ask), since: now, deadline, look_at: now, busy: None, read }
    }

    /// Forks, if everything that it copies is idle; otherwise parks, or gives up when its time is over. Everything is
    /// checked, whatever was checked before.
    pub(super) fn attempt(&self, tx: &Tx<'_>) -> Result<Done, Error> {
        let mut left = Left(tx.fork_read.get());
        let done = self.attempt_within(tx, &mut left);
        tx.fork_read.set(left.0);
        done
    }

    fn attempt_within(&self, tx: &Tx<'_>, left: &mut Left) -> Result<Done, Error> {
        let source = tx.entity(&self.source)?.ok_or_else(|| EntityNotFound { url: self.source.clone() })?;
        permission::check(tx, &self.by, Permission::Fork, &source)?;
        let parent = self.ask.check(tx, &self.by, &source)?;
        let head = matches!(self.ask.place, Place::Head);
        if !head {
            check_alive(&source)?;
        }
        if source.parent.is_some() {
            return Err(OnlyTopLevel.into());
        }
        let mut read = self.read.clone();
        let Some(branch) = read.branch(tx, &source, &self.ask.place, left)? else {
            return Ok(self.read_on(tx, read));
        };
        let members = match &branch {
            None => subtree::whole(tx, source)?,
            Some((_, children)) => subtree::chosen(tx, source, children)?,
        };
        let point = branch.map(|(point, _)| point);
        // What stands at a point of the past does not move: only who is below has to be idle.
        let moving = &members[usize::from(!head)..];
        members[1..].iter().try_for_each(|member| self.check_below(tx, member))?;
        moving.iter().try_for_each(check_alive)?;
        let active: Vec<&EntityRow> = moving.iter().filter(|member| !is_idle(member)).collect();
        match active.first() {
            None => match read.sources(tx, &members, point.as_ref(), left)? {
                Some(sources) => build(tx, &self.by, &self.ask, parent.as_ref(), members, sources, point.as_ref()),
                None => Ok(self.read_on(tx, read)),
            },
            Some(_) if self.deadline <= tx.now => Err(timed_out(head, &active).into()),
            Some(first) => Ok(self.park(tx, first.id, read)),
        }
    }

    /// Looks again: first whether who was at work still is.
    pub(crate) fn resume(&self, tx: &Tx<'_>) -> Result<Done, Error> {
        match self.busy {
            Some(busy) if tx.now < self.deadline && is_still_at_work(tx, busy)? => {
                Ok(self.park(tx, busy, self.read.clone()))
            }
            _ => self.attempt(tx),
        }
    }

    /// Whether it keeps in memory what it has read.
    pub(crate) fn keeps(&self) -> bool {
        self.read.is_large()
    }

    /// The same without that: it reads the streams anew, a little later.
    pub(crate) fn stand_back(&self, now: Time) -> Self {
        Self { look_at: self.later(now), read: self.read.without_streams(), ..self.clone() }
    }

    fn park(&self, tx: &Tx<'_>, busy: i64, read: Reading) -> Done {
        let look_at = self.later(tx.now).min(self.deadline);
        Done::Park(Pending::Fork(Box::new(Self { busy: Some(busy), look_at, read, ..self.clone() })))
    }

    /// There is more to read, as soon as others have had their turn.
    fn read_on(&self, tx: &Tx<'_>, read: Reading) -> Done {
        Done::Park(Pending::Fork(Box::new(Self { busy: None, look_at: tx.now, read, ..self.clone() })))
    }

    /// When it looks again. It waits an eighth longer than it had to, at most: each look is a timer, and on an object that
    /// is a write.
    fn later(&self, now: Time) -> Time {
        let eighth = Span::millis(now.since(self.since).as_millis() / 8);
        now + FORK_LOOK.max(eighth)
    }

    /// Refuses to copy, with what the caller may copy, an entity that they may not even read, or a runner of another's.
    fn check_below(&self, tx: &Tx<'_>, member: &EntityRow) -> Result<(), Error> {
        if !permission::may(tx, &self.by, Permission::Read, member)? {
            permission::check(tx, &self.by, Permission::Fork, member)?;
        }
        link::policy_of(member)?.map_or(Ok(()), |policy| link::check(tx, &self.by, &policy))
    }
}

fn check_alive(entity: &EntityRow) -> Result<(), Error> {
    if entity.status.is_terminal() { Err(Terminal { url: entity.url.clone() }.into()) } else { Ok(()) }
}

fn is_idle(entity: &EntityRow) -> bool {
    matches!(entity.status, Status::Idle | Status::Paused)
}

fn is_still_at_work(tx: &Tx<'_>, id: i64) -> Result<bool, SqlError> {
    Ok(tx.entity_by_id(id)?.is_some_and(|entity| !is_idle(&entity) && !entity.status.is_terminal()))
}

fn timed_out(head: bool, active: &[&EntityRow]) -> Refusal {
    let what = if head { "subtree" } else { "descendants" };
    let message = format!("Timed out waiting for {what} to become idle");
    let mut refusal = Refusal::new(StatusCode::CONFLICT, "FORK_WAIT_TIMEOUT", message);
    refusal.details = Some(json!({ "active": active.iter().map(|entity| &entity.url).collect::<Vec<_>>() }));
    refusal
}
