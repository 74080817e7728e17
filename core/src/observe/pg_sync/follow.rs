//! Following a shape: a question for what has changed is always either on its way or a timer. An answer moves the cursor in
//! the transaction that appends what it says; one that never comes is asked for again.

use super::page::{HEADERS, Next, Page};
use super::value::Columns;
use crate::effect::{EffectId, Fetch, Fetched};
use crate::egress;
use crate::limits::{FETCH_SLACK, KEPT_ANSWER, SHAPE_ATTEMPTS, SHAPE_BACKOFF, SHAPE_CHANGES, SHAPE_PAGE, SHAPE_TIME};
use crate::store::{PgSyncRow, SqlError, TimerKind, Tx};
use crate::stream::{Cause, Class, Content, write};
use crate::time::{Span, Time};

/// It is time to ask.
pub(crate) fn due(tx: &Tx<'_>, id: i64, due_at: Time) -> Result<(), SqlError> {
    let Some(mut shape) = tx.pg_sync_by_id(id)?.filter(|shape| shape.due_at == due_at) else { return Ok(()) };
    match shape.asked_at.take() {
        Some(_) => failed(tx, &mut shape, "no answer came", None)?,
        None => ask(tx, &mut shape)?,
    }
    tx.update_pg_sync(&shape)
}

/// Its timer was moved, because it failed.
pub(crate) fn rearmed(tx: &Tx<'_>, id: i64, at: Time) -> Result<(), SqlError> {
    let Some(mut shape) = tx.pg_sync_by_id(id)? else { return Ok(()) };
    shape.due_at = at;
    tx.update_pg_sync(&shape)
}

/// An answer has come, or none will.
pub(crate) fn answered(tx: &Tx<'_>, id: i64, turn: i64, result: &Fetched) -> Result<(), SqlError> {
    let shape = tx.pg_sync_by_id(id)?.filter(|shape| shape.turn == turn);
    let Some((mut shape, asked_at)) = shape.and_then(|mut shape| shape.asked_at.take().map(|at| (shape, at))) else {
        return Ok(());
    };
    match result.as_ref().map(Page::of) {
        Ok(Ok(Page::Next(next))) if stands_still(&shape, &next) => {
            failed(tx, &mut shape, "its answers neither move nor end", None)?;
        }
        Ok(Ok(Page::Next(next))) => {
            let waited = shape.caught_up;
            let came = take(tx, &mut shape, &next)?;
            go_on(tx, &mut shape, asked_at, waited && !came)?;
        }
        Ok(Ok(Page::Nothing)) => {
            let waited = std::mem::replace(&mut shape.caught_up, true);
            go_on(tx, &mut shape, asked_at, waited)?;
        }
        Ok(Ok(Page::Gone)) => {
            let again = shape.cursor.take().is_some();
            (shape.caught_up, shape.skips, shape.columns, shape.cache_key) = (false, true, None, None);
            // One that was read from now on, and is gone at once, had better be left alone for a while.
            if again { ask(tx, &mut shape)? } else { failed(tx, &mut shape, "its log is gone again", None)? }
        }
        Ok(Err(unusable)) => failed(tx, &mut shape, &unusable.why, unusable.retry_after)?,
        Err(why) => failed(tx, &mut shape, why, None)?,
    }
    tx.update_pg_sync(&shape)
}

/// Begins to follow: the row is the caller's to write.
pub(super) fn ask(tx: &Tx<'_>, shape: &mut PgSyncRow) -> Result<(), SqlError> {
    if let Err(refused) = egress::judge(&tx.config.egress, &shape.url) {
        return failed(tx, shape, &refused.to_string(), None);
    }
    if tx.shapes_are_full() {
        return again_at(tx, shape, tx.now + SHORT);
    }
    if !tx.take_slot_for_shape() {
        return again_at(tx, shape, tx.place_in_line());
    }
    shape.turn += 1;
    shape.asked_at = Some(tx.now);
    tx.fetch(Fetch {
        id: EffectId::Shape { shape: shape.id, turn: shape.turn },
        method: http::Method::GET,
        url: question(shape, may_wait(tx)?),
        headers: Vec::new(),
        body: Vec::new(),
        wanted: HEADERS,
        time_limit: SHAPE_TIME,
        size_limit: SHAPE_PAGE,
    });
    again_at(tx, shape, given_up_at(tx))
}

