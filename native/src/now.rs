//! The system's clock, as the engine takes it.

use std::time::{SystemTime, UNIX_EPOCH};

use reveille_core::Time;

/// Now.
pub(crate) fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
