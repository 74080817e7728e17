//! Admission: a schema is walked once, wherever a value may lead, so that nothing in it fails when it is used.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json};

use super::budget::{Budget, TooMuch};
use super::pattern::{COMPILING, Pattern};
use super::{read, resolve};

/// Why a schema is not admitted.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::entity) enum Unfit {
    /// It uses a keyword beyond the thirty.
    Keyword,
    /// A keyword cannot be used as it stands.
    Unusable {
        /// Where it stands, as a JSON pointer.
        at: String,
        why: String,
    },
}

/// Admits the text of a schema. A foreign keyword is found before anything else.
pub(in crate::entity) fn admit(text: &str, budget: &mut Budget) -> Result<(), Unfit> {
    let root = read(text).map_err(|e| Unfit::Unusable { at: "#".to_owned(), why: format!("is unreadable: {e}") })?;
    let (seen, targets) = (BTreeSet::new(), vec![]);
    let mut walk = Walk { root: &root, budget, base: "#", path: vec![], seen, targets, unusable: None };
    walk.schema(&root)?;
    while let Some((reference, target)) = walk.targets.pop() {
        walk.base = reference;
        walk.schema(target)?;
    }
    match walk.unusable {
        Some((at, why)) => Err(Unfit::Unusable { at, why }),
        None => Ok(()),
    }
}

struct Walk<'a> {
    root: &'a Json,
    budget: &'a mut Budget,
    /// The reference that led here, and the way from there.
    base: &'a str,
    path: Vec<&'a str>,
    /// Schemas that were walked, by their address.
    seen: BTreeSet<*const Json>,
    /// What references lead to. It is walked after the rest, so that a chain of them is no deep recursion.
    targets: Vec<(&'a str, &'a Json)>,
    unusable: Option<(String, String)>,
}

impl<'a> Walk<'a> {
    fn schema(&mut self, schema: &'a Json) -> Result<(), Unfit> {
        if !self.seen.insert(std::ptr::from_ref(schema)) {
            return Ok(());
        }
        match schema {
            Json::Bool(_) => {}
            Json::Object(rules) => {
                for (keyword, rule) in rules {
                    self.path.push(keyword);
                    self.keyword(keyword, rule, rules)?;
                    self.path.pop();
                }
            }
            _ => self.unusable("must be a schema"),
        }
        Ok(())
    }

    fn keyword(&mut self, keyword: &str, rule: &'a Json, beside: &Map<String, Json>) -> Result<(), Unfit> {
        match keyword {
            "type" => self.expect(is_type(rule), "must name types"),
            "nullable" if !rule.is_boolean() => self.unusable("must be boolean"),
            "nullable" => self.expect(beside.contains_key("type"), "must stand beside a `type`"),
            "properties" | "$defs" | "definitions" => self.map(rule)?,
            "items" if rule.is_array() => self.list(rule)?,
            "items" | "additionalProperties" | "not" => self.schema(rule)?,
            "anyOf" | "oneOf" | "allOf" => self.list(rule)?,
            "$ref" => self.reference(rule)?,
            "required" => {
                let names = rule.as_array().is_some_and(|all| all.iter().all(Json::is_string));
                self.expect(names, "must be an array of strings");
            }
            "enum" => self.expect(rule.as_array().is_some_and(|all| !all.is_empty()), "must be an array of values"),
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => {
                self.expect(rule.is_number(), "must be number");
            }
            "minLength" | "maxLength" | "minItems" | "maxItems" => {
                self.expect(is_count(rule), "must be a whole number")
            }
            "pattern" => self.pattern(rule)?,
            "const" | "default" | "title" | "description" | "format" | "$schema" | "$id" => {}
            _ => return Err(Unfit::Keyword),
        }
        Ok(())
    }

    fn map(&mut self, rule: &'a Json) -> Result<(), Unfit> {
        let Some(schemas) = rule.as_object() else {
            self.unusable("must be an object of schemas");
            return Ok(());
        };
        for (name, schema) in schemas {
            self.path.push(name);
            self.schema(schema)?;
            self.path.pop();
        }
        Ok(())
    }

    fn list(&mut self, rule: &'a Json) -> Result<(), Unfit> {
        let Some(schemas) = rule.as_array().filter(|all| !all.is_empty()) else {
            self.unusable("must be an array of schemas");
            return Ok(());
        };
        schemas.iter().try_for_each(|schema| self.schema(schema))
    }