/// When an answer has not come that should have. On a virtual clock, whose hours are over before any answer can come, it is
/// waited for until it comes.
fn given_up_at(tx: &Tx<'_>) -> Time {
    match &tx.config.virtual_time {
        Some(_) => tx.now + VIRTUALLY_FOREVER,
        None => tx.now + SHAPE_TIME + FETCH_SLACK,
    }
}

/// The URL of a question: from now on, or from where the reading stands; one that may wait for a change does so when
/// everything else was read.
fn question(shape: &PgSyncRow, may_wait: bool) -> String {
    let encoded =
        |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
    let mut url = format!("{}&log=changes_only", shape.url);
    let Some((handle, at)) = &shape.cursor else { return url + "&offset=now" };
    url.push_str(&format!("&offset={at}&handle={}", encoded(handle)));
    if shape.caught_up && may_wait {
        url.push_str(&format!("&live=true&cursor={}", encoded(shape.cache_key.as_deref().unwrap_or(""))));
    }
    url
}

/// Whether questions may wait for changes. A question that waits holds a slot, and there are only so many; when there are
/// more shapes, none of them waits, and all are asked now and then.
fn may_wait(tx: &Tx<'_>) -> Result<bool, SqlError> {
    Ok(tx.pg_syncs()? <= i64::try_from(tx.config.shapes_at_once()).unwrap_or(i64::MAX))
}

fn stands_still(shape: &PgSyncRow, next: &Next) -> bool {
    let same = shape.cursor.as_ref().is_some_and(|(handle, at)| *handle == next.handle && *at == next.at);
    same && !next.caught_up
}

/// Appends what an answer says, and moves to where it ends. Says whether there was anything.
pub(super) fn take(tx: &Tx<'_>, shape: &mut PgSyncRow, next: &Next) -> Result<bool, SqlError> {
    if shape.columns.is_none() {
        shape.columns.clone_from(&next.columns);
    }
    let columns: Columns =
        shape.columns.as_deref().and_then(|columns| serde_json::from_str(columns).ok()).unwrap_or_default();
    let (events, passed) = if shape.skips { (Vec::new(), 0) } else { next.events(&columns) };
    append(tx, shape.id, &events)?;
    shape.cursor = Some((next.handle.clone(), next.at.clone()));
    shape.caught_up = next.caught_up;
    shape.skips &= !next.caught_up;
    shape.cache_key.clone_from(&next.cache_key);
    shape.attempt = 0;
    shape.error =
        (passed > 0).then(|| format!("{passed} of its changes name no row or no operation; they were passed over"));
    Ok(!events.is_empty())
}

/// Appends changes, so many together. Who wakes from the first of them wakes now, and from the others a little later.
fn append(tx: &Tx<'_>, id: i64, events: &[String]) -> Result<(), SqlError> {
    let stream = tx.stream_by_id(id)?.filter(|stream| !stream.closed && !stream.deleted);
    let Some(mut stream) = stream else { return Ok(()) };
    for (number, events) in events.chunks(SHAPE_CHANGES).enumerate() {
        let cause = Cause { later: number > 0, ..Cause::outside(Class::Any) };
        write(tx, &mut stream, &Content::Json(events.iter().map(String::as_str).collect()), cause)?;
    }
    Ok(())
}

/// What comes after an answer: the next question, at once where there is more to read, or where it may wait for it. One
/// that should have waited for a change and came back without one is not repeated more than once a second.
fn go_on(tx: &Tx<'_>, shape: &mut PgSyncRow, asked_at: Time, idle: bool) -> Result<(), SqlError> {
    if shape.caught_up && !may_wait(tx)? {
        return again_at(tx, shape, tx.now + turns_apart(tx.pg_syncs()?, tx.config.shapes_at_once()));
    }
    // Where time stands still nobody can tell how long it took.
    let early = idle && tx.config.virtual_time.is_none() && asked_at + SHORT > tx.now;
    if early { again_at(tx, shape, asked_at + SHORT) } else { ask(tx, shape) }
}

