//! A command that fails at any of its statements has done nothing, and done again it does everything.

use serde_json::{Value as Json, json};

use super::world::{Got, World};

/// What is asked, by whom, and what it takes and gives.
struct Step {
    method: &'static str,
    path: &'static str,
    by: &'static str,
    body: Json,
    status: u16,
}

const ALICE: &str = "user:alice";

/// Asks until no statement fails: one more of them succeeds each time. Gives the last answer, and how often it failed.
fn at_every_statement(w: &mut World, step: &Step) -> (Got, usize) {
    let before = w.engine.sql().dump();
    for n in 0.. {
        w.engine.sql().fail_after.set(Some(n));
        let got = w.ask(step.method, step.path, &[("electric-principal", step.by)], &step.body);
        let reached = w.engine.sql().fail_after.take().is_none();
        if !reached {
            return (got, n);
        }
        assert_eq!(got.status, 503, "{} {} at statement {n}: {}", step.method, step.path, got.body);
        assert_eq!(w.engine.sql().changed_since(&before), [""; 0], "{} {} at statement {n}", step.method, step.path);
        assert!(w.fetches.is_empty(), "{} {} at statement {n}", step.method, step.path);
    }
    unreachable!("it ends")
}

#[test]
fn a_command_that_fails_at_any_statement_leaves_nothing_and_can_be_repeated() {
    let mut w = World::new();
    let policy = json!({ "targets": [{ "type": "webhook", "url": "https://agent.test/t", "subscription_id": "t" }] });
    let read = json!({ "subject_kind": "principal", "subject_value": "/principal/user%3Abob", "permission": "read", "propagation": "descendants" });
    let wake = |url: &str| json!({ "subscriberUrl": url, "condition": "runFinished" });
    let step = |method, path, body, status| Step { method, path, by: ALICE, body, status };
    let all = json!({ "subject_kind": "principal_kind", "subject_value": "user", "permission": "manage" });
    let kind =
        json!({ "name": "t", "description": "d", "default_dispatch_policy": policy, "permission_grants": [all] });
    let cron = json!({ "scheduleType": "cron", "expression": "0 0 1 1 *", "payload": 1 });
    let steps = [
        // The first thing that she does makes her, too.
        step("POST", "/_electric/entity-types", kind.clone(), 201),
        step("GET", "/_electric/entities/principal/user:alice", Json::Null, 200),
        step("POST", "/_electric/entity-types", kind, 201),
        step("PATCH", "/_electric/entity-types/t/schemas", json!({ "inbox_schemas": { "a": {} } }), 200),
        step("PUT", "/_electric/entities/t/a", json!({ "tags": { "k": "v" }, "grants": [read], "args": {} }), 201),
        step(
            "PUT",
            "/_electric/entities/t/b",
            json!({ "parent": "/t/a", "wake": wake("/t/a"), "initialMessage": 1 }),
            201,
        ),
        step("POST", "/_electric/entities/t/a/grants", read.clone(), 201),
        step("PUT", "/_electric/entities/t/a/schedules/s", cron, 200),
        step("POST", "/_electric/entities/t/a/tags/x", json!({ "value": "y" }), 200),
        step("POST", "/_electric/entities/t/a/send", json!({ "payload": 1, "afterMs": 9 }), 204),
        step("POST", "/_electric/entities/t/a/fork", json!({ "instance_id": "c" }), 201),
        step("POST", "/_electric/entities/t/a/signal", json!({ "signal": "SIGSTOP" }), 200),
        step("DELETE", "/_electric/entities/t/a", Json::Null, 200),
    ];
    for step in &steps {
        w.fetches.clear();
        let (got, failed) = at_every_statement(&mut w, step);
        assert_eq!(got.status, step.status, "{} {}: {}", step.method, step.path, got.body);
        assert!(failed > 2, "{} {} failed {failed} times", step.method, step.path);
    }
    // What was tried so often was done once.
    assert_eq!(w.events("/principal/user%3Aalice", "identity").len(), 1);
    assert_eq!(w.events("/principal/user%3Aalice", "entity_created").len(), 1);
    assert_eq!(w.get("/_electric/entity-types/t").json()["revision"], 3);
    assert_eq!(w.events("/t/b", "inbox").len(), 1);
    assert_eq!(w.events("/t/a", "signal").len(), 2);
    assert_eq!(w.get("/_electric/entities/t/a/grants").json()["grants"].as_array().map(Vec::len), Some(2));
    assert_eq!((w.status("/t/a"), w.status("/t/c")), ("killed".to_owned(), "idle".to_owned()));
}
