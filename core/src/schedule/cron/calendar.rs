//! Which dates and times an expression matches, by a calendar in which every day has 24 hours.

use jiff::civil::{Date, DateTime, Time};

use super::fields::Fields;

impl Fields {
    /// The first date and time that it matches from one on and before another.
    pub(super) fn first(&self, from: DateTime, until: DateTime) -> Option<DateTime> {
        let mut from = from;
        loop {
            let date = self.date(from.date(), until.date())?;
            let since = if date == from.date() { from.time() } else { Time::midnight() };
            if let Some(time) = self.time(since) {
                return Some(date.to_datetime(time)).filter(|found| *found < until);
            }
            from = date.tomorrow().ok()?.to_datetime(Time::midnight());
        }
    }

    /// The first date that it matches, of those from one to another.
    fn date(&self, from: Date, to: Date) -> Option<Date> {
        let mut date = from;
        while date <= to {
            if !self.months.has(date.month().unsigned_abs()) {
                date = date.last_of_month().tomorrow().ok()?;
            } else if self.matches(date) {
                return Some(date);
            } else {
                date = date.tomorrow().ok()?;
            }
        }
        None
    }

    /// Whether a day matches. Of two fields that restrict it, one is enough.
    fn matches(&self, date: Date) -> bool {
        let (day, length) = (date.day().unsigned_abs(), date.days_in_month().unsigned_abs());
        let weekday = date.weekday().to_sunday_zero_offset().unsigned_abs();
        let by_day = || self.days.days.has(day) || (self.days.last && day == length);
        let by_weekday = || self.weekdays.days.has(weekday) || (self.weekdays.last.has(weekday) && day + 7 > length);
        let found = match (self.days.any, self.weekdays.any) {
            (_, true) => by_day(),
            (true, false) => by_weekday(),
            (false, false) => by_day() || by_weekday(),
        };
        found && self.weekdays.nth.is_none_or(|nth| day.div_ceil(7) == nth)
    }

    /// The first time of a day that it matches, from one on.
    fn time(&self, from: Time) -> Option<Time> {
        let [hour, minute, second] = [from.hour(), from.minute(), from.second()].map(i8::unsigned_abs);
        let this_minute = || Some((hour, minute, self.seconds.next(second)?));
        let this_hour = || Some((hour, self.minutes.next(minute + 1)?, self.seconds.first()?));
        let later = || Some((self.hours.next(hour + 1)?, self.minutes.first()?, self.seconds.first()?));
        let this_hour = || {
            let found = if self.minutes.has(minute) { this_minute() } else { None };
            found.or_else(this_hour)
        };
        let found = if self.hours.has(hour) { this_hour() } else { None };
        let [hour, minute, second] = <[u8; 3]>::from(found.or_else(later)?).map(u8::cast_signed);
        Some(Time::constant(hour, minute, second, 0))
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::{date, datetime};

    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn days_of_january(expression: &str) -> Vec<i8> {
        let fields = Fields::parse(expression).expect(expression);
        (1..=31).filter(|day| fields.matches(date(2026, 1, *day))).collect()
    }

    /// January 2026 begins on a Thursday.
    #[test]
    fn either_of_two_restrictions_is_enough() {
        for (expression, days) in [
            ("0 0 13 * 5", vec![2, 9, 13, 16, 23, 30]),
            ("0 0 13 * *", vec![13]),
            ("0 0 13 * ?", vec![13]),
            ("0 0 * * 5", vec![2, 9, 16, 23, 30]),
            ("0 0 ? * 5", vec![2, 9, 16, 23, 30]),
            ("0 0 1-31 * 5", (1..=31).collect()),
            ("0 0 */1 * 5", (1..=31).collect()),
            ("0 0 13 * */1", (1..=31).collect()),
            ("0 0 13 * 0-7", (1..=31).collect()),
            ("0 0 * * *", (1..=31).collect()),
            ("0 0 */10 * 1", vec![1, 5, 11, 12, 19, 21, 26, 31]),
            ("0 0 1,L * *", vec![1, 31]),
            ("0 0 L * 4L", vec![29, 31]),
            ("0 0 * * 1,5L", vec![5, 12, 19, 26, 30]),
        ] {
            assert_eq!(days_of_january(expression), days, "{expression}");
        }
    }

    #[test]
    fn a_block_of_seven_days_filters_every_day() {
        for (expression, days) in [
            ("0 0 * * 1#2", vec![12]),
            ("0 0 * * 4#5", vec![29]),
            ("0 0 * * 1#5", vec![]),
            ("0 0 13 * 5#2", vec![9, 13]),
            ("0 0 13 * 5#1", vec![2]),
            ("0 0 * * *#2", (8..=14).collect()),
            ("0 0 * * 5L#5", vec![30]),
            ("0 0 * * 5L#4", vec![]),
        ] {
            assert_eq!(days_of_january(expression), days, "{expression}");
        }
    }

    #[test]
    fn the_first_is_the_earliest_from_then_on() {
        let far = datetime(2100, 1, 1, 0, 0, 0, 0);
        for (expression, from, first) in [
            ("10 20 6 * * *", datetime(2026, 1, 1, 6, 20, 10, 0), datetime(2026, 1, 1, 6, 20, 10, 0)),
            ("10 20 6 * * *", datetime(2026, 1, 1, 6, 20, 11, 0), datetime(2026, 1, 2, 6, 20, 10, 0)),
            ("10,30 20 6 * * *", datetime(2026, 1, 1, 6, 20, 11, 0), datetime(2026, 1, 1, 6, 20, 30, 0)),
            ("10 20,40 6 * * *", datetime(2026, 1, 1, 6, 20, 11, 0), datetime(2026, 1, 1, 6, 40, 10, 0)),
            ("10 20 6,8 * * *", datetime(2026, 1, 1, 6, 20, 11, 0), datetime(2026, 1, 1, 8, 20, 10, 0)),
            ("10 20 6,8 * * *", datetime(2026, 1, 1, 5, 59, 59, 0), datetime(2026, 1, 1, 6, 20, 10, 0)),
            ("0 0 1 1 *", datetime(2026, 1, 1, 0, 0, 1, 0), datetime(2027, 1, 1, 0, 0, 0, 0)),
            ("0 0 29 2 *", datetime(2026, 1, 1, 0, 0, 0, 0), datetime(2028, 2, 29, 0, 0, 0, 0)),
            ("59 59 23 31 12 *", datetime(2026, 12, 31, 23, 59, 59, 0), datetime(2026, 12, 31, 23, 59, 59, 0)),
        ] {
            let fields = Fields::parse(expression).expect(expression);
            assert_eq!(fields.first(from, far), Some(first), "{expression} from {from}");
            assert_eq!(fields.first(from, first), None, "{expression} before {first}");
        }
    }
}
