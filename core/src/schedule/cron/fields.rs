//! What an expression says, as sets of numbers.

/// Six fields, understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) seconds: Set,
    pub(super) minutes: Set,
    pub(super) hours: Set,
    pub(super) months: Set,
    pub(super) days: Days,
    pub(super) weekdays: Weekdays,
}

/// A set of numbers below 64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Set(u64);

/// Days of a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Days {
    /// Whether the field is no restriction at all.
    pub(super) any: bool,
    pub(super) days: Set,
    /// Whether the last day is one of them, too.
    pub(super) last: bool,
}

/// Days of a week; Sunday is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Weekdays {
    /// Whether the field is no restriction at all.
    pub(super) any: bool,
    pub(super) days: Set,
    /// Those whose last one of a month is meant, too.
    pub(super) last: Set,
    /// The block of seven days of a month to which every day is held, 1 to 5.
    pub(super) nth: Option<u8>,
}

impl Fields {
    /// Reads an expression; none if it is not one. Takes time in proportion to its length.
    pub(super) fn parse(expression: &str) -> Option<Self> {
        let words = words(expression);
        let [second, minute, hour, day, month, weekday] = *words.as_slice() else { return None };
        let fields = Self {
            seconds: list(second, &SECOND)?.numbers,
            minutes: list(minute, &MINUTE)?.numbers,
            hours: list(hour, &HOUR)?.numbers,
            months: list(month, &MONTH)?.numbers,
            days: days(day)?,
            weekdays: weekdays(weekday)?,
        };
        fields.possible().then_some(fields)
    }

    /// Whether it names all hours of a day.
    pub(super) fn every_hour(&self) -> bool {
        self.hours.len() == 24
    }

    /// The one kind of impossible day that is refused at once: in a single month, and later than its last.
    fn possible(&self) -> bool {
        let (Some(month), Some(day)) = (self.months.first(), self.days.days.first()) else { return true };
        self.months.len() > 1 || self.days.last || day <= LONGEST[usize::from(month) - 1]
    }
}

impl Set {
    pub(super) fn has(self, number: u8) -> bool {
        self.next(number) == Some(number)
    }

    /// The least of its numbers that is not below this one.
    pub(super) fn next(self, least: u8) -> Option<u8> {
        let rest = self.0 & u64::MAX.checked_shl(least.into())?;
        (rest != 0).then(|| rest.trailing_zeros() as u8)
    }

    pub(super) fn first(self) -> Option<u8> {
        self.next(0)
    }

    fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// Adds numbers; none if one of them, other than 0, is there already.
    fn join(self, more: Self) -> Option<Self> {
        ((self.0 & more.0) >> 1 == 0).then_some(Self(self.0 | more.0))
    }
}

impl FromIterator<u8> for Set {
    fn from_iter<I: IntoIterator<Item = u8>>(numbers: I) -> Self {
        Self(numbers.into_iter().fold(0, |set, number| set | 1 << number))
    }
}

/// What may stand in a field.
struct Kind {
    least: u8,
    most: u8,
    names: &'static [&'static str],
    /// Whether it counts weekdays, where 7 is 0.
    week: bool,
    /// How it says "last".
    last: Last,
}

#[derive(PartialEq, Eq)]
enum Last {
    No,
    /// `L`
    Alone,
    /// `5L`
    OfWeekday,
}

/// What a list says.
#[derive(Default)]
struct List {
    numbers: Set,
    /// Numbers that are followed by `L`; for `L` alone, 0.
    last: Set,
}

/// Six words of an expression: five have no seconds, and fewer are made up for as the wire does it.
fn words(expression: &str) -> Vec<&str> {
    let expression = match MACROS.iter().find(|(name, _)| *name == expression) {
        Some((_, meaning)) => meaning,
        None => expression,
    };
    let given: Vec<&str> = expression.split(is_space).filter(|word| !word.is_empty()).take(7).collect();
    let missing = if given.is_empty() { &[] } else { DEFAULTS.get(given.len()..).unwrap_or_default() };
    [missing, given.as_slice()].concat()
}

/// White space as JavaScript counts it.
fn is_space(c: char) -> bool {
    c == '\u{feff}' || (c.is_whitespace() && c != '\u{85}')
}

fn days(field: &str) -> Option<Days> {
    let List { numbers, last } = list(field, &DAY)?;
    Some(Days { any: is_any(field), days: numbers, last: last.has(0) })
}

