//! Cron: the next time against a model that looks at each day, hour, minute and second in turn; and laws that hold of
//! every clock.

use std::collections::BTreeSet;

use jiff::tz::TimeZoneDatabase;
use jiff::{Timestamp, ToSpan};
use proptest::prelude::*;

use super::check;
use crate::cron::{CronError, Spec, next_fire};
use crate::time::{Span, Time};

/// A field: its text, and the numbers that it means.
#[derive(Clone, Debug)]
struct Field(String, BTreeSet<i8>);

/// Fields of numbers from `least` to `most`.
fn field(least: i8, most: i8) -> BoxedStrategy<Field> {
    let value = least..=most;
    let range = (value.clone(), value.clone()).prop_map(|(a, b)| (a.min(b), a.max(b)));
    let every = move |from: i8, to: i8, step: u8| (from..=to).step_by(step.into()).collect::<BTreeSet<i8>>();
    prop_oneof![
        3 => Just(Field("*".into(), every(least, most, 1))),
        1 => Just(Field("?".into(), every(least, most, 1))),
        3 => value.clone().prop_map(|v| Field(v.to_string(), [v].into())),
        2 => prop::collection::btree_set(value.clone(), 1..4).prop_map(|set| {
            Field(set.iter().map(i8::to_string).collect::<Vec<_>>().join(","), set)
        }),
        1 => range.clone().prop_map(move |(a, b)| Field(format!("{a}-{b}"), every(a, b, 1))),
        1 => (range, 1..20_u8).prop_map(move |((a, b), n)| Field(format!("{a}-{b}/{n}"), every(a, b, n))),
        1 => (1..70_u8).prop_map(move |n| Field(format!("*/{n}"), every(least, most, n))),
        1 => (value, 1..70_u8).prop_map(move |(v, n)| Field(format!("{v}/{n}"), every(v, most, n))),
    ]
    .boxed()
}

/// Of the weekdays, 7 is 0; and a range that goes to 7 has 0 in it, whatever its step.
fn sunday(Field(text, mut numbers): Field) -> Field {
    if numbers.contains(&7) || text.contains("-7") || (text.contains('/') && !text.contains('-')) {
        numbers.insert(0);
    }
    Field(text, numbers)
}

/// Six fields. Of the weekdays, Sunday is 0.
fn fields() -> impl Strategy<Value = [Field; 6]> {
    let times = (field(0, 59), field(0, 59), field(0, 23));
    (times, field(1, 31), field(1, 12), field(0, 7).prop_map(sunday))
        .prop_map(|((s, m, h), day, month, week)| [s, m, h, day, month, week])
}

fn text(fields: &[Field]) -> String {
    fields.iter().map(|field| field.0.as_str()).collect::<Vec<_>>().join(" ")
}

/// A zone and a moment, the most of them within two days of a change of its clock.
fn moment() -> impl Strategy<Value = (&'static str, Time)> {
    const ZONES: [&str; 11] = [
        "America/New_York",
        "America/Sao_Paulo",
        "America/St_Johns",
        "Australia/Lord_Howe",
        "Antarctica/Troll",
        "Asia/Tehran",
        "Atlantic/Azores",
        "Africa/Casablanca",
        "Europe/Dublin",
        "Pacific/Apia",
        "UTC",
    ];
    (prop::sample::select(&ZONES[..]), 0..2_500_000_000_i64, -200_000_000..200_000_000_i64).prop_map(
        |(zone, at, by)| {
            let at = Timestamp::from_second(at).expect("a time");
            let clock = TimeZoneDatabase::bundled().get(zone).expect(zone);
            let change = clock.following(at).next().map_or(at, |change| change.timestamp());
            (zone, Time::from_millis(change.as_millisecond() + by))
        },
    )
}

/// Whether a day matches: of two fields that restrict it, one is enough.
fn day_matches(date: jiff::civil::Date, [_, _, _, day, month, week]: &[Field; 6]) -> bool {
    let restricts = |field: &Field| !["*", "?"].contains(&field.0.as_str());
    let by_day = day.1.contains(&date.day());
    let by_week = week.1.contains(&date.weekday().to_sunday_zero_offset());
    let either = if restricts(day) && restricts(week) { by_day || by_week } else { by_day && by_week };
    month.1.contains(&date.month()) && either
}

