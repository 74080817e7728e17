//! The loop: a message wakes an agent, the agent answers, its parent wakes.

use serde_json::{Value as Json, json};

use super::world::World;
use crate::Span;

fn run(status: &str, text: &str) -> Json {
    json!([
        { "type": "run", "key": "run-0", "value": { "status": "started" }, "headers": { "operation": "insert" } },
        { "type": "text_delta", "key": "t:0", "value": { "run_id": "run-0", "delta": text }, "headers": { "operation": "insert" } },
        { "type": "run", "key": "run-0", "value": { "status": status }, "headers": { "operation": "update" } }
    ])
}

#[test]
fn a_message_wakes_an_agent_until_it_is_done() {
    let mut w = World::new();
    w.webhook_type("horton");
    let spawned = w.put("/_electric/entities/horton/a", &json!({}));
    assert_eq!(spawned.status, 201, "{}", spawned.body);
    assert!(w.fetches.is_empty(), "a spawn alone wakes nobody");
    assert_eq!(w.post("/_electric/entities/horton/a/send", &json!({ "payload": 1 })).status, 200);
    let (hook, token) = w.claim();
    assert_eq!((hook["generation"].clone(), hook["streamPath"].clone()), (json!(1), json!("/horton/a/main")));
    assert_eq!(w.status("/horton/a"), "running");
    assert_eq!(w.append("/horton/a", &token, &run("completed", "hi")).status, 204);
    assert_eq!(w.append("/horton/a", "other", &run("completed", "hi")).status, 401);
    let done = w.done(&hook);
    assert_eq!(done.json(), json!({ "ok": true, "next_wake": false }));
    assert_eq!(w.status("/horton/a"), "idle");
    assert_eq!(w.append("/horton/a", &token, &run("completed", "hi")).status, 401, "the token died with its claim");
    assert_eq!(w.done(&hook).status, 409, "a wake ends once");
}

#[test]
fn what_arrives_while_claimed_begins_the_next_wake() {
    let mut w = World::new();
    w.webhook_type("horton");
    w.put("/_electric/entities/horton/a", &json!({ "initialMessage": "one" }));
    let (first, _) = w.claim();
    w.post("/_electric/entities/horton/a/send", &json!({ "payload": "two" }));
    assert!(w.fetches.is_empty(), "one wake at a time");
    let path = first["streamPath"].clone();
    let seen = first["streams"][0]["offset"].clone();
    let done = w.callback(&first, &json!({ "epoch": 1, "acks": [{ "path": path, "offset": seen }], "done": true }));
    assert_eq!(done.json()["next_wake"], json!(true));
    let (second, _) = w.claim();
    assert_eq!(second["generation"], json!(2));
}

#[test]
fn two_children_wake_their_parent_with_both_answers() {
    let mut w = World::new();
    w.webhook_type("planner");
    w.webhook_type("worker");
    w.put("/_electric/entities/planner/p", &json!({}));
    for child in ["a", "b"] {
        let wake = json!({ "subscriberUrl": "/planner/p", "condition": "runFinished", "manifestKey": format!("child:worker:{child}") });
        let body = json!({ "parent": "/planner/p", "initialMessage": "go", "wake": wake });
        let got = w.put(&format!("/_electric/entities/worker/{child}"), &body);
        assert_eq!(got.status, 201, "{}", got.body);
    }
    let (a, token_a) = w.claim();
    let (b, token_b) = w.claim();
    w.append("/worker/a", &token_a, &run("completed", "four"));
    w.append("/worker/b", &token_b, &run("failed", ""));
    w.done(&a);
    w.done(&b);
    let wakes = w.events("/planner/p", "wake");
    assert_eq!(wakes.len(), 2);
    let child = &wakes[0]["value"]["finished_child"];
    assert_eq!(*child, json!({ "url": "/worker/a", "type": "worker", "run_status": "completed", "response": "four" }));
    assert_eq!(wakes[1]["value"]["finished_child"]["run_status"], json!("failed"));
    assert_eq!(w.fetches.len(), 1, "one webhook serves both rows");
    let (hook, _) = w.claim();
    assert_eq!(hook["entity"]["url"], json!("/planner/p"));
    assert_eq!(w.done(&hook).json()["next_wake"], json!(false));
}

