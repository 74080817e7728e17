//! Checking: a value against an admitted schema, with AJV's messages, all of them as far as an answer has room.
//!
//! Recursion is as deep as [`DEPTH`], and a budget of steps bounds the work: a schema that refers to itself, or that
//! branches without end, is an answer like any other.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Map, Number, Value as Json};

use super::budget::{Budget, TooMuch};
use super::pattern::{COMPILING, Pattern};
use super::{Complaint, read, resolve};
use crate::http::escape;
use crate::limits::{COMPLAINT_TEXT, COMPLAINTS, JSON_DEPTH};

/// A schema that checks values.
#[derive(Debug)]
pub(in crate::entity) struct Schema {
    root: Json,
    /// Its patterns, compiled when they are first needed.
    patterns: BTreeMap<String, Option<Pattern>>,
}

impl Schema {
    /// Reads the text of an admitted schema. What cannot be read checks nothing.
    pub(in crate::entity) fn of(text: &str) -> Self {
        Self { root: read(text).unwrap_or(Json::Bool(true)), patterns: BTreeMap::new() }
    }

    /// What is wrong with a value; nothing when it is valid.
    pub(in crate::entity) fn check(&mut self, value: &Json, budget: &mut Budget) -> Vec<Complaint> {
        let Self { root, patterns } = self;
        let mut check = Check { root, patterns, budget, path: vec![], depth: 0, silent: false, found: vec![], said: 0 };
        match check.apply(root, value) {
            Ok(true) => vec![],
            Ok(false) => check.found,
            Err(TooMuch) => vec![(String::new(), "is too large or too deep to be checked".to_owned())],
        }
    }
}

/// Whether a value fits.
type Verdict = Result<bool, TooMuch>;

struct Check<'a> {
    root: &'a Json,
    patterns: &'a mut BTreeMap<String, Option<Pattern>>,
    budget: &'a mut Budget,
    /// The way to the value that is looked at.
    path: Vec<Step<'a>>,
    depth: usize,
    /// Whether complaints are beside the point.
    silent: bool,
    found: Vec<Complaint>,
    /// How long the complaints are together.
    said: usize,
}

enum Step<'a> {
    Member(&'a str),
    Element(usize),
}

impl<'a> Check<'a> {
    fn apply(&mut self, schema: &'a Json, value: &'a Json) -> Verdict {
        self.budget.spend(1)?;
        let rules = match schema {
            Json::Object(rules) => rules,
            Json::Bool(false) => return self.fail(|| "boolean schema is false".to_owned()),
            _ => return Ok(true),
        };
        if self.depth == DEPTH {
            return Err(TooMuch);
        }
        self.depth += 1;
        let mut fits = true;
        for (keyword, rule) in rules {
            fits &= self.keyword(keyword, rule, rules, value)?;
        }
        self.depth -= 1;
        Ok(fits)
    }

    /// Rules that do not have the form that admission demands, and keywords that say nothing, are passed over.
    fn keyword(&mut self, keyword: &str, rule: &'a Json, beside: &'a Map<String, Json>, value: &'a Json) -> Verdict {
        use Json::{Array, Number, Object, String};
        match (keyword, rule, value) {
            ("type", _, _) => self.kind(rule, beside, value),
            ("$ref", String(reference), _) => self.reference(reference, value),
            ("properties", Object(schemas), Object(members)) => self.properties(schemas, members),
            ("required", Array(names), Object(members)) => self.required(names, members),
            ("additionalProperties", _, Object(members)) => self.additional(rule, beside.get("properties"), members),
            ("items", Array(schemas), Array(elements)) => self.elements(schemas.iter().zip(elements)),
            ("items", _, Array(elements)) => self.elements(elements.iter().map(|element| (rule, element))),
            ("enum", Array(allowed), _) => self.among(allowed, value),
            ("const", _, _) => {
                let same = self.equal(rule, value)?;
                self.expect(same, || "must be equal to constant".to_owned())
            }
            ("anyOf", Array(schemas), _) => self.any(schemas, value),
            ("oneOf", Array(schemas), _) => self.one(schemas, value),
            ("allOf", Array(schemas), _) => {
                schemas.iter().try_fold(true, |fits, schema| Ok(self.apply(schema, value)? && fits))
            }
            ("not", _, _) => self.not(rule, value),
            ("pattern", String(pattern), String(text)) => self.pattern(pattern, text),
            ("minLength" | "maxLength", Number(bound), String(text)) => {
                self.budget.spend(text.len() / 32)?;
                self.count(keyword, text.chars().count(), bound, "characters")
            }
            ("minItems" | "maxItems", Number(bound), Array(elements)) => {
                self.count(keyword, elements.len(), bound, "items")
            }
            ("minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum", Number(bound), Number(number)) => {
                self.limit(keyword, number, bound)
            }
            _ => Ok(true),
        }
    }

