//! Timeouts: when nothing has matched a registration for so long since it was made, its subscriber wakes to be told that,
//! once (wake specification, section 1.5).

use super::deliver::emit;
use super::row::{Wake, row};
use crate::store::{SqlError, TimerKind, Tx};
use crate::stream::Matched;
use crate::time::{Span, Time};

/// Arms the timeout of a registration that was just made, if it has one.
pub(super) fn arm(tx: &Tx<'_>, registration: i64, timeout: Span) -> Result<(), SqlError> {
    if timeout > Span::ZERO { tx.arm(due_at(tx.now, timeout), TimerKind::Timeout, registration) } else { Ok(()) }
}

/// When a registration that was made at a moment times out.
#[must_use]
pub fn due_at(created_at: Time, timeout: Span) -> Time {
    created_at + timeout
}

/// The timeout of a registration is due: its subscriber wakes, unless something matched before. It stays registered.
pub(crate) fn due(tx: &Tx<'_>, registration: i64) -> Result<(), SqlError> {
    let Some(registration) = tx.registration(registration)?.filter(|r| !r.consumed) else { return Ok(()) };
    tx.consume_timeout(registration.id)?;
    let Some(subscriber) = tx.entity_by_id(registration.subscriber)? else { return Ok(()) };
    let source = tx.source_of(registration.id)?.unwrap_or_default();
    let matched = Matched {
        registration: registration.id,
        source: &source,
        position: "timeout",
        collection: "",
        kind: "timeout",
        key: "",
    };
    let wake = Wake { matched: &matched, timeout: true, changes: "", finished: None };
    emit(tx, subscriber, &row(tx, &wake), &matched, 0)
}
