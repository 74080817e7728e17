//! The laws, each by what would break it.

use serde_json::json;

use super::world::{World, got};
use crate::Span;

#[cfg(feature = "suite")]
#[test]
fn the_drivers_rules_hold_for_the_tests_own_driver() {
    // It does not count index entries, which is the one rule that only hosts need.
    let error = crate::store::suite::run(super::driver::Memory::new).expect_err("all but one");
    assert!(error.starts_with("rows written"), "{error}");
}

#[test]
fn law_2_a_refused_spawn_leaves_nothing_at_whatever_step_it_is_refused() {
    let mut w = World::new();
    w.webhook_type("horton");
    w.ask("PUT", "/_electric/entities/horton/alices", &[("electric-principal", "user:alice")], &json!({}));
    w.put("/_electric/entities/horton/taken", &json!({}));
    let before = w.engine.sql().dump();
    let wake = |subscriber: &str| json!({ "subscriberUrl": subscriber, "condition": "runFinished" });
    let read = json!({ "subject_kind": "principal_kind", "subject_value": "user", "permission": "read" });
    for (path, body, status) in [
        ("principal/user:x", json!({}), 400),
        ("nothing/a", json!({}), 404),
        ("horton/b", json!({ "tags": { "a": 1 } }), 400),
        ("horton/b", json!({ "parent": "/horton/none" }), 404),
        ("horton/b", json!({ "parent": "/horton/alices" }), 401),
        ("horton/b", json!({ "dispatch_policy": { "targets": [{ "type": "runner", "runnerId": "none" }] } }), 404),
        ("horton/b", json!({ "dispatch_policy": { "targets": [{ "type": "webhook", "url": "not a url" }] } }), 400),
        ("horton/b", json!({ "wake": wake("/horton/none"), "initialMessage": 1 }), 404),
        ("horton/b", json!({ "wake": wake("/horton/alices"), "initialMessage": 1 }), 401),
        ("horton/b", json!({ "grants": [read], "wake": wake("/horton/none") }), 404),
        ("horton/b", json!({ "grants": [read], "dispatch_policy": { "targets": [] } }), 400),
        ("horton/b", json!({ "grants": [{ "subject_kind": "principal" }] }), 400),
        ("horton/taken", json!({ "initialMessage": 1 }), 409),
        ("horton/taken", json!({ "grants": [read], "tags": { "a": "b" } }), 409),
    ] {
        let by = [("electric-principal", "user:bob")];
        let got = w.ask("PUT", &format!("/_electric/entities/{path}"), &by, &body);
        assert_eq!(got.status, status, "{path} {body}: {}", got.body);
        let changed = w.engine.sql().changed_since(&before);
        // An id that was drawn is not drawn again.
        assert!(changed.iter().all(|table| table == "clock"), "{path} {body}: {changed:?}");
        assert!(w.fetches.is_empty());
    }
}

#[test]
fn a_panic_harms_nobody_else_in_its_batch() {
    let mut w = World::new();
    w.webhook_type("horton");
    let spawn = |id: &str| World::command("PUT", &format!("/_electric/entities/horton/{id}"), &[], "{}");
    let before = w.engine.sql().number("SELECT count(*) FROM timer");
    let turns =
        w.batch(vec![spawn("a"), World::command("POST", "/_reveille/dev/panic", &[], ""), spawn("b"), spawn("a")]);
    let statuses: Vec<u16> = turns.into_iter().map(|t| got(t).status).collect();
    assert_eq!(statuses, [201, 500, 201, 409]);
    assert_eq!(w.engine.counts().panics, 1);
    assert_eq!(w.engine.sql().number("SELECT count(*) FROM timer"), before, "what it wrote before it panicked is gone");
}