    fn pattern(&mut self, rule: &Json) -> Result<(), Unfit> {
        self.budget.spend(COMPILING)?;
        match rule.as_str().map(Pattern::compile) {
            Some(Ok(_)) => {}
            Some(Err(e)) => self.unusable(&format!("must be a regular expression without look-around: {e}")),
            None => self.unusable("must be string"),
        }
        Ok(())
    }

    fn reference(&mut self, rule: &'a Json) -> Result<(), Unfit> {
        let reference = rule.as_str().unwrap_or("");
        let target = self.target(reference)?;
        match target {
            Some(target) => self.targets.push((reference, target)),
            None => self.unusable("must lead to a schema within this schema"),
        }
        let mut next = target;
        for _ in 0..CHAIN {
            next = match next.and_then(|schema| schema.get("$ref")?.as_str()) {
                Some(reference) => self.target(reference)?,
                None => return Ok(()),
            };
        }
        self.unusable("must lead somewhere: it leads from reference to reference");
        Ok(())
    }

    fn target(&mut self, reference: &str) -> Result<Option<&'a Json>, Unfit> {
        self.budget.spend(1 + reference.len() / 8)?;
        Ok(resolve(self.root, reference))
    }

    fn expect(&mut self, holds: bool, why: &str) {
        if !holds {
            self.unusable(why);
        }
    }

    /// Remembers the first thing that is wrong.
    fn unusable(&mut self, why: &str) {
        if self.unusable.is_none() {
            let mut at = self.base.to_owned();
            for name in &self.path {
                at.push('/');
                at.push_str(&crate::http::escape(name));
            }
            self.unusable = Some((at, why.to_owned()));
        }
    }
}

impl From<TooMuch> for Unfit {
    fn from(_: TooMuch) -> Self {
        Self::Unusable { at: "#".to_owned(), why: "has more patterns and references than are compiled".to_owned() }
    }
}

fn is_type(rule: &Json) -> bool {
    let known = |name: &Json| name.as_str().is_some_and(|name| TYPES.contains(&name));
    rule.as_array().map_or_else(|| known(rule), |names| !names.is_empty() && names.iter().all(known))
}

fn is_count(rule: &Json) -> bool {
    rule.as_f64().is_some_and(|n| n >= 0.0 && n.fract() == 0.0)
}

const TYPES: [&str; 7] = ["string", "number", "integer", "boolean", "array", "object", "null"];