#[test]
fn a_lease_that_ends_wakes_again_and_fences_the_old_claim() {
    let mut w = World::new();
    w.webhook_type("horton");
    w.put("/_electric/entities/horton/a", &json!({ "initialMessage": "one" }));
    let (old, token) = w.claim();
    w.pass(Span::secs(29));
    assert!(w.fetches.is_empty());
    w.pass(Span::secs(2));
    assert_eq!(w.status("/horton/a"), "idle");
    assert_eq!(w.append("/horton/a", &token, &run("completed", "late")).status, 401);
    let late = w.callback(&old, &json!({ "epoch": 1 }));
    assert_eq!((late.status, late.code()), (409, "FENCED".to_owned()));
    let (new, _) = w.claim();
    assert_eq!(new["generation"], json!(2));
    for _ in 0..10 {
        w.pass(Span::secs(20));
        assert_eq!(w.callback(&new, &json!({ "epoch": 2 })).json()["ok"], json!(true), "heartbeats keep it");
    }
    assert!(w.fetches.is_empty());
}

#[test]
fn a_webhook_that_fails_is_tried_again_as_the_same_wake() {
    let mut w = World::new();
    w.webhook_type("horton");
    w.put("/_electric/entities/horton/a", &json!({ "initialMessage": "one" }));
    let first = w.answer(500, &json!({}));
    assert_eq!(w.status("/horton/a"), "idle");
    w.pass(Span::secs(2));
    let second = w.answer(503, &json!({}));
    for member in ["wake_id", "generation", "callback_token"] {
        assert_eq!(first[member], second[member], "{member}");
    }
    w.pass(Span::secs(1));
    assert!(w.fetches.is_empty(), "each wait is longer");
    w.pass(Span::secs(2));
    let third = w.answer(200, &json!({ "done": true }));
    assert_eq!(third["generation"], json!(1));
    w.pass(Span::secs(120));
    assert!(w.fetches.is_empty(), "done is done");
}

#[test]
fn a_restart_repeats_a_delivery_whose_outcome_was_lost() {
    let mut w = World::new();
    w.webhook_type("horton");
    w.put("/_electric/entities/horton/a", &json!({ "initialMessage": "one" }));
    let before: Json = serde_json::from_slice(&w.fetches[0].body).expect("JSON");
    let mut w = w.restart();
    w.pass(Span::secs(31));
    let (after, token) = w.claim();
    assert_eq!((&before["wake_id"], &before["generation"]), (&after["wake_id"], &after["generation"]));
    let mut w = w.restart();
    assert_eq!(w.append("/horton/a", &token, &run("completed", "x")).status, 204, "tokens survive");
    assert_eq!(w.done(&after).status, 200);
}

#[test]
fn a_delayed_send_keeps_its_mode_over_a_restart() {
    let mut w = World::new();
    w.webhook_type("horton");
    w.put("/_electric/entities/horton/a", &json!({}));
    let later = json!({ "payload": 12345678901234567890u64, "afterMs": 5000, "mode": "queued", "position": "p1" });
    assert_eq!(w.post("/_electric/entities/horton/a/send", &later).status, 204);
    let mut w = w.restart();
    w.pass(Span::secs(4));
    assert!(w.events("/horton/a", "inbox").is_empty());
    w.pass(Span::secs(2));
    let inbox = w.events("/horton/a", "inbox");
    assert_eq!(
        (inbox[0]["value"]["mode"].clone(), inbox[0]["value"]["position"].clone()),
        (json!("queued"), json!("p1"))
    );
    assert_eq!(inbox[0]["value"]["payload"].to_string(), "12345678901234567890");
    assert_eq!(w.fetches.len(), 1);
}

#[test]
fn a_runner_is_told_claims_and_is_told_again() {
    let mut w = World::new();
    assert_eq!(w.post("/_electric/runners", &json!({ "id": "r", "label": "l" })).status, 201);
    let policy = json!({ "targets": [{ "type": "runner", "runnerId": "r" }] });
    w.post(
        "/_electric/entity-types",
        &json!({ "name": "task", "description": "d", "default_dispatch_policy": policy }),
    );
    w.put("/_electric/entities/task/t", &json!({ "initialMessage": 1 }));
    let events = w.get("/runners/r/wake").json();
    let event = events[0].clone();
    assert_eq!(
        (event["type"].clone(), event["stream"].clone(), event["generation"].clone()),
        (json!("wake"), json!("task/t/main"), json!(1))
    );
    let before = w.get("/runners/r/wake").header("stream-next-offset").to_owned();
    w.pass(Span::secs(31));
    let again = w.get(&format!("/runners/r/wake?offset={before}"));
    assert_eq!(again.json()[0]["generation"], json!(1), "nobody claimed: announced again");
    assert_eq!(w.get("/runners/r/wake").body, again.body, "and once is enough");
    let claim = w.post("/_electric/runners/r/claim", &event);
    assert_eq!(claim.status, 200, "{}", claim.body);
    assert_eq!(w.post("/_electric/runners/r/claim", &event).code(), "ALREADY_CLAIMED");
    let hook = claim.json();
    assert_eq!(w.status("/task/t"), "running");
    assert_eq!(w.done(&hook).json()["next_wake"], json!(false));
    assert_eq!(w.post("/_electric/runners/r/claim", &event).code(), "NO_PENDING_WORK");
    assert_eq!(w.status("/task/t"), "idle");
    // What is over is not announced to a runner that starts now, and offsets go on from where they were.
    let over = w.get("/runners/r/wake");
    assert_eq!((over.body.as_str(), over.header("stream-next-offset")), ("[]", again.header("stream-next-offset")));
    w.post("/_electric/entities/task/t/send", &json!({ "payload": 2 }));
    let next = w.get(&format!("/runners/r/wake?offset={}", over.header("stream-next-offset")));
    assert_eq!(next.json()[0]["generation"], json!(2));
}

