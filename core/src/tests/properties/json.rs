//! JSON as text, made and read without the library that the engine uses: numbers and strings stay as they are spelt.

use proptest::prelude::*;

/// A value as it is written: scalars by their text, objects with whatever members they repeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Scalar(String),
    Array(Vec<Value>),
    /// Names are decoded.
    Object(Vec<(String, Value)>),
}

impl Value {
    pub(super) fn is_string(&self) -> bool {
        matches!(self, Self::Scalar(text) if text.starts_with('"'))
    }

    /// The last member of a name, as JavaScript takes it.
    pub(super) fn member(&self, name: &str) -> Option<&Self> {
        let Self::Object(members) = self else { return None };
        members.iter().rev().find(|(n, _)| n == name).map(|(_, value)| value)
    }

    /// How deep its brackets nest.
    pub(super) fn depth(&self) -> usize {
        match self {
            Self::Scalar(_) => 0,
            Self::Array(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Self::Object(members) => 1 + members.iter().map(|(_, v)| v.depth()).max().unwrap_or(0),
        }
    }
}

/// Reads a JSON text; panics at anything else.
pub(super) fn read(text: &str) -> Value {
    let mut rest = text;
    let value = value(&mut rest);
    space(&mut rest);
    assert_eq!(rest, "", "after a value");
    value
}

fn value(rest: &mut &str) -> Value {
    space(rest);
    match rest.as_bytes().first() {
        Some(b'[') => {
            let mut items = Vec::new();
            list(rest, b']', &mut |rest| items.push(value(rest)));
            Value::Array(items)
        }
        Some(b'{') => {
            let mut members = Vec::new();
            list(rest, b'}', &mut |rest| {
                space(rest);
                let name = decoded(take(rest, string_length(rest)));
                space(rest);
                assert_eq!(take(rest, 1), ":");
                members.push((name, value(rest)));
            });
            Value::Object(members)
        }
        Some(b'"') => Value::Scalar(take(rest, string_length(rest)).to_owned()),
        _ => {
            let length = rest.find([',', ']', '}', ' ', '\t', '\r', '\n']).unwrap_or(rest.len());
            assert_ne!(length, 0, "nothing where a value should be");
            Value::Scalar(take(rest, length).to_owned())
        }
    }
}

fn list(rest: &mut &str, end: u8, item: &mut dyn FnMut(&mut &str)) {
    take(rest, 1);
    space(rest);
    if rest.as_bytes()[0] == end {
        take(rest, 1);
        return;
    }
    loop {
        item(rest);
        space(rest);
        match take(rest, 1).as_bytes()[0] {
            b',' => {}
            byte => {
                assert_eq!(byte, end);
                return;
            }
        }
    }
}

fn space(rest: &mut &str) {
    *rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
}

fn take<'a>(rest: &mut &'a str, length: usize) -> &'a str {
    let (taken, left) = rest.split_at(length);
    *rest = left;
    taken
}

/// How long the string is that `text` begins with, quotes included.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (i, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return i + 1,
            _ => {}
        }
    }
    unreachable!("a string that does not end: {text}");
}

/// The text of a string. Surrogates that stand alone are kept apart from every real character.
fn decoded(literal: &str) -> String {
    let mut units: Vec<u16> = Vec::new();
    let mut chars = literal[1..literal.len() - 1].chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            units.extend(c.encode_utf16(&mut [0; 2]).iter());
            continue;
        }
        let unit = match chars.next().expect("an escape") {
            'u' => u16::from_str_radix(&chars.by_ref().take(4).collect::<String>(), 16).expect("digits"),
            'n' => 10,
            't' => 9,
            'r' => 13,
            'b' => 8,
            'f' => 12,
            c => u16::try_from(u32::from(c)).expect("itself"),
        };
        units.push(unit);
    }
    char::decode_utf16(units)
        .map(|c| c.unwrap_or_else(|e| char::from_u32(0xf_0000 + u32::from(e.unpaired_surrogate())).expect("private")))
        .collect()
}