    fn kind(&mut self, rule: &Json, beside: &Map<String, Json>, value: &Json) -> Verdict {
        let fits = match rule {
            Json::Array(names) => names.iter().any(|name| is(name, value)),
            name => is(name, value),
        };
        let fits = fits || (value.is_null() && beside.get("nullable") == Some(&Json::Bool(true)));
        self.expect(fits, || {
            let names: Vec<&str> = match rule {
                Json::Array(names) => names.iter().filter_map(Json::as_str).collect(),
                name => name.as_str().into_iter().collect(),
            };
            format!("must be {}", names.join(","))
        })
    }

    fn reference(&mut self, reference: &str, value: &'a Json) -> Verdict {
        self.budget.spend(reference.len() / 8)?;
        match resolve(self.root, reference) {
            Some(schema) => self.apply(schema, value),
            None => Ok(true),
        }
    }

    fn properties(&mut self, schemas: &'a Map<String, Json>, members: &'a Map<String, Json>) -> Verdict {
        let mut fits = true;
        self.budget.spend(schemas.len())?;
        for (name, schema) in schemas {
            if let Some(value) = members.get(name) {
                fits &= self.within(Step::Member(name), schema, value)?;
            }
        }
        Ok(fits)
    }

    fn required(&mut self, names: &'a [Json], members: &Map<String, Json>) -> Verdict {
        let mut fits = true;
        self.budget.spend(names.len())?;
        for name in names.iter().filter_map(Json::as_str).filter(|name| !members.contains_key(*name)) {
            fits = self.fail(|| format!("must have required property '{name}'"))?;
        }
        Ok(fits)
    }

    fn additional(&mut self, rule: &'a Json, known: Option<&Json>, members: &'a Map<String, Json>) -> Verdict {
        let mut fits = true;
        self.budget.spend(members.len())?;
        for (name, value) in members {
            if known.is_some_and(|known| known.get(name).is_some()) {
                continue;
            }
            fits &= match rule {
                Json::Bool(false) => self.fail(|| "must NOT have additional properties".to_owned())?,
                schema => self.within(Step::Member(name), schema, value)?,
            };
        }
        Ok(fits)
    }

    fn elements(&mut self, pairs: impl Iterator<Item = (&'a Json, &'a Json)>) -> Verdict {
        let mut fits = true;
        for (i, (schema, element)) in pairs.enumerate() {
            fits &= self.within(Step::Element(i), schema, element)?;
        }
        Ok(fits)
    }

    fn within(&mut self, step: Step<'a>, schema: &'a Json, value: &'a Json) -> Verdict {
        self.path.push(step);
        let fits = self.apply(schema, value)?;
        self.path.pop();
        Ok(fits)
    }

    fn among(&mut self, allowed: &Vec<Json>, value: &Json) -> Verdict {
        for one in allowed {
            if self.equal(one, value)? {
                return Ok(true);
            }
        }
        self.fail(|| "must be equal to one of the allowed values".to_owned())
    }

