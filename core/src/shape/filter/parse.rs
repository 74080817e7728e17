//! From words to a condition, by descent.

use super::super::columns::{Kind, Spec};
use super::token::{Token, tokens};
use crate::limits::SHAPE_DEPTH;
use crate::time::Time;

/// A condition.
#[derive(Clone, Debug)]
pub(in crate::shape) enum Filter {
    Or(Vec<Filter>),
    And(Vec<Filter>),
    Not(Box<Filter>),
    /// Always true, false, or unknown.
    Always(Option<bool>),
    /// A column, by its place, compared with a value.
    Compare(usize, Kind, Comparison, Value),
    /// Whether a column is one of some values.
    In(usize, Kind, Vec<Value>),
    /// Whether a column matches a pattern, in which case it may not matter.
    Like {
        column: usize,
        pattern: Option<String>,
        ignoring_case: bool,
    },
    Null(usize),
}

/// How a column is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shape) enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    fn of(mark: &str) -> Option<Self> {
        Some(match mark {
            "=" => Self::Equal,
            "<>" | "!=" => Self::Unequal,
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterOrEqual,
            _ => return None,
        })
    }

    /// The same with its sides exchanged.
    fn turned(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            same => same,
        }
    }
}

/// A value of a column's type.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
pub(in crate::shape) enum Value {
    Null,
    Text(String),
    Number(f64),
    Moment(i64),
}

impl Value {
    /// Reads a text as a value of a type.
    pub(super) fn of(kind: Kind, text: &str) -> Option<Self> {
        Some(match kind {
            Kind::Text | Kind::Jsonb => Self::Text(text.to_owned()),
            Kind::Int4 | Kind::Int8 => Self::Number(text.trim().parse::<f64>().ok().filter(|n| n.is_finite())?),
            Kind::Timestamptz => {
                let iso = text.trim().replacen(' ', "T", 1);
                let zoned = iso.strip_suffix("+00").map(|plain| format!("{plain}Z")).unwrap_or(iso);
                Self::Moment(Time::parse_iso(&zoned)?.as_millis())
            }
        })
    }
}

pub(super) struct Parser<'a> {
    spec: &'a Spec,
    params: &'a [String],
    tokens: Vec<(usize, Token)>,
    at: usize,
    depth: usize,
    end: usize,
}

/// A side of a comparison.
enum Side {
    Column(usize),
    /// A text, or nothing.
    Value(Option<String>),
}

impl<'a> Parser<'a> {
    pub(super) fn new(spec: &'a Spec, text: &str, params: &'a [String]) -> Result<Self, String> {
        Ok(Self { spec, params, tokens: tokens(text)?, at: 0, depth: 0, end: text.len() })
    }

    pub(super) fn whole(mut self) -> Result<Filter, String> {
        let filter = self.or()?;
        if self.at < self.tokens.len() { Err(self.unexpected()) } else { Ok(filter) }
    }

    fn or(&mut self) -> Result<Filter, String> {
        self.depth += 1;
        if self.depth > SHAPE_DEPTH {
            return Err(format!("is deeper than {SHAPE_DEPTH} parentheses"));
        }
        let mut all = vec![self.and()?];
        while self.takes("or") {
            all.push(self.and()?);
        }
        self.depth -= 1;
        Ok(Filter::Or(all))
    }

    fn and(&mut self) -> Result<Filter, String> {
        let mut all = vec![self.not()?];
        while self.takes("and") {
            all.push(self.not()?);
        }
        Ok(Filter::And(all))
    }

    fn not(&mut self) -> Result<Filter, String> {
        let mut negative = false;
        while self.takes("not") {
            negative = !negative;
        }
        let filter = self.predicate()?;
        Ok(if negative { Filter::Not(Box::new(filter)) } else { filter })
    }

    fn predicate(&mut self) -> Result<Filter, String> {
        if self.takes_mark("(") {
            let filter = self.or()?;
            self.expect(")")?;
            return Ok(filter);
        }
        let start = self.at;
        match self.side()? {
            Side::Column(column) => self.about(column),
            Side::Value(value) => match self.comparison() {
                Some(comparison) => {
                    let Side::Column(column) = self.side()? else { return Err(self.constant()) };
                    self.compare(column, comparison.turned(), value)
                }
                // TRUE, FALSE and NULL stand alone.
                None => match (self.tokens.get(start), value.as_deref()) {
                    (Some((_, Token::Word(_))), None) => Ok(Filter::Always(None)),
                    (Some((_, Token::Word(_))), Some(word)) => Ok(Filter::Always(Some(word == "true"))),
                    _ => Err("WHERE clause must return a boolean".to_owned()),
                },
            },
        }
    }

