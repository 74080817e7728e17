//! Our checker against the `jsonschema` crate: generated schemas and values, valid by both or by neither. Draft 2019-09
//! stands in for AJV's draft 7, since it too looks at the keywords beside a `$ref`.

use jsonschema::Draft;
use serde_json::{Map, Value as Json, json};

use super::{Budget, Schema, admit};
use crate::Entropy;
use crate::entropy::Draw;

#[test]
fn the_oracle_agrees() {
    let (mut valid, mut invalid) = (0, 0);
    for seed in 0..400 {
        let dice = Dice(Entropy::new([7; 32]).part("dice", seed).draw());
        let schema = dice.root();
        assert_eq!(admit(&schema.to_string(), &mut Budget::default()), Ok(()), "seed {seed}: {schema}");
        let oracle = jsonschema::options().with_draft(Draft::Draft201909).build(&schema).expect("a schema");
        let mut ours = Schema::of(&schema.to_string());
        for _ in 0..10 {
            let value = dice.value(3);
            let (complaints, fits) = (ours.check(&value, &mut Budget::default()), oracle.is_valid(&value));
            assert_eq!(complaints.is_empty(), fits, "seed {seed}: {schema} {value} {complaints:?}");
            *if fits { &mut valid } else { &mut invalid } += 1;
        }
    }
    assert!(valid > 800 && invalid > 800, "the dice are loaded: {valid} valid, {invalid} invalid");
}

/// Schemas and values by chance. Few names and small numbers, so that they meet.
struct Dice(Draw);

impl Dice {
    fn below(&self, n: usize) -> usize {
        usize::try_from(self.0.below(n as u64)).expect("small")
    }

    fn one<T: Copy>(&self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    fn some<T>(&self, most: usize, one: impl Fn() -> T) -> Vec<T> {
        (0..=self.below(most)).map(|_| one()).collect()
    }

    /// What a reference leads back to itself by is always further down in the value.
    fn root(&self) -> Json {
        let mut root = self.rules(3);
        let tree = json!({ "items": { "$ref": "#" }, "additionalProperties": { "$ref": "#/$defs/tree" } });
        root.insert("$defs".to_owned(), json!({ "leaf": self.rules(0), "tree": tree }));
        Json::Object(root)
    }

    fn schema(&self, depth: usize) -> Json {
        match self.below(16) {
            0 => json!(true),
            1 => json!(false),
            2 => json!({ "$ref": "#/$defs/leaf" }),
            3 => json!({ "$ref": "#/$defs/tree" }),
            _ => Json::Object(self.rules(depth)),
        }
    }

    fn rules(&self, depth: usize) -> Map<String, Json> {
        let rule = || if depth > 0 && self.below(3) > 0 { self.branch(depth - 1) } else { self.leaf() };
        self.some(3, rule).into_iter().map(|(keyword, rule)| (keyword.to_owned(), rule)).collect()
    }

    fn leaf(&self) -> (&'static str, Json) {
        const KINDS: [&str; 7] = ["string", "number", "integer", "boolean", "array", "object", "null"];
        const PATTERNS: [&str; 4] = ["^a", "b$", "^[a-c]{1,2}$", "(a|bb)+"];
        match self.below(10) {
            0 => ("type", json!(self.one(&KINDS))),
            1 => {
                let first = self.below(4);
                ("type", json!(KINDS[first..first + 2 + self.below(2)]))
            }
            2 => ("enum", Json::Array(self.some(4, || self.value(1)))),
            3 => ("const", self.value(1)),
            4 => (self.one(&["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"]), self.number()),
            5 => (self.one(&["minLength", "minItems"]), json!(self.below(3))),
            6 => (self.one(&["maxLength", "maxItems"]), json!(self.below(4))),
            7 => ("pattern", json!(self.one(&PATTERNS))),
            8 => ("required", json!(self.some(1, || self.name()))),
            _ => ("format", json!("email")),
        }
    }

    fn branch(&self, depth: usize) -> (&'static str, Json) {
        match self.below(8) {
            0 | 1 => {
                ("properties", self.some(2, || (self.name().to_owned(), self.schema(depth))).into_iter().collect())
            }
            2 => ("additionalProperties", self.schema(depth)),
            3 => ("items", self.schema(depth)),
            4 => ("items", Json::Array(self.some(2, || self.schema(depth)))),
            5 => ("not", self.schema(depth)),
            _ => (self.one(&["anyOf", "oneOf", "allOf"]), Json::Array(self.some(2, || self.schema(depth)))),
        }
    }

    fn value(&self, depth: usize) -> Json {
        match self.below(if depth == 0 { 6 } else { 10 }) {
            0 => Json::Null,
            1 => json!(self.below(2) == 0),
            2 | 3 => self.number(),
            4 | 5 => json!(self.one(&["", "a", "b", "ab", "bbb", "é😀"])),
            6 | 7 => Json::Array((0..self.below(4)).map(|_| self.value(depth - 1)).collect()),
            _ => (0..self.below(4)).map(|_| (self.name().to_owned(), self.value(depth - 1))).collect(),
        }
    }

    fn number(&self) -> Json {
        match self.below(3) {
            0 => json!(self.below(5)),
            1 => json!(f64::from(u8::try_from(self.below(9)).expect("small")) / 2.0),
            _ => json!(-1),
        }
    }

    fn name(&self) -> &'static str {
        self.one(&["a", "b", "c/~"])
    }
}