/// How many references may lead straight to one another.
const CHAIN: usize = 32;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn admitted(schema: &Json) -> Result<(), Unfit> {
        admit(&schema.to_string(), &mut Budget::default())
    }

    #[test]
    fn the_thirty_keywords_are_admitted() {
        let schema = json!({
            "$schema": "http://json-schema.org/draft-04/schema#", "$id": "same", "title": 1, "description": "d",
            "default": { "if": 1 }, "format": "anything",
            "type": ["object", "null"], "nullable": true, "required": ["a"], "additionalProperties": { "not": {} },
            "enum": [{ "if": 1 }], "const": { "if": 1 },
            "properties": {
                "if": { "$ref": "#/definitions/n" },
                "s": { "type": "string", "minLength": 1, "maxLength": 2.0, "pattern": r"^[a-z]\/\d{1,3}$" },
                "a": { "items": [true, { "minItems": 0, "maxItems": 1 }] },
                "t": { "type": "array", "items": { "$ref": "#" } },
            },
            "definitions": { "n": { "minimum": 0, "maximum": 1, "exclusiveMinimum": 0.5, "exclusiveMaximum": -1 } },
            "$defs": { "b": false },
            "anyOf": [{}], "oneOf": [{ "$ref": "#/$defs/b" }], "allOf": [true],
        });
        assert_eq!(admitted(&schema), Ok(()));
    }

    #[test]
    fn a_foreign_keyword_is_found_wherever_it_hides() {
        for schema in [
            json!({ "if": {} }),
            json!({ "properties": { "a": { "anyOf": [{ "contains": {} }] } } }),
            json!({ "not": { "minProperties": 1 } }),
            json!({ "additionalProperties": { "uniqueItems": true } }),
            json!({ "items": [{ "multipleOf": 2 }] }),
            json!({ "$defs": { "a": { "patternProperties": {} } } }),
            json!({ "default": { "then": {} }, "$ref": "#/default" }),
            json!({ "type": "nonsense", "$ref": "#/nowhere", "definitions": { "a": { "$anchor": "a" } } }),
        ] {
            assert_eq!(admitted(&schema), Err(Unfit::Keyword), "{schema}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_said_with_its_place() {
        let spin = json!({ "$defs": { "a": { "$ref": "#/$defs/b" }, "b": { "$ref": "#/$defs/a" } } });
        for (schema, at) in [
            (json!({ "type": "foo" }), "#/type"),
            (json!({ "type": [] }), "#/type"),
            (json!({ "type": ["string", 5] }), "#/type"),
            (json!({ "properties": { "a/b": { "type": "foo" } } }), "#/properties/a~1b/type"),
            (json!({ "properties": 5 }), "#/properties"),
            (json!({ "properties": { "a": 5 } }), "#/properties/a"),
            (json!({ "required": "x" }), "#/required"),
            (json!({ "required": [5] }), "#/required"),
            (json!({ "enum": 5 }), "#/enum"),
            (json!({ "enum": [] }), "#/enum"),
            (json!({ "minimum": "5" }), "#/minimum"),
            (json!({ "exclusiveMaximum": true }), "#/exclusiveMaximum"),
            (json!({ "maxLength": -1 }), "#/maxLength"),
            (json!({ "minItems": 1.5 }), "#/minItems"),
            (json!({ "nullable": true }), "#/nullable"),
            (json!({ "type": "string", "nullable": "yes" }), "#/nullable"),
            (json!({ "pattern": "(" }), "#/pattern"),
            (json!({ "pattern": "(?=a)" }), "#/pattern"),
            (json!({ "pattern": "((a{1000}){1000}){1000}" }), "#/pattern"),
            (json!({ "pattern": 5 }), "#/pattern"),
            (json!({ "items": [] }), "#/items"),
            (json!({ "anyOf": {} }), "#/anyOf"),
            (json!({ "allOf": [] }), "#/allOf"),
            (json!({ "oneOf": [5] }), "#/oneOf"),
            (json!({ "not": "x" }), "#/not"),
            (json!({ "additionalProperties": [] }), "#/additionalProperties"),
            (json!({ "$ref": "#/nowhere" }), "#/$ref"),
            (json!({ "$ref": "http://example.com/schema" }), "#/$ref"),
            (json!({ "$ref": 5 }), "#/$ref"),
            (json!({ "$ref": "#" }), "#/$ref"),
            (spin, "#/$defs/a/$ref"),
            (json!({ "const": { "type": "foo" }, "$ref": "#/const" }), "#/const/type"),
        ] {
            match admitted(&schema) {
                Err(Unfit::Unusable { at: found, .. }) => assert_eq!(found, at, "{schema}"),
                other => panic!("{schema}: {other:?}"),
            }
        }
        assert!(admit("5e999", &mut Budget::default()).is_err());
    }

    #[test]
    fn what_is_compiled_is_bounded() {
        let patterns: Vec<Json> = (0..5_000).map(|n| json!({ "pattern": format!("^{n}$") })).collect();
        let loops: Vec<Json> = (0..5_000).map(|_| json!({ "$ref": "#/$defs/a" })).collect();
        let far = format!("#/$defs/{}", "b".repeat(100_000));
        for schema in [json!({ "anyOf": patterns }), json!({ "$defs": { "a": { "$ref": far } }, "anyOf": loops })] {
            assert!(matches!(admitted(&schema), Err(Unfit::Unusable { at, .. }) if at == "#"));
        }
    }

    #[test]
    fn a_long_chain_of_definitions_is_no_deep_recursion() {
        let mut definitions = Map::new();
        for n in 0..5_000 {
            let next = format!("#/$defs/{}", n + 1);
            definitions.insert(n.to_string(), json!({ "properties": { "a": { "$ref": next } } }));
        }
        definitions.insert("5000".to_owned(), json!({}));
        assert_eq!(admitted(&json!({ "$ref": "#/$defs/0", "$defs": definitions })), Ok(()));
    }
}