fn weekdays(field: &str) -> Option<Weekdays> {
    let (days, nth) = match field.split_once('#') {
        None => (field, None),
        Some((day, _)) if day.contains([',', '-', '/']) => return None,
        Some((day, nth)) => (day, Some(number(nth).filter(|n| (1..=5).contains(n))?)),
    };
    let List { numbers, last } = list(days, &WEEKDAY)?;
    Some(Weekdays { any: is_any(field), days: numbers, last, nth })
}

fn is_any(field: &str) -> bool {
    field == "*" || field == "?"
}

fn list(field: &str, kind: &Kind) -> Option<List> {
    field.split(',').try_fold(List::default(), |list, item| {
        let List { numbers, last } = self::item(item, kind)?;
        // A last one that is named twice is refused also where it is 0.
        let last = (list.last.0 & last.0 == 0).then_some(Set(list.last.0 | last.0))?;
        Some(List { numbers: list.numbers.join(numbers)?, last })
    })
}

/// `*`, `a`, `a-b`, each with `/n` or without; or a last one.
fn item(item: &str, kind: &Kind) -> Option<List> {
    if let Some(last) = last(item, kind) {
        return Some(List { last: Set::from_iter([last]), ..List::default() });
    }
    let (range, step) = match item.split_once('/') {
        Some((range, step)) => (range, Some(number(step).filter(|step| *step > 0)?)),
        None => (item, None),
    };
    let (from, to) = match range.split_once('-') {
        _ if is_any(range) => (kind.least, kind.most),
        Some((from, to)) => (value(from, kind)?, value(to, kind)?),
        None if step.is_some() => (value(range, kind)?, kind.most),
        // A Sunday that stands alone is the same Sunday by either number.
        None => {
            let day = value(range, kind)?;
            return Some(List { numbers: Set::from_iter([if kind.week { day % 7 } else { day }]), ..List::default() });
        }
    };
    (from <= to).then(|| List { numbers: range_of(from, to, step.unwrap_or(1), kind), ..List::default() })
}

fn range_of(from: u8, to: u8, step: u8, kind: &Kind) -> Set {
    // A range that ends on a Sunday has that Sunday in it, whatever its step.
    let sunday = (kind.week && to.is_multiple_of(7)).then_some(0);
    (from..=to).step_by(step.into()).chain(sunday).collect()
}

fn last(item: &str, kind: &Kind) -> Option<u8> {
    let day = item.strip_suffix('L')?;
    match kind.last {
        Last::No => None,
        Last::Alone => day.is_empty().then_some(0),
        Last::OfWeekday => Some(value(day, kind)? % 7),
    }
}

fn value(word: &str, kind: &Kind) -> Option<u8> {
    let named = || kind.names.iter().position(|name| name.eq_ignore_ascii_case(word));
    let value = number(word).or_else(|| Some(kind.least + u8::try_from(named()?).ok()?))?;
    (kind.least..=kind.most).contains(&value).then_some(value)
}

/// A whole number, held to 255; leading zeros do no harm.
fn number(word: &str) -> Option<u8> {
    let digits = !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| word.bytes().fold(0_u8, |number, digit| number.saturating_mul(10).saturating_add(digit - b'0')))
}