    /// What is said of a column.
    fn about(&mut self, column: usize) -> Result<Filter, String> {
        if let Some(comparison) = self.comparison() {
            return match self.side()? {
                Side::Value(value) => self.compare(column, comparison, value),
                Side::Column(_) => Err(self.constant()),
            };
        }
        if self.takes("is") {
            let negative = self.takes("not");
            if !self.takes("null") {
                return Err(self.unexpected());
            }
            return Ok(negated(negative, Filter::Null(column)));
        }
        let negative = self.takes("not");
        if self.takes("in") {
            return Ok(negated(negative, self.list(column)?));
        }
        let ignoring_case = self.takes("ilike");
        if ignoring_case || self.takes("like") {
            let Side::Value(pattern) = self.side()? else { return Err(self.constant()) };
            let pattern = if ignoring_case { pattern.map(|pattern| pattern.to_lowercase()) } else { pattern };
            return Ok(negated(negative, Filter::Like { column, pattern, ignoring_case }));
        }
        if self.at >= self.tokens.len() {
            return Err("WHERE clause must return a boolean".to_owned());
        }
        Err(self.unexpected())
    }

    fn list(&mut self, column: usize) -> Result<Filter, String> {
        let kind = self.spec.columns[column].kind;
        self.expect("(")?;
        let mut values = Vec::new();
        loop {
            let Side::Value(value) = self.side()? else { return Err(self.constant()) };
            values.push(self.value(kind, value)?);
            if !self.takes_mark(",") {
                break;
            }
        }
        self.expect(")")?;
        Ok(Filter::In(column, kind, values))
    }

    fn compare(&self, column: usize, comparison: Comparison, value: Option<String>) -> Result<Filter, String> {
        let kind = self.spec.columns[column].kind;
        Ok(Filter::Compare(column, kind, comparison, self.value(kind, value)?))
    }

    fn value(&self, kind: Kind, text: Option<String>) -> Result<Value, String> {
        let Some(text) = text else { return Ok(Value::Null) };
        Value::of(kind, &text).ok_or_else(|| format!("invalid input syntax for type {}: \"{text}\"", kind.as_str()))
    }

    fn comparison(&mut self) -> Option<Comparison> {
        let Some((_, Token::Mark(mark))) = self.tokens.get(self.at) else { return None };
        let comparison = Comparison::of(mark)?;
        self.at += 1;
        Some(comparison)
    }

    /// A column or a value, with a cast that says nothing new.
    fn side(&mut self) -> Result<Side, String> {
        let side = self.bare()?;
        if self.takes_mark("::") {
            match self.tokens.get(self.at) {
                Some((_, Token::Word(_))) => self.at += 1,
                _ => return Err(self.unexpected()),
            }
        }
        Ok(side)
    }

    fn bare(&mut self) -> Result<Side, String> {
        let Some((place, token)) = self.tokens.get(self.at).cloned() else { return Err(self.unexpected()) };
        self.at += 1;
        Ok(match token {
            Token::Text(text) | Token::Number(text) => Side::Value(Some(text)),
            Token::Mark("-") => match self.tokens.get(self.at) {
                Some((_, Token::Number(number))) => {
                    let negative = format!("-{number}");
                    self.at += 1;
                    Side::Value(Some(negative))
                }
                _ => return Err(self.unexpected()),
            },
            Token::Param(number) => {
                let param = number.checked_sub(1).and_then(|at| self.params.get(at));
                let param =
                    param.ok_or_else(|| format!("At location {place}: parameter ${number} was not provided"))?;
                Side::Value(Some(param.clone()))
            }
            Token::Word(word) if word == "true" || word == "false" => Side::Value(Some(word)),
            Token::Word(word) if word == "null" => Side::Value(None),
            Token::Word(name) | Token::Name(name) => {
                let column = self.spec.place(&name);
                Side::Column(column.ok_or_else(|| format!("At location {place}: unknown reference {name}"))?)
            }
            Token::Mark(_) => {
                self.at -= 1;
                return Err(self.unexpected());
            }
        })
    }

    fn takes(&mut self, keyword: &str) -> bool {
        let is = matches!(self.tokens.get(self.at), Some((_, Token::Word(word))) if word == keyword);
        self.at += usize::from(is);
        is
    }

    fn takes_mark(&mut self, mark: &str) -> bool {
        let is = matches!(self.tokens.get(self.at), Some((_, Token::Mark(found))) if *found == mark);
        self.at += usize::from(is);
        is
    }

    fn expect(&mut self, mark: &str) -> Result<(), String> {
        if self.takes_mark(mark) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn unexpected(&self) -> String {
        let place = self.tokens.get(self.at).map_or(self.end, |(place, _)| *place);
        format!("At location {place}: syntax error")
    }

    fn constant(&self) -> String {
        let place = self.tokens.get(self.at.saturating_sub(1)).map_or(self.end, |(place, _)| *place);
        format!("At location {place}: one side of a comparison is a column, and the other is a value")
    }
}

fn negated(negative: bool, filter: Filter) -> Filter {
    if negative { Filter::Not(Box::new(filter)) } else { filter }
}
