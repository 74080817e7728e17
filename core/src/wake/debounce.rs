//! Debounce: a registration gathers what matches until nothing more has come for a while, and then there is one wake of
//! all of it. How long that may postpone a wake, and how much it may hold, has a ceiling (wake specification, section 1.5).

use serde::{Deserialize, Serialize};

use super::deliver::emit;
use super::row::{Wake, row};
use crate::dispatch::journal;
use crate::limits::{DEBOUNCE_BYTES, DEBOUNCE_CEILING, DEBOUNCE_CHANGES, DEBOUNCE_TIMES};
use crate::store::{EntityRow, Gathered, Registration, SqlError, TimerKind, Tx};
use crate::stream::Matched;
use crate::time::{Span, Time};

/// When what began to gather at `first` and last grew at `last` becomes a wake: `debounce` after the last, and no later
/// than ten times that after the first, or an hour when that is less.
#[must_use]
pub fn due_at(first: Time, last: Time, debounce: Span) -> Time {
    let most = debounce.as_millis().saturating_mul(DEBOUNCE_TIMES).min(DEBOUNCE_CEILING.as_millis());
    (last + debounce).min(first + Span::millis(most.max(debounce.as_millis())))
}

/// Whether so much is enough for a wake, however long ago the last came.
#[must_use]
pub fn is_full(changes: i64, bytes: usize) -> bool {
    changes >= DEBOUNCE_CHANGES || bytes >= DEBOUNCE_BYTES
}

/// What the last match was, and the last run that finished.
#[derive(Serialize, Deserialize)]
struct Latest {
    source: String,
    position: String,
    collection: String,
    kind: String,
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished: Option<String>,
}

/// Adds a match to what its registration gathers.
pub(super) fn gather(
    tx: &Tx<'_>,
    registration: &Registration,
    subscriber: &EntityRow,
    matched: &Matched<'_>,
    change: &str,
    finished: Option<String>,
    depth: i64,
) -> Result<(), SqlError> {
    let before = tx.gathered(registration.id)?;
    let earlier = match (&before, finished) {
        (_, Some(finished)) => Some(finished),
        (Some(before), None) => Latest::of(before)?.finished,
        (None, None) => None,
    };
    let latest = Latest {
        source: matched.source.to_owned(),
        position: matched.position.to_owned(),
        collection: matched.collection.to_owned(),
        kind: matched.kind.to_owned(),
        key: matched.key.to_owned(),
        finished: earlier,
    };
    let latest = serde_json::to_string(&latest).expect("our own values serialise");
    let gathered = match before {
        Some(before) => Gathered {
            last_at: tx.now,
            count: before.count + 1,
            changes: format!("{},{change}", before.changes),
            latest,
            depth: before.depth.max(depth),
            ..before
        },
        None => {
            let due = due_at(tx.now, tx.now, registration.debounce);
            tx.arm(due, TimerKind::Debounce, registration.id)?;
            journal::debounced(tx, subscriber, matched, due)?;
            Gathered {
                registration: registration.id,
                first_at: tx.now,
                last_at: tx.now,
                count: 1,
                changes: change.to_owned(),
                latest,
                depth,
            }
        }
    };
    if is_full(gathered.count, gathered.changes.len()) {
        return flush(tx, registration, &gathered);
    }
    tx.write_gathered(&gathered)
}

/// The timer of what a registration gathers is due: it becomes a wake, or more has come since.
pub(crate) fn due(tx: &Tx<'_>, registration: i64) -> Result<(), SqlError> {
    let Some(gathered) = tx.gathered(registration)? else { return Ok(()) };
    let Some(registration) = tx.registration(registration)? else { return tx.delete_gathered(registration) };
    let due = due_at(gathered.first_at, gathered.last_at, registration.debounce);
    if due > tx.now {
        return tx.arm(due, TimerKind::Debounce, registration.id);
    }
    flush(tx, &registration, &gathered)
}

fn flush(tx: &Tx<'_>, registration: &Registration, gathered: &Gathered) -> Result<(), SqlError> {
    tx.delete_gathered(registration.id)?;
    if registration.one_shot {
        tx.delete_registration(registration.id)?;
    }
    let Some(subscriber) = tx.entity_by_id(registration.subscriber)? else { return Ok(()) };
    let latest = Latest::of(gathered)?;
    let matched = Matched {
        registration: registration.id,
        source: &latest.source,
        position: &latest.position,
        collection: &latest.collection,
        kind: &latest.kind,
        key: &latest.key,
    };
    let wake =
        Wake { matched: &matched, timeout: false, changes: &gathered.changes, finished: latest.finished.as_deref() };
    emit(tx, subscriber, &row(tx, &wake), &matched, gathered.depth)
}

impl Latest {
    fn of(gathered: &Gathered) -> Result<Self, SqlError> {
        serde_json::from_str(&gathered.latest)
            .map_err(|e| SqlError::new(format!("what was gathered does not parse: {e}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_debounce_ends() {
        let at = |millis: i64| Time::from_millis(1_000_000 + millis);
        for (debounce, first, last, due) in [
            (100, 0, 0, 100),
            (100, 0, 60, 160),
            (100, 0, 899, 999),
            (100, 0, 950, 1000),
            (100, 0, 5000, 1000),
            (1_000_000, 0, 1_000_000, 2_000_000),
            (1_000_000, 0, 3_000_000, 3_600_000),
            (7_200_000, 0, 0, 7_200_000),
            (7_200_000, 0, 10, 7_200_000),
        ] {
            assert_eq!(due_at(at(first), at(last), Span::millis(debounce)), at(due), "{debounce} {first} {last}");
        }
        assert!(!is_full(99, 10) && is_full(100, 10) && is_full(1, 64 << 10));
    }
}