const SECOND: Kind = Kind { least: 0, most: 59, names: &[], week: false, last: Last::No };
const MINUTE: Kind = SECOND;
const HOUR: Kind = Kind { most: 23, ..SECOND };
const DAY: Kind = Kind { least: 1, most: 31, last: Last::Alone, ..SECOND };
const MONTH: Kind = Kind { least: 1, most: 12, names: &MONTHS, ..SECOND };
const WEEKDAY: Kind = Kind { least: 0, most: 7, names: &WEEK, week: true, last: Last::OfWeekday };

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEK: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// How long months can be.
const LONGEST: [u8; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// What fields that are not given say: of `n` given, the first `n` of these give way.
const DEFAULTS: [&str; 6] = ["*", "*", "*", "*", "*", "0"];

const MACROS: [(&str, &str); 11] = [
    ("", "0 * * * * *"),
    ("@yearly", "0 0 0 1 1 *"),
    ("@annually", "0 0 0 1 1 *"),
    ("@monthly", "0 0 0 1 * *"),
    ("@weekly", "0 0 0 * * 0"),
    ("@daily", "0 0 0 * * *"),
    ("@hourly", "0 0 * * * *"),
    ("@minutely", "0 * * * * *"),
    ("@secondly", "* * * * * *"),
    ("@weekdays", "0 0 0 * * 1-5"),
    ("@weekends", "0 0 0 * * 0,6"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn numbers(set: Set) -> Vec<u8> {
        (0..64).filter(|n| set.has(*n)).collect()
    }

    #[test]
    fn fields_are_sets() {
        let every = |n: usize, most: u8| (0..=most).step_by(n).collect::<Vec<u8>>();
        for (minute, set) in [
            ("*", every(1, 59)),
            ("?", every(1, 59)),
            ("*/20", vec![0, 20, 40]),
            ("?/20", vec![0, 20, 40]),
            ("0", vec![0]),
            ("59", vec![59]),
            ("007", vec![7]),
            ("1,5,3", vec![1, 3, 5]),
            ("10-13", vec![10, 11, 12, 13]),
            ("10-10", vec![10]),
            ("10-20/5", vec![10, 15, 20]),
            ("5/25", vec![5, 30, 55]),
            ("5/100", vec![5]),
            ("*/99999999999999999999", vec![0]),
            ("1-3,10,50/5", vec![1, 2, 3, 10, 50, 55]),
            ("0,0", vec![0]),
        ] {
            let fields = Fields::parse(&format!("{minute} * * * *")).expect(minute);
            assert_eq!(numbers(fields.minutes), set, "{minute}");
            assert_eq!(numbers(fields.seconds), [0], "{minute}");
        }
    }

    #[test]
    fn months_and_weekdays_have_names() {
        let fields = Fields::parse("0 0 * jan,MAR-May,Dec mon-FRI").expect("valid");
        assert_eq!(numbers(fields.months), [1, 3, 4, 5, 12]);
        assert_eq!(numbers(fields.weekdays.days), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn sunday_is_0_and_7() {
        for (weekday, days) in [
            ("0", vec![0]),
            ("7", vec![0]),
            ("7,0", vec![0]),
            ("sun", vec![0]),
            ("5-7", vec![0, 5, 6, 7]),
            ("1-7,0", vec![0, 1, 2, 3, 4, 5, 6, 7]),
            ("2-7/2", vec![0, 2, 4, 6]),
            ("1/2", vec![0, 1, 3, 5, 7]),
            ("0-6", vec![0, 1, 2, 3, 4, 5, 6]),
        ] {
            let fields = Fields::parse(&format!("0 0 * * {weekday}")).expect(weekday);
            assert_eq!(numbers(fields.weekdays.days), days, "{weekday}");
        }
    }

    #[test]
    fn last_and_nth_days() {
        for (field, days, last) in
            [("L", vec![], true), ("1,L", vec![1], true), ("15-16,L", vec![15, 16], true), ("5", vec![5], false)]
        {
            let fields = Fields::parse(&format!("0 0 {field} * *")).expect(field);
            assert_eq!((numbers(fields.days.days), fields.days.last), (days, last), "{field}");
        }
        for (field, days, last, nth) in [
            ("5L", vec![], vec![5], None),
            ("7L", vec![], vec![0], None),
            ("friL", vec![], vec![5], None),
            ("1,5L", vec![1], vec![5], None),
            ("1L,3L", vec![], vec![1, 3], None),
            ("1#2", vec![1], vec![], Some(2)),
            ("MON#5", vec![1], vec![], Some(5)),
            ("7#1", vec![0], vec![], Some(1)),
            ("1#02", vec![1], vec![], Some(2)),
            ("5L#4", vec![], vec![5], Some(4)),
        ] {
            let Weekdays { days: got, last: got_last, nth: got_nth, any } =
                Fields::parse(&format!("0 0 * * {field}")).expect(field).weekdays;
            assert_eq!((numbers(got), numbers(got_last), got_nth, any), (days, last, nth, false), "{field}");
        }
    }

    #[test]
    fn only_a_bare_star_is_no_restriction() {
        for (field, any) in
            [("*", true), ("?", true), ("*/1", false), ("*/2", false), ("1-7", false), ("*#2", false), ("1", false)]
        {
            assert_eq!(Fields::parse(&format!("0 0 * * {field}")).expect(field).weekdays.any, any, "{field}");
        }
        assert!(Fields::parse("0 0 * * *").expect("valid").days.any);
        assert!(!Fields::parse("0 0 1-31 * *").expect("valid").days.any);
    }

    #[test]
    fn short_expressions_and_macros() {
        for (short, long) in [
            ("", "0 * * * * *"),
            ("1 2 3 4 5", "0 1 2 3 4 5"),
            ("5 * * *", "* 0 5 * * *"),
            ("5 * *", "* * 0 5 * *"),
            ("  0 9 * * *\u{a0}\u{feff}", "0 0 9 * * *"),
            ("0\u{3000}9\t*\r\n* *", "0 0 9 * * *"),
            ("@yearly", "0 0 0 1 1 *"),
            ("@annually", "0 0 0 1 1 *"),
            ("@monthly", "0 0 0 1 * *"),
            ("@weekly", "0 0 0 * * 0"),
            ("@daily", "0 0 0 * * *"),
            ("@hourly", "0 0 * * * *"),
            ("@minutely", "0 * * * * *"),
            ("@secondly", "* * * * * *"),
            ("@weekdays", "0 0 0 * * 1-5"),
            ("@weekends", "0 0 0 * * 0,6"),
        ] {
            assert_eq!(Fields::parse(short), Fields::parse(long), "{short}");
            assert!(Fields::parse(long).is_some(), "{long}");
        }
    }

    #[test]
    fn impossible_days_are_refused_in_one_month_only() {
        for (expression, possible) in [
            ("0 0 31 2 *", false),
            ("0 0 30 2 1", false),
            ("0 0 31 4 *", false),
            ("0 0 30,31 feb *", false),
            ("0 0 29-31 2 *", true),
            ("0 0 31,L 2 *", true),
            ("0 0 31 2,4 *", true),
            ("0 0 30 4 *", true),
        ] {
            assert_eq!(Fields::parse(expression).is_some(), possible, "{expression}");
        }
    }

    #[test]
    fn what_is_not_an_expression() {
        for expression in [
            "60 * * * *",
            "0 24 * * *",
            "50-10 * * * *",
            "0 0 15W * *",
            "* * * * * * *",
            "@reboot",
            "@Daily",
            " @daily",
            "@daily ",
            "foo",
            " ",
            "*",
            "* *",
            "0 0 0 * *",
            "0 0 32 * *",
            "0 0 * 0 *",
            "0 0 * 13 *",
            "0 0 * * 8",
            "1-5,3 * * * *",
            "*,5 * * * *",
            "5,5 * * * *",
            "0,0,5,5 * * * *",
            "L,L * * * *",
            "0 0 L,L * *",
            "0 0 * * 5L,5L",
            "0 0 * * sat-sun",
            "*/0 * * * *",
            "*/ * * * *",
            "*/x * * * *",
            "/5 * * * *",
            "1/2/3 * * * *",
            "1-2-3 * * * *",
            "*/5-3 * * * *",
            "-5 * * * *",
            "5- * * * *",
            "1,,2 * * * *",
            ",1 * * * *",
            "1, * * * *",
            "5* * * * *",
            "** * * * *",
            "L * * * *",
            "0 0 5L * *",
            "0 0 L-3 * *",
            "0 0 L/2 * *",
            "0 0 l * *",
            "0 0 * * L",
            "0 0 * * L#2",
            "0 0 * * 8L",
            "0 0 * * 1-5L",
            "0 0 * * 1#0",
            "0 0 * * 1#6",
            "0 0 * * 1#",
            "0 0 * * #1",
            "0 0 * * 1#2#3",
            "0 0 * * 1,2#2",
            "0 0 * * 1#2,3",
            "0 0 * * 1-3#2",
            "0 0 * * 1/2#2",
            "0 0 1#2 * *",
            "0 0 * * jan",
            "0 0 * mon *",
            "0 0 * jan1 *",
            "0 0 * * monday",
            "H * * * *",
            "H/5 * * * *",
            "H(0-5) * * * *",
            "+5 * * * *",
            "1.5 * * * *",
            "٣ * * * *",
        ] {
            assert_eq!(Fields::parse(expression), None, "{expression}");
        }
    }

    #[test]
    fn length_costs_time_in_proportion() {
        let long = format!("{} * * * *", "0,".repeat(1 << 20) + "0");
        assert!(Fields::parse(&long).is_some());
        assert!(Fields::parse(&"* ".repeat(1 << 20)).is_none());
        assert!(Fields::parse(&"1".repeat(1 << 20)).is_none());
    }
}