/// The wake stream of a runner holds what is current, and no more, however much it has been told.
#[test]
fn a_wake_stream_does_not_grow_with_what_is_over() {
    let mut w = World::new();
    w.post("/_electric/runners", &json!({ "id": "r", "label": "l" }));
    let policy = json!({ "targets": [{ "type": "runner", "runnerId": "r" }] });
    w.post(
        "/_electric/entity-types",
        &json!({ "name": "task", "description": "d", "default_dispatch_policy": policy }),
    );
    for id in ["waits", "a", "b"] {
        w.put(&format!("/_electric/entities/task/{id}"), &json!({ "initialMessage": 1 }));
    }
    for n in 0..500 {
        let id = if n % 3 == 0 { "a" } else { "b" };
        let events = w.get("/runners/r/wake").json();
        let stream = json!(format!("task/{id}/main"));
        let event = events.as_array().and_then(|all| all.iter().find(|e| e["stream"] == stream));
        let hook = w.post("/_electric/runners/r/claim", event.expect("what is current is told")).json();
        assert_eq!(w.done(&hook).status, 200);
        w.post(&format!("/_electric/entities/task/{id}/send"), &json!({ "payload": n }));
    }
    let events = w.get("/runners/r/wake").json();
    let mut told: Vec<_> = events.as_array().expect("a list").iter().map(|e| e["stream"].clone()).collect();
    told.sort_by_key(ToString::to_string);
    assert_eq!(told, ["task/a/main", "task/b/main", "task/waits/main"]);
}

#[test]
fn entities_that_observe_each_other_slow_down_and_lose_nothing() {
    let mut w = World::new();
    w.webhook_type("horton");
    for (me, other) in [("a", "b"), ("b", "a")] {
        w.put(&format!("/_electric/entities/horton/{me}"), &json!({}));
        let body = json!({ "subscriberUrl": format!("/horton/{me}"), "sourceUrl": format!("/horton/{other}"), "condition": { "on": "change" } });
        assert_eq!(w.post("/_electric/wake", &body).status, 204);
    }
    w.post("/_electric/entities/horton/a/send", &json!({ "payload": "go" }));
    let mut turns = 0;
    while !w.fetches.is_empty() && turns < 1000 {
        let (hook, token) = w.claim();
        let url = hook["entity"]["url"].as_str().expect("a URL").to_owned();
        w.append(
            &url,
            &token,
            &json!([{ "type": "note", "key": "n", "value": { "turn": turns }, "headers": { "operation": "update" } }]),
        );
        w.done(&hook);
        turns += 1;
    }
    assert!((60..90).contains(&turns), "it ran {turns} times at once");
    assert!(w.engine.counts().wakes_slowed > 0);
    w.pass(Span::secs(25));
    assert_eq!(w.fetches.len(), 1, "slow, and not lost");
}

#[test]
fn killing_ends_everything_about_an_entity() {
    let mut w = World::new();
    w.webhook_type("horton");
    w.put("/_electric/entities/horton/a", &json!({ "initialMessage": 1 }));
    let (hook, token) = w.claim();
    let killed = w.ask("DELETE", "/_electric/entities/horton/a", &[], &Json::Null);
    assert!(killed.json()["txid"].is_number());
    assert_eq!(w.status("/horton/a"), "killed");
    assert_eq!(w.append("/horton/a", &token, &json!([{ "x": 1 }])).status, 401);
    assert_eq!(w.post("/_electric/entities/horton/a/send", &json!({ "payload": 1 })).code(), "NOT_RUNNING");
    assert_eq!(w.callback(&hook, &json!({ "epoch": 1 })).status, 409);
    assert_eq!(w.events("/horton/a", "signal")[0]["value"]["new_state"], json!("killed"));
    assert_eq!(w.ask("HEAD", "/horton/a/main", &[], &Json::Null).header("stream-closed"), "true");
    w.pass(Span::secs(300));
    assert!(w.fetches.is_empty());
}