    fn any(&mut self, schemas: &'a [Json], value: &'a Json) -> Verdict {
        let before = self.found.len();
        for schema in schemas {
            if self.apply(schema, value)? {
                self.forget(before);
                return Ok(true);
            }
        }
        self.fail(|| "must match a schema in anyOf".to_owned())
    }

    fn one(&mut self, schemas: &'a [Json], value: &'a Json) -> Verdict {
        let before = self.found.len();
        let mut fitting = 0;
        for schema in schemas {
            fitting += usize::from(self.apply(schema, value)?);
        }
        if fitting == 1 {
            self.forget(before);
            return Ok(true);
        }
        self.fail(|| "must match exactly one schema in oneOf".to_owned())
    }

    fn not(&mut self, schema: &'a Json, value: &'a Json) -> Verdict {
        let silent = std::mem::replace(&mut self.silent, true);
        let fits = self.apply(schema, value)?;
        self.silent = silent;
        self.expect(!fits, || "must NOT be valid".to_owned())
    }

    fn pattern(&mut self, pattern: &str, text: &str) -> Verdict {
        if !self.patterns.contains_key(pattern) {
            self.budget.spend(COMPILING)?;
            self.patterns.insert(pattern.to_owned(), Pattern::compile(pattern).ok());
        }
        let Some(Some(compiled)) = self.patterns.get(pattern) else { return Ok(true) };
        self.budget.spend(compiled.price(text))?;
        let matches = compiled.matches(text);
        self.expect(matches, || format!("must match pattern \"{pattern}\""))
    }

    #[allow(clippy::cast_precision_loss, reason = "nothing here is longer than 2^53")]
    fn count(&mut self, keyword: &str, count: usize, bound: &Number, of: &str) -> Verdict {
        let (count, limit) = (count as f64, bound.as_f64().unwrap_or(0.0));
        let (fits, than) =
            if keyword.starts_with("min") { (count >= limit, "fewer") } else { (count <= limit, "more") };
        self.expect(fits, || format!("must NOT have {than} than {} {of}", plain(bound)))
    }

    fn limit(&mut self, keyword: &str, number: &Number, bound: &Number) -> Verdict {
        let order = compare(number, bound);
        let (fits, sign) = match keyword {
            "minimum" => (order.is_ge(), ">="),
            "maximum" => (order.is_le(), "<="),
            "exclusiveMinimum" => (order.is_gt(), ">"),
            _ => (order.is_lt(), "<"),
        };
        self.expect(fits, || format!("must be {sign} {}", plain(bound)))
    }