/// How long a shape rests between two questions that do not wait: a second for each time that all slots were used.
fn turns_apart(shapes: i64, slots: usize) -> Span {
    let slots = i64::try_from(slots).unwrap_or(i64::MAX).max(1);
    Span::secs(shapes.div_euclid(slots) + 1)
}

/// Somebody observes a stream. The shape behind it may have come to rest, and goes on.
pub(crate) fn is_observed(tx: &Tx<'_>, source: &str) -> Result<(), SqlError> {
    let shape = super::reference_of(source).map(|reference| tx.pg_sync(reference)).transpose()?.flatten();
    match shape {
        Some(mut shape) if rests(tx, &shape)? => {
            ask(tx, &mut shape)?;
            tx.update_pg_sync(&shape)
        }
        _ => Ok(()),
    }
}

/// Whether a shape is neither asked nor about to be.
pub(super) fn rests(tx: &Tx<'_>, shape: &PgSyncRow) -> Result<bool, SqlError> {
    Ok(shape.asked_at.is_none() && !tx.is_armed(shape.due_at, TimerKind::Shape, shape.id)?)
}

/// A question failed. What was read stays read; the next asks from there, after a while. One that has failed very often, and
/// that nobody observes, comes to rest.
fn failed(tx: &Tx<'_>, shape: &mut PgSyncRow, why: &str, retry_after: Option<i64>) -> Result<(), SqlError> {
    shape.attempt += 1;
    shape.error = Some(why.chars().take(KEPT_ANSWER).collect());
    shape.caught_up = false;
    let observed = || Ok(tx.is_source(&super::path(&shape.reference))? || tx.is_asked_for(shape.id)?);
    if shape.attempt >= SHAPE_ATTEMPTS && !observed()? {
        return tx.disarm(shape.due_at, TimerKind::Shape, shape.id);
    }
    let wait = backoff(shape.attempt).as_millis();
    let jitter = tx.draw.below(u64::try_from(wait / 5).unwrap_or(0) + 1);
    let asked = retry_after.unwrap_or(0).clamp(0, LONGEST_WISH).saturating_mul(1000);
    let wait = (wait + i64::try_from(jitter).unwrap_or(0)).max(asked);
    again_at(tx, shape, tx.now + Span::millis(wait))
}

/// How long to wait before attempt `attempt` (1, 2, …) is repeated: doubling from a second to half a minute.
fn backoff(attempt: i64) -> Span {
    Span::millis((1000 << (attempt - 1).clamp(0, 6)).min(SHAPE_BACKOFF.as_millis()))
}

fn again_at(tx: &Tx<'_>, shape: &mut PgSyncRow, at: Time) -> Result<(), SqlError> {
    tx.disarm(shape.due_at, TimerKind::Shape, shape.id)?;
    shape.due_at = at;
    tx.arm(at, TimerKind::Shape, shape.id)
}

/// How far questions are apart that find nothing.
const SHORT: Span = Span::secs(1);

/// A hundred years.
const VIRTUALLY_FOREVER: Span = Span::secs(100 * 365 * 86_400);

/// The longest time, in seconds, for which a shape may ask to be left alone.
const LONGEST_WISH: i64 = 600;

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn backoff_doubles_to_half_a_minute() {
        let waits: Vec<i64> = (1..=8).map(|n| backoff(n).as_millis() / 1000).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30, 30]);
    }

    #[test]
    fn more_shapes_are_asked_less_often() {
        let secs = |shapes, slots| turns_apart(shapes, slots).as_millis() / 1000;
        assert_eq!(
            [secs(4, 3), secs(6, 3), secs(30, 3), secs(33, 32), secs(1000, 32), secs(5, 0)],
            [2, 3, 11, 2, 32, 6]
        );
    }
}