/// The next time in UTC: every day of ten years, every hour of it, every minute, every second.
fn model(fields: &[Field; 6], after: Time) -> Option<Time> {
    let start = Timestamp::from_millisecond(after.as_millis()).expect("a time");
    let [seconds, minutes, hours, ..] = fields;
    let mut date = jiff::tz::Offset::UTC.to_datetime(start).date();
    for _ in 0..3660 {
        if day_matches(date, fields) {
            for hour in (0..24).filter(|hour| hours.1.contains(hour)) {
                for minute in (0..60).filter(|minute| minutes.1.contains(minute)) {
                    for second in (0..60).filter(|second| seconds.1.contains(second)) {
                        let time =
                            jiff::tz::Offset::UTC.to_timestamp(date.at(hour, minute, second, 0)).expect("a time");
                        if time > start {
                            return Some(Time::from_millis(time.as_millisecond()));
                        }
                    }
                }
            }
        }
        date = date.checked_add(1.day()).expect("a date");
    }
    None
}

#[test]
fn the_next_time_is_the_first_of_all_that_match() {
    check(2000, &(fields(), 0..4_000_000_000_000_i64), |(fields, after)| {
        let expression = text(&fields);
        let after = Time::from_millis(after);
        let Ok(spec) = Spec::parse(&expression, None) else {
            // Nothing is refused but a day that is too late for its only month.
            let [_, _, _, day, month, _] = &fields;
            prop_assert!(month.1.len() == 1 && day.1.first() >= Some(&30), "{}", expression);
            return Ok(());
        };
        prop_assert_eq!(next_fire(&spec, after).ok(), model(&fields, after), "{} after {}", expression, after);
        Ok(())
    });
}

#[test]
fn nothing_lies_between_a_moment_and_the_next_time() {
    check(2000, &(fields(), moment(), any::<prop::sample::Index>()), |(fields, (zone, after), between)| {
        let expression = text(&fields);
        let Ok(spec) = Spec::parse(&expression, Some(zone)) else { return Ok(()) };
        let Ok(next) = next_fire(&spec, after) else { return Ok(()) };
        prop_assert!(next > after && next.as_millis() % 1000 == 0, "{} after {}", next, after);
        // Asked at any moment before, it is the same.
        let between = after + Span::millis(between.index((next.as_millis() - after.as_millis()) as usize) as i64);
        for asked in [between, next - Span::millis(1)] {
            prop_assert_eq!(next_fire(&spec, asked), Ok(next), "{} in {} after {}", &expression, zone, asked);
        }
        Ok(())
    });
}

#[test]
fn a_time_shows_what_its_expression_names() {
    check(2000, &(fields(), moment()), |(fields, (zone, after))| {
        let Ok(spec) = Spec::parse(&text(&fields), Some(zone)) else { return Ok(()) };
        let Ok(next) = next_fire(&spec, after) else { return Ok(()) };
        let clock = TimeZoneDatabase::bundled().get(zone).expect(zone);
        let at = Timestamp::from_millisecond(next.as_millis()).expect("a time");
        // Or what it would show, had it not been put forward within the last hours.
        let earlier = clock.to_offset(at - 3.hours());
        let shows = [clock.to_offset(at), earlier].map(|offset| offset.to_datetime(at)).into_iter().any(|shown| {
            let [seconds, minutes, hours, ..] = &fields;
            let time = hours.1.contains(&shown.hour()) && minutes.1.contains(&shown.minute());
            time && seconds.1.contains(&shown.second()) && day_matches(shown.date(), &fields)
        });
        prop_assert!(shows, "{} in {} after {}: {}", spec.expression(), zone, after, next);
        Ok(())
    });
}

#[test]
fn whatever_comes_is_read_or_refused() {
    let words = "(\\*|[?]|[0-9]{1,3}|L|[a-z]{3}|H|,|-|/|#|@daily| |  |\t|\u{a0}|é){0,24}";
    let zone = prop_oneof![Just("UTC".to_owned()), "[A-Za-z/+:]{0,12}", Just("Europe/Paris".to_owned())];
    check(4000, &(words, zone, any::<i64>()), |(expression, zone, after)| {
        match Spec::parse(&expression, Some(&zone)) {
            Ok(spec) => {
                let again = Spec::of_path(spec.path()).expect("what was read is read again");
                prop_assert_eq!((again.expression(), again.path()), (expression.as_str(), spec.path()));
                let after = Time::from_millis(after);
                prop_assert_eq!(next_fire(&again, after), next_fire(&spec, after));
            }
            Err(CronError::Timezone(raw)) => prop_assert_eq!(raw, zone),
            Err(error) => prop_assert_eq!(error, CronError::Expression(expression)),
        }
        Ok(())
    });
    check(2000, &"(/_cron/)?[A-Za-z0-9_=%/-]{0,40}", |path| {
        prop_assert!(Spec::of_path(&path).is_none_or(|spec| spec.path() == path));
        Ok(())
    });
}