    /// Equality of values: numbers by what they are, objects in any order.
    fn equal(&mut self, one: &Json, other: &Json) -> Verdict {
        self.budget.spend(1)?;
        match (one, other) {
            (Json::Number(one), Json::Number(other)) => Ok(compare(one, other).is_eq()),
            (Json::String(one), Json::String(other)) => {
                self.budget.spend(one.len().min(other.len()) / 32)?;
                Ok(one == other)
            }
            (Json::Array(one), Json::Array(other)) if one.len() == other.len() => {
                for (one, other) in one.iter().zip(other) {
                    if !self.equal(one, other)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (Json::Object(one), Json::Object(other)) if one.len() == other.len() => {
                for (name, one) in one {
                    match other.get(name) {
                        Some(other) if self.equal(one, other)? => {}
                        _ => return Ok(false),
                    }
                }
                Ok(true)
            }
            (Json::Bool(one), Json::Bool(other)) => Ok(one == other),
            (Json::Null, Json::Null) => Ok(true),
            _ => Ok(false),
        }
    }

    fn expect(&mut self, fits: bool, complaint: impl FnOnce() -> String) -> Verdict {
        if fits { Ok(true) } else { self.fail(complaint) }
    }

    /// Complains about the value that is looked at, if the answer has room for it.
    fn fail(&mut self, complaint: impl FnOnce() -> String) -> Verdict {
        if !self.silent && self.found.len() < COMPLAINTS && self.said < COMPLAINT_TEXT {
            let (path, message) = (self.pointer(), complaint());
            let length = path.len() + message.len();
            self.budget.spend(2 + length / 8)?;
            self.said += length;
            self.found.push((path, message));
        }
        Ok(false)
    }

    /// Takes back the complaints of branches that turned out not to matter.
    fn forget(&mut self, before: usize) {
        for (path, message) in self.found.drain(before..) {
            self.said -= path.len() + message.len();
        }
    }

    fn pointer(&self) -> String {
        let mut pointer = String::new();
        for step in &self.path {
            pointer.push('/');
            match step {
                Step::Member(name) => pointer.push_str(&escape(name)),
                Step::Element(i) => write!(pointer, "{i}").expect("a string takes anything"),
            }
        }
        pointer
    }
}

fn is(name: &Json, value: &Json) -> bool {
    match (name.as_str().unwrap_or(""), value) {
        ("null", Json::Null)
        | ("boolean", Json::Bool(_))
        | ("number", Json::Number(_))
        | ("string", Json::String(_))
        | ("array", Json::Array(_))
        | ("object", Json::Object(_)) => true,
        ("integer", Json::Number(n)) => whole(n).is_some() || n.as_f64().is_some_and(|n| n.fract() == 0.0),
        _ => false,
    }
}

fn compare(one: &Number, other: &Number) -> Ordering {
    match (whole(one), whole(other)) {
        (Some(one), Some(other)) => one.cmp(&other),
        _ => one.as_f64().partial_cmp(&other.as_f64()).unwrap_or(Ordering::Equal),
    }
}

fn whole(n: &Number) -> Option<i128> {
    n.as_i64().map(i128::from).or(n.as_u64().map(i128::from))
}

/// A number as JavaScript writes it.
fn plain(n: &Number) -> String {
    let text = n.to_string();
    text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
}

/// How deep schemas may lead into one another: three for each level of a value that references itself.
const DEPTH: usize = 3 * JSON_DEPTH;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn check(schema: &Json, value: &Json) -> Vec<Complaint> {
        Schema::of(&schema.to_string()).check(value, &mut Budget::default())
    }

    /// Each row: a schema, a value that fits, one that does not, and the complaints about that.
    #[test]
    fn every_keyword() {
        let tree = json!({ "type": "object", "properties": { "sub": { "type": "array", "items": { "$ref": "#" } } } });
        for (schema, good, bad, want) in [
            (json!(true), json!(1), json!(null), vec![]),
            (json!({ "type": "string" }), json!("a"), json!(1), vec![(": must be string")]),
            (json!({ "type": ["string", "null"] }), json!(null), json!(1), vec![": must be string,null"]),
            (json!({ "type": "string", "nullable": true }), json!(null), json!(1), vec![": must be string"]),
            (json!({ "type": "string", "nullable": false }), json!(""), json!(null), vec![": must be string"]),
            (json!({ "type": "integer" }), json!(1.0), json!(1.5), vec![": must be integer"]),
            (json!({ "type": "integer" }), json!(1e300), json!("1"), vec![": must be integer"]),
            (json!({ "type": "number" }), json!(1.5), json!(true), vec![": must be number"]),
            (json!({ "type": "boolean" }), json!(false), json!(0), vec![": must be boolean"]),
            (json!({ "type": "array" }), json!([]), json!({}), vec![": must be array"]),
            (json!({ "type": "object" }), json!({}), json!([]), vec![": must be object"]),
            (json!({ "type": "null" }), json!(null), json!(0), vec![": must be null"]),
            (
                json!({ "required": ["a", "b"] }),
                json!({ "a": null, "b": 1 }),
                json!({}),
                vec![": must have required property 'a'", ": must have required property 'b'"],
            ),
            (
                json!({ "properties": { "a/b": { "type": "string" }, "c": false } }),
                json!({ "a/b": "", "x": 1 }),
                json!({ "a/b": 1, "c": 2 }),
                vec!["/a~1b: must be string", "/c: boolean schema is false"],
            ),
            (
                json!({ "properties": { "a": true }, "additionalProperties": false }),
                json!({ "a": 1 }),
                json!({ "a": 1, "b": 1, "c": 1 }),
                vec![": must NOT have additional properties", ": must NOT have additional properties"],
            ),
            (
                json!({ "properties": { "a": true }, "additionalProperties": { "type": "string" } }),
                json!({ "a": 1, "b": "" }),
                json!({ "~": 1 }),
                vec!["/~0: must be string"],
            ),
            (
                json!({ "enum": [1, "a", { "x": [null, 2.0] }] }),
                json!({ "x": [null, 2] }),
                json!({ "x": [null, 2], "y": 1 }),
                vec![": must be equal to one of the allowed values"],
            ),
            (json!({ "const": 1 }), json!(1.0), json!("1"), vec![": must be equal to constant"]),
            (json!({ "const": null }), json!(null), json!(false), vec![": must be equal to constant"]),
            (json!({ "minimum": 1 }), json!(1.0), json!(0.5), vec![": must be >= 1"]),
            (json!({ "maximum": 1.5 }), json!(1.5), json!(2), vec![": must be <= 1.5"]),
            (json!({ "exclusiveMinimum": 1.0 }), json!(2), json!(1), vec![": must be > 1"]),
            (json!({ "exclusiveMaximum": 1 }), json!(-1), json!(1), vec![": must be < 1"]),
            (
                json!({ "maximum": 9_007_199_254_740_992_u64 }),
                json!(9_007_199_254_740_992_u64),
                json!(9_007_199_254_740_993_u64),
                vec![": must be <= 9007199254740992"],
            ),
            (json!({ "minLength": 2 }), json!("é😀"), json!("😀"), vec![": must NOT have fewer than 2 characters"]),
            (json!({ "maxLength": 1.0 }), json!("😀"), json!("ab"), vec![": must NOT have more than 1 characters"]),
            (json!({ "minItems": 1 }), json!([1]), json!([]), vec![": must NOT have fewer than 1 items"]),
            (json!({ "maxItems": 1 }), json!([1]), json!([1, 2]), vec![": must NOT have more than 1 items"]),
            (json!({ "pattern": "^a+$" }), json!("aa"), json!("ab"), vec![": must match pattern \"^a+$\""]),
            (
                json!({ "items": { "type": "string" } }),
                json!(["", ""]),
                json!(["", 1, 2]),
                vec!["/1: must be string", "/2: must be string"],
            ),
            (
                json!({ "items": [{ "type": "string" }, false] }),
                json!([""]),
                json!([1, 2, 3]),
                vec!["/0: must be string", "/1: boolean schema is false"],
            ),
            (
                json!({ "$defs": { "s": { "type": "string" } }, "$ref": "#/$defs/s", "minLength": 1 }),
                json!("a"),
                json!(""),
                vec![": must NOT have fewer than 1 characters"],
            ),
            (
                tree,
                json!({ "sub": [{ "sub": [] }] }),
                json!({ "sub": [{ "sub": [1] }] }),
                vec!["/sub/0/sub/0: must be object"],
            ),
            (
                json!({ "anyOf": [{ "type": "string" }, { "minimum": 1 }] }),
                json!(1),
                json!(0),
                vec![": must be string", ": must be >= 1", ": must match a schema in anyOf"],
            ),
            (
                json!({ "oneOf": [{ "type": "string" }, { "minimum": 1 }] }),
                json!(1),
                json!(0),
                vec![": must be string", ": must be >= 1", ": must match exactly one schema in oneOf"],
            ),
            (
                json!({ "oneOf": [{ "type": "string" }, true] }),
                json!(1),
                json!(""),
                vec![": must match exactly one schema in oneOf"],
            ),
            (
                json!({ "allOf": [{ "type": "string" }, { "minimum": 1 }] }),
                json!("a"),
                json!(0),
                vec![": must be string", ": must be >= 1"],
            ),
            (json!({ "not": { "not": { "type": "string" } } }), json!(""), json!(1), vec![": must NOT be valid"]),
            (json!({ "not": { "enum": [1, 2] } }), json!(3), json!(1), vec![": must NOT be valid"]),
            (
                json!({ "title": "t", "description": "d", "default": 1, "format": "email", "$schema": "x", "$id": "y" }),
                json!(1),
                json!("not an email"),
                vec![],
            ),
        ] {
            assert_eq!(check(&schema, &good), vec![], "{schema} {good}");
            let found: Vec<String> = check(&schema, &bad).iter().map(|(p, m)| format!("{p}: {m}")).collect();
            assert_eq!(found, want, "{schema} {bad}");
        }
    }

    #[test]
    fn what_was_never_admitted_harms_nobody() {
        let schema = json!({ "type": 5, "properties": [], "required": [5], "items": 5, "pattern": "(", "$ref": "#/no", "anyOf": 1 });
        for value in [json!({ "a": 1 }), json!([1]), json!("a"), json!(1)] {
            let found = check(&schema, &value);
            assert!(found.iter().all(|(_, message)| message == "must be "), "{value} {found:?}");
        }
        assert_eq!(Schema::of("{").check(&json!(1), &mut Budget::default()), vec![]);
    }

    fn is_too_much(schema: &Json, value: &Json) -> bool {
        check(schema, value) == [(String::new(), "is too large or too deep to be checked".to_owned())]
    }

    #[test]
    fn a_schema_without_end_is_an_answer() {
        assert!(is_too_much(&json!({ "allOf": [{ "$ref": "#" }] }), &json!(1)));
        assert!(is_too_much(&json!({ "not": { "$ref": "#" } }), &json!(1)));
        let mut branches = Map::new();
        for n in 0..60 {
            let next = json!({ "$ref": format!("#/$defs/{}", n + 1) });
            branches.insert(n.to_string(), json!({ "anyOf": [next, next] }));
        }
        branches.insert("60".to_owned(), json!(false));
        assert!(is_too_much(&json!({ "$ref": "#/$defs/0", "$defs": branches }), &json!(1)));
    }

    #[test]
    fn a_value_as_deep_as_a_body_fits_a_schema_that_references_itself() {
        let deep = (0..JSON_DEPTH - 1).fold(json!([]), |inner, _| json!([inner]));
        assert_eq!(
            check(
                &json!({ "$defs": { "a": { "type": "array", "items": { "$ref": "#/$defs/a" } } }, "$ref": "#/$defs/a" }),
                &deep
            ),
            vec![]
        );
        assert_eq!(check(&json!({ "anyOf": [{ "type": "array", "items": { "$ref": "#" } }] }), &deep), vec![]);
    }

    #[test]
    fn work_that_multiplies_is_bounded() {
        let many: Vec<Json> = (0..20_000).map(Json::from).collect();
        assert!(is_too_much(&json!({ "items": { "enum": many } }), &json!(many)));
        let text = "a".repeat(200_000);
        let patterns: Vec<Json> = (0..100).map(|n| json!({ "pattern": format!("b{n}(a|aa)*$") })).collect();
        assert!(is_too_much(&json!({ "anyOf": patterns }), &json!(text)));
        assert_eq!(check(&json!({ "pattern": "^(a+)+$" }), &json!(text)), vec![]);
    }

    #[test]
    fn complaints_are_as_many_as_an_answer_holds() {
        let many = vec![json!(1); 1_000];
        assert_eq!(check(&json!({ "items": { "type": "string" } }), &json!(many)).len(), COMPLAINTS);
        let long = json!({ "a".repeat(COMPLAINT_TEXT): many });
        assert_eq!(check(&json!({ "additionalProperties": { "items": false } }), &long).len(), 1);
        let nested = json!({ "items": { "anyOf": [{ "items": { "type": "string" } }, { "type": "string" }] } });
        assert_eq!(check(&nested, &json!([many, 5])).len(), COMPLAINTS);
    }
}
