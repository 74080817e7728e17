//! Time: one timer table, one deadline. Each due row runs in a nested transaction of its own; one that fails is pushed
//! back and never stops the others.

pub mod cron;
pub(crate) mod ticks;

use crate::engine::{Done, Ended, Fate, Handle, Scratch};
use crate::http::Error;
use crate::limits::{ATTEMPTS, BACKOFF};
pub(crate) use crate::store::Timer;
use crate::store::{SqlError, TimerKind, Tx};
use crate::time::Span;
use crate::{dispatch, entity, observe, permission, stream, subscription, wake};

/// Runs at most `budget` due rows, oldest first, then those that wait for a slot.
pub(crate) fn tick(handle: &Handle<'_>, budget: usize, scratch: &mut Scratch) -> Fate {
    let Ok(due) = handle.read().due_timers(handle.now(), budget) else { return Fate::Spoiled };
    for row in due {
        if run_row(handle, &row, scratch) == Fate::Spoiled {
            return Fate::Spoiled;
        }
    }
    run_waiting(handle, scratch)
}

/// Runs the rows that wait for nothing but a free slot.
pub(crate) fn run_waiting(handle: &Handle<'_>, scratch: &mut Scratch) -> Fate {
    let free = handle.free_slots();
    if free == 0 {
        return Fate::Done;
    }
    let Ok(waiting) = handle.read().waiting_timers(free) else { return Fate::Spoiled };
    for row in waiting {
        if run_row(handle, &row, scratch) == Fate::Spoiled {
            return Fate::Spoiled;
        }
    }
    Fate::Done
}

/// Runs one row; a failure pushes it back.
pub(crate) fn run_row(handle: &Handle<'_>, row: &Timer, scratch: &mut Scratch) -> Fate {
    scratch.counts.timers += 1;
    let part = handle
        .entropy
        .part(&format!("timer:{:?}:{}:{}", row.kind, row.subject, row.due_at.as_millis()), row.attempt.unsigned_abs());
    let handle = handle.with(&part);
    let ended = handle.nested(scratch, |tx| {
        tx.disarm(row.due_at, row.kind, row.subject)?;
        fire(tx, row)?;
        Ok(Done::nothing())
    });
    let reason = match ended {
        Ended::Kept(_) => return Fate::Done,
        Ended::Spoiled => return Fate::Spoiled,
        Ended::Failed { reason, .. } => reason,
    };
    scratch.counts.timer_failures += 1;
    match handle.nested(scratch, |tx| push_back(tx, row, &reason).map(|_| Done::nothing()).map_err(Error::from)) {
        Ended::Kept(_) => Fate::Done,
        _ => Fate::Spoiled,
    }
}

/// Moves a row that failed to a later time, or buries it after too many attempts. Gives back the row as it stands.
pub(crate) fn push_back(tx: &Tx<'_>, row: &Timer, reason: &str) -> Result<Option<Timer>, SqlError> {
    tx.disarm(row.due_at, row.kind, row.subject)?;
    let attempt = row.attempt + 1;
    let later = Timer { due_at: tx.now + backoff(attempt), attempt, ..*row };
    if attempt < ATTEMPTS {
        match row.kind {
            TimerKind::Subscription => subscription::rearmed(tx, row.subject, later.due_at)?,
            TimerKind::Expire => stream::rearmed(tx, row.subject, later.due_at)?,
            TimerKind::Shape => observe::pg_sync::rearmed(tx, row.subject, later.due_at)?,
            _ => {}
        }
        tx.write_timer(&later, Some(reason))?;
        return Ok(Some(later));
    }
    if row.kind == TimerKind::Subscription {
        subscription::buried(tx, row.subject, reason)?;
    }
    tx.bury(row, reason)?;
    Ok(None)
}

/// How long to wait before attempt `attempt` (1, 2, …) is repeated: doubling from a second to a minute.
pub(crate) fn backoff(attempt: i64) -> Span {
    let doublings = (attempt - 1).clamp(0, 6);
    Span::millis((1000 << doublings).min(BACKOFF.as_millis()))
}

fn fire(tx: &Tx<'_>, row: &Timer) -> Result<(), Error> {
    match row.kind {
        TimerKind::Subscription => Ok(subscription::due(tx, row.subject, row.due_at)?),
        TimerKind::Send => entity::scheduled::arrive(tx, row.subject),
        TimerKind::Cron => ticks::tick(tx, row.subject),
        TimerKind::Wake => Ok(wake::release(tx, row.subject)?),
        TimerKind::Expire => Ok(stream::expire(tx, row.subject, row.due_at)?),
        TimerKind::Seal => Ok(stream::seal(tx, row.subject)?),
        TimerKind::Sweep => Ok(stream::sweep(tx, row.subject)?),
        TimerKind::Debounce => Ok(wake::debounce::due(tx, row.subject)?),
        TimerKind::Idle => Ok(observe::asleep::due(tx, row.subject)?),
        TimerKind::Members => Ok(observe::members::fill(tx, row.subject)?),
        TimerKind::Shape => Ok(observe::pg_sync::due(tx, row.subject, row.due_at)?),
        TimerKind::Lapse => observe::webhook_sources::due(tx, row.subject),
        TimerKind::FanOut => Ok(wake::fan_out::due(tx, row.subject)?),
        TimerKind::Timeout => Ok(wake::timeout::due(tx, row.subject)?),
        TimerKind::Journal => Ok(tx.forget_journal(row.subject)?),
        TimerKind::Unlock => Ok(dispatch::lock::expire(tx, row.subject)?),
        TimerKind::GrantEnds => Ok(permission::spread::expire(tx, row.subject)?),
        TimerKind::GrantSpreads => Ok(permission::spread::go_on(tx, row.subject)?),
        TimerKind::Retire => Ok(subscription::rotate::retire(tx, row.subject)?),
        TimerKind::Probe => {
            assert!(row.subject > 0, "asked to");
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn backoff_doubles_to_a_minute() {
        let waits: Vec<i64> = (1..=9).map(|n| backoff(n).as_millis() / 1000).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }
}
