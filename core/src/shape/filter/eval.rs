//! Whether a row meets a condition.

use std::cell::Cell;
use std::cmp::Ordering;

use super::super::columns::{Kind, Row};
use super::parse::{Comparison, Filter, Value};
use crate::limits::SHAPE_WORK;

/// What one answer may still spend on its condition, in characters looked at.
#[derive(Debug)]
pub(in crate::shape) struct Budget(Cell<usize>);

impl Default for Budget {
    fn default() -> Self {
        Self(Cell::new(SHAPE_WORK))
    }
}

impl Budget {
    /// Whether it was not enough, so that what was answered means nothing.
    pub(in crate::shape) fn is_spent(&self) -> bool {
        self.0.get() == 0
    }

    fn spend(&self, work: usize) -> bool {
        self.0.set(self.0.get().saturating_sub(work));
        !self.is_spent()
    }
}

impl Filter {
    /// Whether a row is in: what is unknown is not.
    pub(in crate::shape) fn lets_in(&self, row: &Row, budget: &Budget) -> bool {
        self.truth(row, budget) == Some(true)
    }

    fn truth(&self, row: &Row, budget: &Budget) -> Option<bool> {
        if !budget.spend(1) {
            return None;
        }
        match self {
            Self::Or(all) => all.iter().try_fold(Some(false), |so_far, one| match one.truth(row, budget) {
                Some(true) => Err(Some(true)),
                None => Ok(None),
                Some(false) => Ok(so_far),
            }),
            Self::And(all) => all.iter().try_fold(Some(true), |so_far, one| match one.truth(row, budget) {
                Some(false) => Err(Some(false)),
                None => Ok(None),
                Some(true) => Ok(so_far),
            }),
            Self::Not(one) => return one.truth(row, budget).map(|truth| !truth),
            Self::Always(truth) => return *truth,
            Self::Null(column) => return Some(row.0[*column].is_none()),
            Self::Compare(column, kind, comparison, value) => {
                return compare(&value_of(row, *column, *kind, budget)?, value).map(|order| comparison.holds(order));
            }
            Self::In(column, kind, values) => {
                let found = value_of(row, *column, *kind, budget)?;
                let mut unknown = false;
                for value in values {
                    match compare(&found, value) {
                        Some(order) if order.is_eq() => return Some(true),
                        Some(_) => {}
                        None => unknown = true,
                    }
                }
                return (!unknown).then_some(false);
            }
            Self::Like { column, pattern, ignoring_case } => {
                let (text, pattern) = (row.0[*column].as_deref()?, pattern.as_deref()?);
                if !budget.spend(text.len() + pattern.len()) {
                    return None;
                }
                return if *ignoring_case {
                    is_like(&text.to_lowercase(), pattern, budget)
                } else {
                    is_like(text, pattern, budget)
                };
            }
        }
        .unwrap_or_else(|settled| settled)
    }
}

