//! When an expression fires next, by the clock of its zone.
//!
//! A zone's clock is a row of pieces in which it runs evenly; in each of them the calendar decides.

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use super::fields::Fields;
use super::{CronError, Spec};
use crate::time::Time;

/// The first moment after another at which an expression fires: strictly later, and on a whole second. Looks half a
/// century ahead, within a millisecond.
///
/// # Errors
/// [`CronError::Never`]: it matches nothing, or nothing before the end of the year 9999.
pub fn next_fire(spec: &Spec, after: Time) -> Result<Time, CronError> {
    find(&spec.fields, &spec.clock, after).ok_or_else(|| CronError::Never(spec.expression.clone()))
}

fn find(fields: &Fields, zone: &TimeZone, after: Time) -> Option<Time> {
    let mut at = Timestamp::from_second(after.as_secs() + 1).ok()?;
    let end = at.checked_add(HORIZON).unwrap_or(Timestamp::MAX);
    while at < end {
        let piece = Piece::around(zone, at, end);
        if let Some(found) = piece.first(fields, at) {
            return Some(Time::from_millis(found.as_millisecond())).filter(|found| *found > after);
        }
        at = piece.until;
    }
    None
}

/// A stretch of time in which a clock runs evenly.
struct Piece {
    from: Timestamp,
    until: Timestamp,
    /// How far the clock is ahead of UTC.
    offset: Offset,
    /// How far it was before.
    before: Offset,
}

impl Piece {
    /// The piece that a moment lies in; where it has no end, it is cut.
    fn around(zone: &TimeZone, at: Timestamp, end: Timestamp) -> Self {
        let offset = zone.to_offset(at);
        let from = zone.preceding(at.checked_add(SECOND).unwrap_or(at)).next().map(|change| change.timestamp());
        let until = zone.following(at).next().map_or(end, |change| change.timestamp().min(end));
        let before = from.and_then(|from| from.checked_sub(SECOND).ok()).map(|last| zone.to_offset(last));
        Self { from: from.unwrap_or(Timestamp::MIN), until, offset, before: before.unwrap_or(offset) }
    }

    /// The first moment in it that an expression matches, from one on.
    fn first(&self, fields: &Fields, at: Timestamp) -> Option<Timestamp> {
        let (now, end) = (self.offset.to_datetime(at), self.offset.to_datetime(self.until));
        let found = if fields.every_hour() {
            fields.first(now, end)
        } else {
            // Where the clock was put back, what it has shown is over.
            let shown = self.before.to_datetime(self.from);
            [self.skipped(fields, now), fields.first(now.max(shown), end)].into_iter().flatten().min()
        };
        self.offset.to_timestamp(found?).ok()
    }

    /// The first of the times that the clock skipped when the piece began, moved by as much as it was put forward. A time
    /// stays on its day, and where midnight is skipped none is moved.
    fn skipped(&self, fields: &Fields, now: DateTime) -> Option<DateTime> {
        let (gap, end) = (self.before.to_datetime(self.from), self.offset.to_datetime(self.from));
        let by = end.duration_since(gap);
        let last = gap.checked_sub(SECOND).ok()?;
        if gap >= end || last.date() != end.date() {
            return None;
        }
        let from = now.checked_sub(by).ok()?.max(gap);
        fields.first(from, end)?.checked_add(by).ok()
    }
}

