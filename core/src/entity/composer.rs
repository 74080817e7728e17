//! What a composer sends: a source text and the nodes that its author meant in it (control plane, section 10.6). It is
//! checked whatever the type's schemas say.

use serde_json::value::RawValue;
use serde_json::{Map, Value as Json};

use super::schema::{Complaint, read};
use super::slash_command::is_name;
use crate::limits::COMPLAINTS;

/// What is wrong with the payload of a `composer_input`.
pub(super) fn check(payload: Option<&RawValue>) -> Vec<Complaint> {
    let payload = payload.and_then(|payload| read(payload.get()).ok());
    let Some(Json::Object(payload)) = payload else { return vec![(String::new(), "must be an object".to_owned())] };
    let mut found = Found(vec![]);
    let source = payload.get("source").and_then(Json::as_str);
    found.expect(source.is_some(), "/source", "must be a string");
    match payload.get("nodes") {
        None => {}
        Some(Json::Array(nodes)) => {
            if let Some(source) = source {
                check_nodes(&source.encode_utf16().collect::<Vec<_>>(), nodes, &mut found);
            }
        }
        Some(_) => found.expect(false, "/nodes", "must be an array"),
    }
    found.0
}

struct Found(Vec<Complaint>);

impl Found {
    fn expect(&mut self, holds: bool, path: &str, message: &str) {
        if !holds && self.0.len() < COMPLAINTS {
            self.0.push((path.to_owned(), message.to_owned()));
        }
    }
}

fn check_nodes(source: &[u16], nodes: &[Json], found: &mut Found) {
    let mut last_end = 0.0;
    for (i, node) in nodes.iter().enumerate() {
        let at = |member: &str| format!("/nodes/{i}{member}");
        let Json::Object(node) = node else {
            found.expect(false, &at(""), "must be an object");
            continue;
        };
        let text = |member: &str| node.get(member).and_then(Json::as_str);
        let kind = text("kind").unwrap_or("");
        found.expect(!kind.is_empty(), &at("/kind"), NON_EMPTY);
        let (start, end, raw) = (integer(node, "start"), integer(node, "end"), text("raw"));
        found.expect(start.is_some(), &at("/start"), "must be an integer");
        found.expect(end.is_some(), &at("/end"), "must be an integer");
        found.expect(raw.is_some(), &at("/raw"), "must be a string");
        if let (Some(start), Some(end)) = (start, end) {
            let (ordered, apart) = (end >= start, start >= last_end);
            found.expect(start >= 0.0, &at("/start"), "must be >= 0");
            found.expect(ordered, &at("/end"), "must be >= start");
            found.expect(end <= length(source), &at("/end"), "must be within source");
            found.expect(apart, &at("/start"), "must not overlap the previous node");
            if ordered && apart {
                last_end = end;
            }
            let said = raw.is_none_or(|raw| raw.encode_utf16().eq(slice(source, start, end).iter().copied()));
            found.expect(said, &at("/raw"), "must equal source.slice(start, end)");
        }
        let name = text("name").unwrap_or("");
        match kind {
            "slash_command" => {
                found.expect(is_name(name), &at("/name"), "must be a lowercase kebab-case command name");
            }
            "file" => found.expect(text("path").is_some_and(|p| !p.is_empty()), &at("/path"), "must be a string"),
            "symbol" | "branch" => found.expect(!name.is_empty(), &at("/name"), NON_EMPTY),
            _ => {}
        }
    }
}

fn integer(node: &Map<String, Json>, member: &str) -> Option<f64> {
    node.get(member)?.as_f64().filter(|n| n.fract() == 0.0)
}

/// JavaScript's `slice`: negative positions count from the end, and what lies outside is cut.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the length before")]
fn slice(source: &[u16], start: f64, end: f64) -> &[u16] {
    let place = |n: f64| (if n < 0.0 { length(source) + n } else { n }).clamp(0.0, length(source)) as usize;
    source.get(place(start)..place(end)).unwrap_or(&[])
}

#[allow(clippy::cast_precision_loss, reason = "no text is longer than 2^53")]
fn length(source: &[u16]) -> f64 {
    source.len() as f64
}

const NON_EMPTY: &str = "must be a non-empty string";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn every_rule_of_the_composer() {
        let source = "/goal 😀 @a";
        let node = |kind: &str, start: i64, end: i64, raw: &str| json!({ "kind": kind, "start": start, "end": end, "raw": raw });
        let with = |mut node: Json, name: &str, value: &str| {
            node[name] = value.into();
            node
        };
        let nodes = |nodes: Json| json!({ "source": source, "nodes": nodes });
        for (payload, want) in [
            (json!("x"), vec!["/: must be an object"]),
            (json!({}), vec!["/source: must be a string"]),
            (json!({ "source": 5, "nodes": [5] }), vec!["/source: must be a string"]),
            (json!({ "nodes": {} }), vec!["/source: must be a string", "/nodes: must be an array"]),
            (json!({ "source": "" }), vec![]),
            (nodes(json!([])), vec![]),
            (nodes(json!([5])), vec!["/nodes/0: must be an object"]),
            (
                nodes(json!([{}])),
                vec![
                    "/nodes/0/kind: must be a non-empty string",
                    "/nodes/0/start: must be an integer",
                    "/nodes/0/end: must be an integer",
                    "/nodes/0/raw: must be a string",
                ],
            ),
            (
                nodes(json!([with(node("slash_command", 0, 5, "/goal"), "name", "goal"), node("text", 6, 8, "😀")])),
                vec![],
            ),
            (
                nodes(json!([with(node("slash_command", 0, 5, "/goal"), "name", "Goal")])),
                vec!["/nodes/0/name: must be a lowercase kebab-case command name"],
            ),
            (nodes(json!([with(node("file", 9, 11, "@a"), "path", "a")])), vec![]),
            (nodes(json!([node("file", 9, 11, "@a")])), vec!["/nodes/0/path: must be a string"]),
            (nodes(json!([node("symbol", 9, 11, "@a")])), vec!["/nodes/0/name: must be a non-empty string"]),
            (nodes(json!([node("branch", 9, 11, "@a")])), vec!["/nodes/0/name: must be a non-empty string"]),
            (nodes(json!([node("else", 9, 11, "@b")])), vec!["/nodes/0/raw: must equal source.slice(start, end)"]),
            (
                nodes(json!([node("text", -2, 99, "@a")])),
                vec![
                    "/nodes/0/start: must be >= 0",
                    "/nodes/0/end: must be within source",
                    "/nodes/0/start: must not overlap the previous node",
                ],
            ),
            (nodes(json!([node("text", 5, 1, "")])), vec!["/nodes/0/end: must be >= start"]),
            (
                nodes(json!([node("text", 0, 5, "/goal"), node("text", 4, 6, "l "), node("text", 5, 6, " ")])),
                vec!["/nodes/1/start: must not overlap the previous node"],
            ),
        ] {
            let raw = RawValue::from_string(payload.to_string()).expect("JSON");
            let found: Vec<String> =
                check(Some(&raw)).iter().map(|(p, m)| format!("{}: {m}", if p.is_empty() { "/" } else { p })).collect();
            assert_eq!(found, want, "{payload}");
        }
        assert_eq!(check(None).len(), 1);
    }
}
