//! Moments and spans. The engine never reads a clock: a host passes `now` with every call.

use std::fmt;
use std::ops::{Add, Sub};

use serde::Serialize;

/// A moment: milliseconds since the Unix epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Time(i64);

/// A length of time in milliseconds, never negative.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Span(i64);

impl Time {
    /// The earliest moment.
    pub const ZERO: Self = Self(0);

    /// Before this moment (September 2001) no clock stands: a timer armed earlier has a place in the line of those that
    /// wait for a delivery slot, and is due when its turn comes.
    pub const LINE: Self = Self(1_000_000_000_000);

    /// A moment from milliseconds since the epoch, held to what a timestamp can show (years 1970 to 9999).
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(0, LATEST))
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch.
    #[must_use]
    pub fn as_secs(self) -> i64 {
        self.0 / 1000
    }

    /// The span from `earlier` to this moment; zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Span {
        Span((self.0 - earlier.0).max(0))
    }

    /// Reads a moment in ISO 8601, with its offset from UTC; or a day such as `2028-02-29`, which begins at midnight UTC.
    /// The last days of the year 9999, by which many mean never, are the last moment that there is.
    #[must_use]
    pub fn parse_iso(text: &str) -> Option<Self> {
        let midnight = (text.len() == DAY.len()).then(|| format!("{text}T00:00:00Z"));
        let text = midnight.as_deref().unwrap_or(text);
        if let Ok(moment) = text.parse::<jiff::Timestamp>() {
            return Some(Self::from_millis(moment.as_millisecond()));
        }
        let day = text.strip_prefix("9999-12-3")?;
        format!("9998-12-3{day}").parse::<jiff::Timestamp>().ok().map(|_| Self::from_millis(LATEST))
    }

    /// ISO 8601 in UTC with milliseconds, the form of every timestamp on the wire: `2026-11-20T09:21:36.776Z`.
    #[must_use]
    pub fn iso(self) -> String {
        let stamp = jiff::Timestamp::from_millisecond(self.0).unwrap_or_default();
        format!("{stamp:.3}")
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// A span of milliseconds; negative is zero.
    #[must_use]
    pub const fn millis(millis: i64) -> Self {
        Self(if millis < 0 { 0 } else { millis })
    }

    /// A span of seconds.
    #[must_use]
    pub const fn secs(secs: i64) -> Self {
        Self::millis(secs * 1000)
    }

    /// The length in milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }
}

impl Add<Span> for Time {
    type Output = Self;

    fn add(self, span: Span) -> Self {
        Self::from_millis(self.0.saturating_add(span.0))
    }
}

impl Sub<Span> for Time {
    type Output = Self;

    fn sub(self, span: Span) -> Self {
        Self::from_millis(self.0.saturating_sub(span.0))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iso())
    }
}

/// The last moment that a timestamp can show.
const LATEST: i64 = 253_402_207_199_999;

/// The form of a day.
const DAY: &str = "2028-02-29";

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn timestamps_always_have_three_decimals() {
        assert_eq!(Time::from_millis(1_795_166_496_680).iso(), "2026-11-20T09:21:36.680Z");
        assert_eq!(Time::ZERO.iso(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Time::from_millis(i64::MAX).iso(), "9999-12-30T21:59:59.999Z");
    }

    #[test]
    fn a_day_begins_at_midnight() {
        let day = |text| Time::parse_iso(text).map(Time::iso);
        assert_eq!(day("2028-02-29").as_deref(), Some("2028-02-29T00:00:00.000Z"));
        assert_eq!(day("2028-02-29T08:00+02:00").as_deref(), Some("2028-02-29T06:00:00.000Z"));
        for never in ["9999-12-31", "9999-12-31T23:59:59.999Z", "9999-12-30T23:00:00+00:00"] {
            assert_eq!(Time::parse_iso(never), Some(Time::from_millis(LATEST)), "{never}");
        }
        for none in ["9999-12-32", "2027-02-29", "2028-02", "2028-02-29T", "tomorrow", "2028-02-29T08:00"] {
            assert_eq!(day(none), None, "{none}");
        }
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Time::from_millis(i64::MAX) + Span::secs(1), Time::from_millis(LATEST));
        assert_eq!(Time::ZERO - Span::secs(1), Time::ZERO);
        assert_eq!(Time::from_millis(5).since(Time::from_millis(9)), Span::ZERO);
    }
}