const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// No expression that matches at all waits longer: a fifth weekday of February comes once in forty years, around a
/// century that has no leap day.
const HORIZON: SignedDuration = SignedDuration::from_hours(50 * 366 * 24);

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn time(text: &str) -> Time {
        Time::from_millis(text.parse::<Timestamp>().expect(text).as_millisecond())
    }

    /// As many times as are expected; those that follow on a time of the same day are told by the time alone.
    fn check(expression: &str, zone: &str, after: &str, expected: &[&str]) {
        let spec = Spec::parse(expression, Some(zone)).expect(expression);
        let mut at = time(after);
        for expected in expected {
            at = next_fire(&spec, at).expect(expression);
            let found = at.iso();
            assert!(found.ends_with(":00.000Z") || expression.starts_with("*/10 "), "{found}");
            assert!(found.contains(expected), "{expression} in {zone}: {found} is not {expected}");
        }
    }

    #[test]
    fn what_the_published_parser_finds() {
        check("* * * * *", "UTC", "2026-01-01T00:00:00Z", &["01-01T00:01:00", "00:02:00", "00:03:00"]);
        check("*/10 * * * * *", "UTC", "2026-01-01T00:00:00.500Z", &["01-01T00:00:10.000", "00:00:20.000"]);
        check(
            "0 0 13 * 5",
            "UTC",
            "2026-01-01T00:00:00Z",
            &["01-02T00", "01-09T00", "01-13T00", "01-16T00", "01-23T00"],
        );
        check(
            "0 0 */2 * MON",
            "UTC",
            "2026-01-01T00:00:00Z",
            &["01-03T00", "01-05T00", "01-07T00", "01-09T00", "01-11T00", "01-12T00", "01-13T00", "01-15T00"],
        );
        check("0 0 L * *", "UTC", "2026-01-01T00:00:00Z", &["01-31T00:00", "02-28T00:00", "03-31T00:00"]);
        check("0 0 * * 5L", "UTC", "2026-01-01T00:00:00Z", &["01-30T00:00", "02-27T00:00", "03-27T00:00"]);
        check("0 0 * * 1#2", "UTC", "2026-01-01T00:00:00Z", &["01-12T00:00", "02-09T00:00", "03-09T00:00"]);
        check("5/15 * * * *", "UTC", "2026-01-01T00:00:00Z", &["T00:05:00", "T00:20:00", "T00:35:00", "T00:50:00"]);
        check("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", &["2028-02-29T00:00:00", "2032-02-29T00:00:00"]);
    }

    #[test]
    fn a_skipped_hour_is_made_up_for() {
        let new_york = "America/New_York";
        check("30 2 * * *", new_york, "2026-03-07T12:00:00Z", &["03-08T07:30", "03-09T06:30"]);
        check("0 2 * * *", new_york, "2026-03-07T12:00:00Z", &["03-08T07:00", "03-09T06:00"]);
        check("0 * * * *", new_york, "2026-03-08T05:30:00Z", &["06:00", "07:00", "08:00"]);
        // Twice at one time is once.
        check("0 2,3 * * *", new_york, "2026-03-07T12:00:00Z", &["03-08T07:00", "03-09T06:00", "03-09T07:00"]);
        check("0,30 2,3 * * *", new_york, "2026-03-08T06:59:00Z", &["07:00", "07:30", "03-09T06:00"]);
        check("45 2 * * *", new_york, "2026-03-08T07:44:59Z", &["03-08T07:45", "03-09T06:45"]);
        // The rest of the day is as any other.
        check("30 3 * * *", new_york, "2026-03-07T12:00:00Z", &["03-08T07:30", "03-09T07:30"]);
        check("0 9 * * *", new_york, "2026-03-07T18:00:00Z", &["03-08T13:00", "03-09T13:00"]);
        check("30 1 * * *", new_york, "2026-03-07T12:00:00Z", &["03-08T06:30", "03-09T05:30"]);
    }

    #[test]
    fn a_repeated_hour_counts_once_where_hours_are_named() {
        let new_york = "America/New_York";
        check("30 1 * * *", new_york, "2026-10-31T12:00:00Z", &["11-01T05:30", "11-02T06:30"]);
        check("*/30 1 * * *", new_york, "2026-11-01T04:45:00Z", &["05:00", "05:30", "11-02T06:00"]);
        check("*/30 * * * *", new_york, "2026-11-01T04:45:00Z", &["05:00", "05:30", "06:00", "06:30", "07:00"]);
        check("*/30 0-23 * * *", new_york, "2026-11-01T04:45:00Z", &["05:00", "05:30", "06:00", "06:30", "07:00"]);
        check("*/30 0-22 * * *", new_york, "2026-11-01T04:45:00Z", &["05:00", "05:30", "07:00", "07:30"]);
        // Also when asked in between, and for the hour that follows.
        check("30 1 * * *", new_york, "2026-11-01T06:10:00Z", &["11-02T06:30"]);
        check("0 2 * * *", new_york, "2026-11-01T06:10:00Z", &["11-01T07:00", "11-02T07:00"]);
        // Midnight itself can come twice.
        check("0 0 * * *", "America/Havana", "2025-11-01T12:00:00Z", &["11-02T04:00", "11-03T05:00"]);
    }

    #[test]
    fn a_skipped_midnight_is_not_made_up_for() {
        let sao_paulo = "America/Sao_Paulo";
        check("0 0 * * *", sao_paulo, "2018-11-03T12:00:00Z", &["2018-11-05T02:00", "2018-11-06T02:00"]);
        check("30 0,12 * * *", sao_paulo, "2018-11-03T18:00:00Z", &["2018-11-04T14:30", "2018-11-05T02:30"]);
        check("0 * * * *", sao_paulo, "2018-11-04T02:30:00Z", &["2018-11-04T03:00", "2018-11-04T04:00"]);
        // The last hour of a day is skipped with midnight at its end.
        check("30 23 * * *", "America/Nuuk", "2026-03-28T12:00:00Z", &["03-30T00:30"]);
        // A day that there was not.
        check("0 12 * * *", "Pacific/Apia", "2011-12-29T10:00:00Z", &["12-29T22:00", "12-30T22:00", "12-31T22:00"]);
    }

    #[test]
    fn clocks_that_change_by_other_than_an_hour() {
        let lord_howe = "Australia/Lord_Howe";
        check("15 2 * * *", lord_howe, "2026-10-02T18:00:00Z", &["10-03T15:45", "10-04T15:15"]);
        check("15,45 2 * * *", lord_howe, "2026-10-03T12:00:00Z", &["10-03T15:45", "10-04T15:15", "10-04T15:45"]);
        check("45 1 * * *", lord_howe, "2026-04-04T12:00:00Z", &["04-04T14:45", "04-05T15:15"]);
        check("45 * * * *", lord_howe, "2026-04-04T14:00:00Z", &["14:45", "15:15", "16:15"]);
        check("30 1 * * *", "Antarctica/Troll", "2026-03-28T12:00:00Z", &["03-29T01:30", "03-29T23:30"]);
        check("0 5 * * *", "Asia/Kathmandu", "2026-01-01T00:00:00Z", &["01-01T23:15", "01-02T23:15"]);
    }

    #[test]
    fn what_never_matches_is_said_to() {
        for expression in ["0 0 31 2,4 *", "0 0 31 2,4,6,9,11 *", "0 0 * * 5L#1", "* * * * 1L#3", "0 0 31 2,4 5L#2"] {
            let spec = Spec::parse(expression, Some("America/New_York")).expect(expression);
            let error = next_fire(&spec, time("2026-01-01T00:00:00Z")).expect_err(expression);
            assert_eq!(error.to_string(), format!("cron expression `{expression}` never fires"));
        }
    }

    #[test]
    fn what_is_rare_is_found() {
        for (expression, after, found) in [
            ("0 0 29 2 *", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00.000Z"),
            ("0 0 * 2 1#5", "2072-03-01T00:00:00Z", "2112-02-29T00:00:00.000Z"),
            ("0 0 * 2 0#5", "2026-01-01T00:00:00Z", "2032-02-29T00:00:00.000Z"),
            ("59 59 23 31 12 *", "2026-12-31T23:59:59Z", "2027-12-31T23:59:59.000Z"),
        ] {
            let spec = Spec::parse(expression, None).expect(expression);
            assert_eq!(next_fire(&spec, time(after)).expect(expression).iso(), found, "{expression}");
        }
    }

    #[test]
    fn the_end_of_time_is_an_end() {
        for zone in ["UTC", "Pacific/Kiritimati", "Pacific/Niue", "America/New_York"] {
            let spec = Spec::parse("* * * * * *", Some(zone)).expect(zone);
            assert_eq!(next_fire(&spec, Time::ZERO), Ok(Time::from_millis(1000)), "{zone}");
            assert!(next_fire(&spec, Time::from_millis(i64::MAX)).is_err(), "{zone}");
            let last = Time::from_millis(i64::MAX) - crate::time::Span::secs(2);
            assert!(next_fire(&spec, last).is_ok_and(|next| next > last), "{zone}");
        }
    }
}
