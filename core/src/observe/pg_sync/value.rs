//! What a shape's values mean: Postgres writes each as text, and those who read the stream get what the shape's own client
//! would give them (shape protocol, section 1.5). A function of the text and the column.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Number, json};

use crate::limits::{JSON_DEPTH, SHAPE_DIMENSIONS};
use crate::stream::{depth, members, string};

/// The columns of a shape by name.
pub(super) type Columns = BTreeMap<String, Column>;

/// What a shape says of a column. Of an array it is the type of its elements.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Column {
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    dims: u32,
}

/// A row as a shape sends it, with its values read. Anything but an object stays as it is.
pub(super) fn row(columns: &Columns, row: &RawValue) -> String {
    if !row.get().trim_start().starts_with('{') {
        return row.get().to_owned();
    }
    let value = |(name, value): (Cow<'_, str>, &RawValue)| {
        let read = match (columns.get(&*name), string(value)) {
            (Some(column), Some(text)) => column.read(&text),
            _ => value.get().to_owned(),
        };
        format!("{}:{read}", json!(name))
    };
    let all: Vec<String> = members(row.get()).into_iter().map(value).collect();
    format!("{{{}}}", all.join(","))
}

impl Column {
    /// A value as JSON text.
    fn read(&self, text: &str) -> String {
        if self.dims == 0 {
            return self.element(text);
        }
        // What cannot be read as an array is still the text that it was.
        let mut rest = text;
        match self.array(&mut rest, SHAPE_DIMENSIONS) {
            Some(array) if rest.is_empty() => array,
            _ => json!(text).to_string(),
        }
    }

    fn element(&self, text: &str) -> String {
        match self.r#type.as_str() {
            "int2" | "int4" | "float4" | "float8" => number(text),
            "bool" => matches!(text, "t" | "true").to_string(),
            "json" | "jsonb" => json_of(text).unwrap_or_else(|| json!(text).to_string()),
            _ => json!(text).to_string(),
        }
    }

    /// An array as Postgres writes it, `{1,"b c",NULL,{…}}`, from the beginning of `rest`.
    fn array(&self, rest: &mut &str, dimensions: usize) -> Option<String> {
        *rest = rest.strip_prefix('{')?;
        let mut elements: Vec<String> = Vec::new();
        if let Some(after) = rest.strip_prefix('}') {
            *rest = after;
            return Some("[]".to_owned());
        }
        loop {
            elements.push(match rest.chars().next()? {
                '{' => self.array(rest, dimensions.checked_sub(1).filter(|left| *left > 0)?)?,
                '"' => self.element(&quoted(rest)?),
                _ => {
                    let end = rest.find([',', '}'])?;
                    let (text, after) = rest.split_at(end);
                    *rest = after;
                    if text == "NULL" { "null".to_owned() } else { self.element(text) }
                }
            });
            let (separator, after) = rest.split_at_checked(1)?;
            *rest = after;
            match separator {
                "," => {}
                "}" => return Some(format!("[{}]", elements.join(","))),
                _ => return None,
            }
        }
    }
}

/// A quoted element from the beginning of `rest`; a backslash stands before what is meant as it is.
fn quoted(rest: &mut &str) -> Option<String> {
    let (mut text, mut escaped) = (String::new(), false);
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => {
                text.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => {
                *rest = &rest[at + 1..];
                return Some(text);
            }
            _ => text.push(c),
        }
    }
    None
}

/// A number as it was written; JSON has none that is not finite.
fn number(text: &str) -> String {
    let is_number = !text.contains(char::is_whitespace) && serde_json::from_str::<Number>(text).is_ok();
    if is_number { text.to_owned() } else { "null".to_owned() }
}

/// A value that is JSON, where it does not nest too deep for an event.
fn json_of(text: &str) -> Option<String> {
    let raw: &RawValue = serde_json::from_str(text).ok()?;
    (depth(text) < JSON_DEPTH / 2).then(|| raw.get().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn values_are_what_their_columns_say() {
        for (kind, dims, text, want) in [
            ("int4", 0, "-5", "-5"),
            ("float8", 0, "1.50", "1.50"),
            ("float8", 0, "1e+20", "1e+20"),
            ("float8", 0, "NaN", "null"),
            ("float8", 0, "-Infinity", "null"),
            ("int4", 0, "5x", "null"),
            ("int8", 0, "9007199254740993", r#""9007199254740993""#),
            ("numeric", 0, "1.10", r#""1.10""#),
            ("bool", 0, "t", "true"),
            ("bool", 0, "true", "true"),
            ("bool", 0, "f", "false"),
            ("jsonb", 0, r#"{"a": 12345678901234567890}"#, r#"{"a": 12345678901234567890}"#),
            ("json", 0, "nope", r#""nope""#),
            ("text", 0, "a \"b\"", r#""a \"b\"""#),
            ("timestamptz", 0, "2026-08-21 07:49:12+00", r#""2026-08-21 07:49:12+00""#),
            ("", 0, "5", r#""5""#),
            ("int4", 1, "{1,2,NULL}", "[1,2,null]"),
            ("int4", 1, "{}", "[]"),
            ("int4", 2, "{{1,2},{3,NULL}}", "[[1,2],[3,null]]"),
            ("int8", 1, "{9007199254740993}", r#"["9007199254740993"]"#),
            ("bool", 1, "{t,f}", "[true,false]"),
            ("jsonb", 1, r#"{"{\"a\": 1}"}"#, r#"[{"a": 1}]"#),
            ("text", 1, r#"{"a b","c\"d",NULL,"NULL","",é}"#, r#"["a b","c\"d",null,"NULL","","é"]"#),
            ("text", 1, r#"{"a\\b","{x,y}"}"#, r#"["a\\b","{x,y}"]"#),
            // What is no array stays text.
            ("text", 1, "{a,b", r#""{a,b""#),
            ("text", 1, "{a,b}c", r#""{a,b}c""#),
            ("text", 1, r#"{"a"#, r#""{\"a""#),
            ("text", 1, r#"{"a"b}"#, r#""{\"a\"b}""#),
            ("text", 1, "a", r#""a""#),
            ("text", 1, "", r#""""#),
        ] {
            let column = Column { r#type: kind.to_owned(), dims };
            assert_eq!(column.read(text), want, "{kind} {text}");
        }
    }

    #[test]
    fn what_nests_too_deep_stays_text() {
        let column = Column { r#type: "text".to_owned(), dims: 1 };
        for deep in [7, 1_000_000] {
            let text = format!("{}{}", "{".repeat(deep), "}".repeat(deep));
            assert!(column.read(&text).starts_with('"'), "{deep}");
        }
        let json = Column { r#type: "jsonb".to_owned(), dims: 0 };
        let text = format!("{}{}", "[".repeat(100), "]".repeat(100));
        assert!(json.read(&text).starts_with('"'));
    }

    #[test]
    fn a_row_keeps_its_order_and_what_no_column_names() {
        let columns: Columns =
            serde_json::from_str(r#"{"n":{"type":"int4","pk_index":0,"not_null":true},"t":{"type":"text"}}"#)
                .expect("columns");
        let row = |text: &str| super::row(&columns, serde_json::from_str(text).expect("JSON"));
        assert_eq!(row(r#"{"t":"x","n":"7","m":"8","z":null,"n2":5}"#), r#"{"t":"x","n":7,"m":"8","z":null,"n2":5}"#);
        assert_eq!(row("7"), "7");
    }
}