#[test]
fn a_commit_that_fails_takes_back_every_answer_of_its_batch() {
    let mut w = World::new();
    w.webhook_type("horton");
    let commands = || {
        ["a", "b"]
            .map(|id| {
                World::command("PUT", &format!("/_electric/entities/horton/{id}"), &[], r#"{"initialMessage":1}"#)
            })
            .to_vec_of()
    };
    w.engine.sql().fail_commit.set(true);
    for turn in w.batch(commands()) {
        let got = got(turn);
        assert_eq!((got.status, got.header("retry-after")), (503, "1"));
    }
    assert!(w.fetches.is_empty(), "no effect without its commit");
    let again: Vec<u16> = w.batch(commands()).into_iter().map(|t| got(t).status).collect();
    assert_eq!(again, [201, 201]);
    assert_eq!(w.fetches.len(), 2);
}

#[test]
fn a_disk_that_fills_in_the_middle_answers_503_and_runs_the_rest() {
    let mut w = World::new();
    w.webhook_type("horton");
    let spawn = |id: &str| World::command("PUT", &format!("/_electric/entities/horton/{id}"), &[], "{}");
    *w.engine.sql().fail_on.borrow_mut() = Some("INSERT INTO entity ");
    let statuses: Vec<u16> =
        w.batch(vec![spawn("a"), spawn("b"), spawn("c")]).into_iter().map(|t| got(t).status).collect();
    assert_eq!(statuses, [503, 201, 201]);
    let listed = w.get("/_electric/entities?type=horton").json();
    assert_eq!(listed.as_array().map(Vec::len), Some(2));
}

#[test]
fn a_timer_that_panics_stops_no_other_and_ends_as_dead() {
    let mut w = World::new();
    w.webhook_type("horton");
    w.put("/_electric/entities/horton/a", &json!({}));
    w.post("/_reveille/dev/timer", &json!({ "in_ms": 10, "panic": true }));
    w.post("/_electric/entities/horton/a/send", &json!({ "payload": 1, "afterMs": 10 }));
    w.pass(Span::secs(1));
    assert_eq!(w.events("/horton/a", "inbox").len(), 1);
    assert_eq!(w.engine.dead_timers().expect("readable"), 0);
    w.pass(Span::secs(3600));
    assert_eq!(w.engine.dead_timers().expect("readable"), 1);
    assert_eq!(w.engine.counts().timer_failures, 10);
}

#[test]
fn law_4_two_updates_of_one_row_wake_twice() {
    let mut w = World::new();
    w.webhook_type("horton");
    w.put("/_electric/entities/horton/a", &json!({}));
    w.ask("PUT", "/plain", &[("content-type", "application/json")], &json!(null));
    w.post(
        "/_electric/wake",
        &json!({ "subscriberUrl": "/horton/a", "sourceUrl": "/plain", "condition": { "on": "change" } }),
    );
    let event = json!({ "type": "row", "key": "k", "value": {}, "headers": { "operation": "update" } });
    for _ in 0..2 {
        assert_eq!(w.ask("POST", "/plain", &[("content-type", "application/json")], &event).status, 204);
    }
    let keys: Vec<_> = w.events("/horton/a", "wake").iter().map(|e| e["key"].to_string()).collect();
    assert_eq!(keys.len(), 2);
    assert_ne!(keys[0], keys[1]);
}

#[test]
fn law_3_an_entity_is_not_woken_by_itself() {
    let mut w = World::new();
    w.webhook_type("horton");
    w.put("/_electric/entities/horton/a", &json!({ "initialMessage": 1 }));
    w.post(
        "/_electric/wake",
        &json!({ "subscriberUrl": "/horton/a", "sourceUrl": "/horton/a", "condition": { "on": "change" } }),
    );
    let (_, token) = w.claim();
    let event = json!([{ "type": "note", "key": "k", "value": {}, "headers": { "operation": "insert" } }]);
    assert_eq!(w.append("/horton/a", &token, &event).status, 204);
    assert!(w.events("/horton/a", "wake").is_empty());
}

#[test]
fn a_webhook_waits_for_a_free_slot_and_none_is_lost() {
    let mut w = World::new();
    w.webhook_type("horton");
    for i in 0..100 {
        w.put(&format!("/_electric/entities/horton/e{i}"), &json!({ "initialMessage": i }));
    }
    assert_eq!(w.fetches.len(), 64, "as many as may be in flight");
    assert!(w.deadline > Some(w.now), "what waits for a slot is not due");
    let mut delivered = 0;
    while !w.fetches.is_empty() {
        w.answer(200, &json!({ "done": true }));
        delivered += 1;
    }
    assert_eq!(delivered, 100);
}

#[test]
fn rows_written_stay_within_the_budget_of_the_tests_driver() {
    let mut w = World::new();
    w.webhook_type("horton");
    let cost = |w: &mut World, method: &str, path: &str, body: &str| {
        w.batch(vec![World::command(method, path, &[], body)]).remove(0).cost
    };
    cost(&mut w, "PUT", "/_electric/entities/horton/first", "{}");
    let spawn = cost(&mut w, "PUT", "/_electric/entities/horton/a", "{}");
    let send = cost(&mut w, "POST", "/_electric/entities/horton/a/send", r#"{"payload":1}"#);
    assert_eq!((spawn.rows, send.rows), (6, 3), "table rows alone");
}

trait ToVecOf<T> {
    fn to_vec_of(self) -> Vec<T>;
}

impl<T, const N: usize> ToVecOf<T> for [T; N] {
    fn to_vec_of(self) -> Vec<T> {
        self.into_iter().collect()
    }
}
