//! Grants that end: while the database does not take it, or before they begin.

use serde_json::{Value as Json, json};

use super::world::World;
use crate::{Command, Span};

const ALICE: [(&str, &str); 1] = [("electric-principal", "user:alice")];
const BOB: [(&str, &str); 1] = [("electric-principal", "user:bob")];

/// What alice and bob are answered of her entity, and of one below it.
fn answers(w: &mut World) -> Vec<(u16, u16)> {
    let (send, tag) = (json!({ "payload": 1 }), json!({ "value": "v" }));
    [
        ("GET", "/_electric/entities/t/e", &Json::Null),
        ("GET", "/t/below/main?offset=-1", &Json::Null),
        ("POST", "/_electric/entities/t/e/send", &send),
        ("POST", "/_electric/entities/t/below/tags/k", &tag),
    ]
    .map(|(method, path, body)| (w.ask(method, path, &ALICE, body).status, w.ask(method, path, &BOB, body).status))
    .to_vec()
}

/// Each request swept what had ended, and failed when that failed.
#[test]
fn a_grant_that_cannot_be_swept_has_ended_all_the_same_and_fails_nobody() {
    for stuck in ["UPDATE entity_grant SET ended", "DELETE FROM effective", "DELETE FROM entity_grant"] {
        let mut w = World::new();
        w.webhook_type("t");
        let to_bob = json!({ "subject_kind": "principal", "subject_value": "/principal/user%3Abob", "permission": "manage",
            "propagation": "descendants", "expires_at": (w.now + Span::secs(1)).iso() });
        assert_eq!(w.ask("PUT", "/_electric/entities/t/e", &ALICE, &json!({ "grants": [to_bob] })).status, 201);
        assert_eq!(w.ask("PUT", "/_electric/entities/t/below", &ALICE, &json!({ "parent": "/t/e" })).status, 201);
        assert_eq!(answers(&mut w), [(200, 200); 4]);

        *w.engine.sql().refuse_on.borrow_mut() = Some(stuck);
        w.now = w.now + Span::secs(1);
        for when in ["before it is swept", "when that has failed"] {
            assert_eq!(answers(&mut w), [(200, 401); 4], "{stuck}: {when}");
            assert_eq!(w.ask("GET", "/_electric/entities?type=t", &BOB, &Json::Null).body, "[]", "{stuck}: {when}");
            w.batch(vec![Command::Tick { budget: 16 }]);
        }

        *w.engine.sql().refuse_on.borrow_mut() = None;
        w.pass(Span::secs(120));
        for table in ["entity_grant", "effective"] {
            assert_eq!(w.engine.sql().number(&format!("SELECT count(*) FROM {table}")), 0, "{stuck}: {table}");
        }
    }
}

#[test]
fn who_was_given_a_grant_that_was_over_is_not_told_that_they_lost_something() {
    let mut w = World::new();
    w.webhook_type("t");
    let read = |w: &mut World, from: &str| {
        let path = format!("/_electric/electric/v1/shape?table=entities&{from}");
        let got = w.ask("GET", &path, &[("electric-principal", "user:bob")], &Json::Null);
        (format!("handle={}&offset={}", got.header("electric-handle"), got.header("electric-offset")), got.body)
    };
    let (at, _) = read(&mut w, "offset=-1");
    assert_eq!(w.put("/_electric/entities/t/a", &json!({})).status, 201);
    let over = json!({ "subject_kind": "principal_kind", "subject_value": "user", "permission": "read", "expires_at": w.now.iso() });
    assert_eq!(w.post("/_electric/entities/t/a/grants", &over).status, 201);
    let (at, told) = read(&mut w, &at);
    assert!(!told.contains("/t/a"), "{told}");
    assert_eq!(w.post("/_electric/entities/t/a/tags/k", &json!({ "value": "v" })).status, 200);
    let (_, told) = read(&mut w, &at);
    assert!(!told.contains("/t/a"), "{told}");
}
