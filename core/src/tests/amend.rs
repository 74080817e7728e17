//! Amendments of types: they cannot make one grow without bound, and two that come together are both kept.

use serde_json::{Value as Json, json};

use super::world::{Got, World};

fn amend(w: &mut World, body: &Json) -> Got {
    w.ask("PATCH", "/_electric/entity-types/t/schemas", &[], body)
}

#[test]
fn a_type_that_would_be_too_long_stays_as_it_was() {
    let mut w = World::new();
    w.webhook_type("t");
    let long = |key: &str| json!({ "inbox_schemas": { key: { "description": "x".repeat(700_000) } } });
    assert_eq!(amend(&mut w, &long("a")).status, 200);
    let before = w.get("/_electric/entity-types/t").body;
    let refused = amend(&mut w, &long("b"));
    assert_eq!((refused.status, refused.code().as_str()), (409, "LIMIT_EXCEEDED"), "{}", refused.body);
    assert_eq!(w.get("/_electric/entity-types/t").body, before);
    assert_eq!(amend(&mut w, &json!({ "inbox_schemas": { "c": {} } })).status, 200);
}

#[test]
fn amendments_that_come_together_are_both_kept() {
    let mut w = World::new();
    w.webhook_type("t");
    let one = |key: &str| {
        let body = json!({ "state_schemas": { key: {} } }).to_string();
        World::command("PATCH", "/_electric/entity-types/t/schemas", &[], &body)
    };
    w.batch(vec![one("a"), one("b"), one("c")]);
    let shown = w.get("/_electric/entity-types/t").json();
    assert_eq!((&shown["state_schemas"], &shown["revision"]), (&json!({ "a": {}, "b": {}, "c": {} }), &json!(4)));
}