impl Comparison {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Unequal => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

fn value_of(row: &Row, column: usize, kind: Kind, budget: &Budget) -> Option<Value> {
    let text = row.0[column].as_deref()?;
    if budget.spend(text.len() / 8 + 1) { Value::of(kind, text) } else { None }
}

fn compare(one: &Value, other: &Value) -> Option<Ordering> {
    if matches!(other, Value::Null) { None } else { one.partial_cmp(other) }
}

/// SQL's LIKE: `%` is any text, `_` any character, `\` takes what follows as it is. After a mismatch only the last `%` is
/// tried further, so that the work is at most the product of both lengths; `None` when that is too much.
fn is_like(text: &str, pattern: &str, budget: &Budget) -> Option<bool> {
    let pattern = parts(pattern);
    let text: Vec<char> = text.chars().collect();
    let (mut t, mut p) = (0, 0);
    // The last `%`, and how far the text was when it was tried last.
    let mut back: Option<(usize, usize)> = None;
    while t < text.len() {
        if !budget.spend(1) {
            return None;
        }
        match pattern.get(p) {
            Some(Part::Any) => {
                back = Some((p, t));
                p += 1;
            }
            Some(Part::One) => (t, p) = (t + 1, p + 1),
            Some(Part::Char(c)) if *c == text[t] => (t, p) = (t + 1, p + 1),
            _ => match back {
                Some((any, from)) => {
                    back = Some((any, from + 1));
                    (t, p) = (from + 1, any + 1);
                }
                None => return Some(false),
            },
        }
    }
    Some(pattern[p..].iter().all(|part| *part == Part::Any))
}

#[derive(PartialEq, Eq)]
enum Part {
    Any,
    One,
    Char(char),
}

fn parts(pattern: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        parts.push(match c {
            '%' => Part::Any,
            '_' => Part::One,
            '\\' => Part::Char(chars.next().unwrap_or('\\')),
            c => Part::Char(c),
        });
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::super::super::columns::Spec;
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn row() -> (&'static Spec, Row) {
        let spec = Spec::of("runners").expect("a table");
        let text = |text: &str| Some(text.to_owned());
        let row = Row(vec![
            text("default"),
            text("r-1"),
            text("/principal/user%3Aa"),
            text("It's 50%"),
            text("local"),
            text("enabled"),
            None,
            text("[]"),
            text("2026-08-21 07:49:12.12+00"),
            text("2026-08-21 07:49:12+00"),
        ]);
        (spec, row)
    }

    #[test]
    fn conditions_let_in_what_sql_would() {
        let (spec, row) = row();
        for (text, lets_in) in [
            ("id = 'r-1'", true),
            ("id = $1", true),
            ("$1 = id", true),
            ("\"id\" <> 'r-1'", false),
            ("ID != 'r-2' AND kind = 'local'", true),
            ("kind = 'x' OR kind = 'local'", true),
            ("kind = 'local' AND (id = 'x' OR NOT id = 'x')", true),
            ("id > 'r' AND id < 's' AND id >= 'r-1' AND id <= 'r-1'", true),
            ("'r' < id", true),
            ("id IN ('x', 'r-1')", true),
            ("id NOT IN ('x', 'y')", true),
            ("id NOT IN ('x', NULL)", false),
            ("id IN ('r-1', NULL)", true),
            ("wake_stream IS NULL", true),
            ("wake_stream IS NOT NULL", false),
            ("wake_stream = 'x'", false),
            ("NOT wake_stream = 'x'", false),
            ("wake_stream = 'x' OR TRUE", true),
            ("id = NULL", false),
            ("label LIKE 'It''s%'", true),
            ("label LIKE '%\\%'", true),
            ("label LIKE '\\%%'", false),
            ("label ILIKE 'IT_S 5_%'", true),
            ("label NOT LIKE '%x%'", true),
            ("label LIKE NULL", false),
            ("created_at > '2026-08-21 07:49:12+00'", true),
            ("created_at = '2026-08-21T07:49:12.120Z'::timestamptz", true),
            ("TRUE", true),
            ("FALSE OR NULL", false),
            ("NOT NOT TRUE", true),
        ] {
            let filter = Filter::parse(spec, text, &["r-1".to_owned()]).expect(text);
            assert_eq!(filter.lets_in(&row, &Budget::default()), lets_in, "{text}");
        }
        let entities = Spec::of("entities").expect("a table");
        let mut row = Row(vec![None; entities.columns.len()]);
        row.0[entities.place("created_at").expect("there")] = Some("1755756552123".to_owned());
        for (text, lets_in) in
            [("created_at > 1755756552122", true), ("created_at = '1755756552123'", true), ("created_at < -1", false)]
        {
            let filter = Filter::parse(entities, text, &[]).expect(text);
            assert_eq!(filter.lets_in(&row, &Budget::default()), lets_in, "{text}");
        }
    }

    #[test]
    fn what_is_no_condition_is_refused_with_its_place() {
        let (spec, _) = row();
        for (text, why) in [
            ("foo = 1", "At location 0: unknown reference foo"),
            ("write_token = 'x'", "At location 0: unknown reference write_token"),
            ("id =", "At location 4: syntax error"),
            ("id = 'a' id", "At location 9: syntax error"),
            ("id", "WHERE clause must return a boolean"),
            ("'x'", "WHERE clause must return a boolean"),
            ("id = $2", "At location 5: parameter $2 was not provided"),
            ("id = $0", "parameter $0"),
            ("id = kind", "one side"),
            ("id = 'a' AND (kind = 'b'", "At location 24: syntax error"),
            ("id = ;", "At location 5: syntax error"),
            ("created_at > 'soon'", "invalid input syntax for type timestamptz: \"soon\""),
            ("lower(id) = 'a'", "unknown reference lower"),
        ] {
            let error = Filter::parse(spec, text, &["r-1".to_owned()]).expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        }
        assert!(Filter::parse(spec, &"(".repeat(1000), &[]).is_err());
        assert!(Filter::parse(spec, &"x".repeat(SHAPE_WORK.min(3000)), &[]).expect_err("long").contains("longer"));
    }

    #[test]
    fn a_pattern_costs_what_it_may_and_no_more() {
        let budget = Budget::default();
        let text = "a".repeat(100_000);
        assert_eq!(is_like(&text, &("%".to_owned() + &"a".repeat(1000) + "b"), &budget), None);
        assert!(budget.is_spent());
    }
}