/// Any JSON text: nested so deep at most, with space wherever there may be some.
pub(super) fn document(deep: u32) -> impl Strategy<Value = String> {
    let leaf = prop_oneof![3 => scalar(), 1 => Just("[]".to_owned()), 1 => Just("{}".to_owned())];
    let nested = leaf.prop_recursive(deep, 24, 4, |inner| {
        prop_oneof![
            2 => array(inner.clone()),
            2 => object(prop::collection::vec((name(), inner.clone()), 0..4)),
            3 => event(inner),
        ]
    });
    (blank(), nested, blank()).prop_map(|(before, value, after)| before + &value + &after)
}

/// An object that looks much like a change event.
fn event(inner: impl Strategy<Value = String> + Clone + 'static) -> impl Strategy<Value = String> {
    let headers = prop::collection::vec((name(), prop_oneof![2 => scalar(), 1 => inner.clone()]), 0..5);
    let headers = prop_oneof![4 => object(headers), 1 => inner.clone()];
    let members = (prop::collection::vec((name(), inner), 0..3), headers_name(), headers, any::<prop::sample::Index>());
    object(members.prop_map(|(mut members, name, headers, at)| {
        members.insert(at.index(members.len() + 1), (name, headers));
        members
    }))
}

fn array(item: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    prop::collection::vec((blank(), item, blank()), 0..4).prop_map(|items| {
        let items: Vec<String> = items.into_iter().map(|(before, item, after)| before + &item + &after).collect();
        format!("[{}]", items.join(","))
    })
}

fn object(members: impl Strategy<Value = Vec<(String, String)>>) -> impl Strategy<Value = String> {
    (members, blank(), blank(), blank(), blank()).prop_map(|(members, a, b, c, d)| {
        let members: Vec<String> =
            members.into_iter().map(|(name, value)| format!("{a}{name}{b}:{c}{value}{d}")).collect();
        format!("{{{}}}", members.join(","))
    })
}

fn blank() -> impl Strategy<Value = String> {
    prop_oneof![6 => Just(String::new()), 1 => "[ \t\r\n]{1,3}"]
}

fn headers_name() -> impl Strategy<Value = String> {
    prop_oneof![4 => Just(r#""headers""#.to_owned()), 1 => Just(r#""he\u0061ders""#.to_owned())]
}

/// A member's name: those that the engine looks for come often, plain or with escapes.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => headers_name(),
        6 => prop::sample::select(vec!["offset", "operation", "control", "type", "key", "value"]).prop_map(|n| format!("\"{n}\"")),
        1 => prop::sample::select(vec![r"o\u0066fset", r"\u006fperation", r"contro\u006C"]).prop_map(|n| format!("\"{n}\"")),
        2 => string(),
    ]
}

fn scalar() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,4})?",
        any::<f64>().prop_filter("JSON has none", |n| n.is_finite()).prop_map(|n| format!("{n:?}")),
        any::<i64>().prop_map(|n| n.to_string()),
        Just("-0".to_owned()),
        Just("1.0".to_owned()),
    ];
    let word = prop::sample::select(vec!["true", "false", "null"]).prop_map(str::to_owned);
    prop_oneof![3 => number, 1 => word, 3 => string()]
}

/// A string literal: raw characters, escapes of every kind, brackets and commas.
fn string() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        3 => any::<String>().prop_map(|text| text.chars().filter(|c| !matches!(c, '"' | '\\' | '\0'..='\u{1f}')).collect()),
        3 => "[a-z,:{}\\[\\] ]{0,6}",
        2 => prop::sample::select(vec![r#"\""#, r"\\", r"\/", r"\b\f\n\r\t", r"\u0000", r"\u00e9", r"\uD83D\uDE00", r"\uD83D", r"\uDE00", "\u{2028}", "é", "😀"])
            .prop_map(str::to_owned),
    ];
    prop::collection::vec(part, 0..3).prop_map(|parts| format!("\"{}\"", parts.concat()))
}
