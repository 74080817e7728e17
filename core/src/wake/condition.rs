//! Conditions, normalised: two that mean the same are the same text (wake specification, sections 1.1 and 1.4).

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// When a registration matches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Condition {
    /// A run of the source has finished.
    RunFinished,
    /// A row of the source has changed.
    Change {
        /// Event types, sorted; empty is any.
        collections: Vec<String>,
        /// Kinds of change, sorted; empty is any.
        ops: Vec<Op>,
        /// What else a change must be. No client can ask for it; it comes from the catalogue of webhook sources.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        filter: Option<Filter>,
    },
}

/// What lets some changes through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// What it is called.
    pub key: String,
    /// JSON Schema of the event's `value`, as text.
    pub schema: String,
}

/// A kind of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    /// A row appeared.
    Insert,
    /// A row changed.
    Update,
    /// A row went.
    Delete,
}

impl Op {
    /// Its word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }

    /// Reads its word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Insert, Self::Update, Self::Delete].into_iter().find(|op| op.as_str() == word)
    }

    /// What an event's `operation` amounts to: an upsert, or none at all, is an insert.
    #[must_use]
    pub fn of(operation: Option<&str>) -> Self {
        operation.and_then(Self::parse).unwrap_or(Self::Insert)
    }
}

impl Condition {
    /// Reads the wire's form: `"runFinished"`, or `{"on":"change","collections"?,"ops"?}` with any other members.
    ///
    /// # Errors
    /// A complaint: the path of the member below the condition, and what is wrong.
    pub fn parse(json: &Json) -> Result<Self, (String, &'static str)> {
        let words = |name: &str| -> Result<Vec<String>, (String, &'static str)> {
            let Some(list) = json.get(name) else { return Ok(Vec::new()) };
            let list = list.as_array().ok_or_else(|| (format!("/{name}"), "must be array"))?;
            let word = |(i, word): (usize, &Json)| {
                word.as_str().map(str::to_owned).ok_or_else(|| (format!("/{name}/{i}"), "must be string"))
            };
            list.iter().enumerate().map(word).collect()
        };
        match (json.as_str(), json.get("on").and_then(Json::as_str)) {
            (Some("runFinished"), _) | (_, Some("runFinished")) => Ok(Self::RunFinished),
            (_, Some("change")) => {
                let mut collections = words("collections")?;
                let parse = |(i, word): (usize, String)| {
                    Op::parse(&word).ok_or_else(|| (format!("/ops/{i}"), "must be equal to constant"))
                };
                let mut ops = words("ops")?.into_iter().enumerate().map(parse).collect::<Result<Vec<_>, _>>()?;
                collections.sort();
                collections.dedup();
                ops.sort();
                ops.dedup();
                Ok(Self::Change { collections, ops, filter: None })
            }
            _ => Err((String::new(), "must match a schema in anyOf")),
        }
    }

    /// The form in which a client would ask for it; a filter by its name.
    #[must_use]
    pub fn wire(&self) -> Json {
        match self {
            Self::RunFinished => "runFinished".into(),
            Self::Change { collections, ops, filter } => {
                let mut wire = serde_json::json!({ "on": "change" });
                if !collections.is_empty() {
                    wire["collections"] = collections.as_slice().into();
                }
                if !ops.is_empty() {
                    wire["ops"] = ops.iter().map(|op| op.as_str()).collect::<Vec<_>>().into();
                }
                if let Some(filter) = filter {
                    wire["filter"] = filter.key.as_str().into();
                }
                wire
            }
        }
    }

    /// The condition behind a filter.
    #[must_use]
    pub fn filtered(mut self, by: Option<Filter>) -> Self {
        if let Self::Change { filter, .. } = &mut self {
            *filter = by;
        }
        self
    }

    /// The form in which it is stored and compared.
    pub(crate) fn json(&self) -> String {
        serde_json::to_string(self).expect("a condition serialises")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn two_spellings_are_one_condition() {
        let a = Condition::parse(
            &json!({ "on": "change", "collections": ["b", "a", "b"], "ops": ["update", "insert"], "debounceMs": 5 }),
        );
        let b = Condition::parse(&json!({ "ops": ["insert", "update"], "collections": ["a", "b"], "on": "change" }));
        assert_eq!(a, b);
        let stored = a.expect("valid").json();
        assert_eq!(serde_json::from_str::<Condition>(&stored).expect("parses"), b.expect("valid"));
    }

    #[test]
    fn what_is_not_a_condition_is_refused() {
        for (bad, path) in [
            (json!("whenever"), ""),
            (json!({}), ""),
            (json!({ "on": "change", "collections": "a" }), "/collections"),
            (json!({ "on": "change", "collections": [1] }), "/collections/0"),
            (json!({ "on": "change", "ops": ["upsert"] }), "/ops/0"),
        ] {
            assert_eq!(Condition::parse(&bad).expect_err("refused").0, path, "{bad}");
        }
    }
}
