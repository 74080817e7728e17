//! What the simulator has found, each as a short story.

use serde_json::{Value as Json, json};

use super::super::world::World;
use crate::{Config, Span, egress};

/// A delivery failed, and its next attempt waited in line for a slot when the agent called back and claimed. The agent
/// died, and its lease did not end: the timer that was to end it stood in the line too, behind endpoints that hung.
#[test]
fn a_lease_ends_although_no_slot_is_free() {
    let mut w = World::with_fetches(1);
    w.webhook_type("horton");
    w.put("/_electric/entities/horton/a", &json!({ "initialMessage": 1 }));
    let hook = w.answer(500, &Json::Null);
    w.put("/_electric/entities/horton/b", &json!({ "initialMessage": 1 }));
    assert_eq!(w.fetches.len(), 1, "the endpoint of b has the slot, and hangs");
    w.pass(Span::secs(5));
    assert_eq!(w.callback(&hook, &json!({ "epoch": 1, "wakeId": hook["wakeId"] })).status, 200);
    assert_eq!(w.status("/horton/a"), "running");
    w.pass(Span::secs(60));
    assert_eq!(w.status("/horton/a"), "idle");
}

/// The first that the server heard of an agent was a heartbeat, before its endpoint had answered. Its wake was leased, and
/// the entity was shown as idle for as long as it worked.
#[test]
fn an_entity_runs_when_the_first_that_is_heard_is_a_heartbeat() {
    let mut w = World::new();
    w.webhook_type("horton");
    w.put("/_electric/entities/horton/a", &json!({ "initialMessage": 1 }));
    let hook: Json = serde_json::from_slice(&w.fetches[0].body).expect("JSON");
    assert_eq!(w.callback(&hook, &json!({ "epoch": 1 })).status, 200);
    assert_eq!(w.status("/horton/a"), "running");
}

/// An entity was paused in the midst of a run, and continued. Its agent had never let go; it was shown as idle, and when
/// it was asked to stop it was cut off instead of being let finish.
#[test]
fn an_entity_that_is_continued_while_it_is_claimed_runs() {
    let mut w = World::new();
    w.webhook_type("horton");
    w.put("/_electric/entities/horton/a", &json!({ "initialMessage": 1 }));
    let (hook, _) = w.claim();
    for signal in ["SIGSTOP", "SIGCONT"] {
        w.post("/_electric/entities/horton/a/signal", &json!({ "signal": signal }));
    }
    assert_eq!(w.status("/horton/a"), "running");
    w.post("/_electric/entities/horton/a/signal", &json!({ "signal": "SIGTERM" }));
    assert_eq!(w.status("/horton/a"), "stopping");
    assert_eq!(w.done(&hook).status, 200);
    assert_eq!(w.status("/horton/a"), "stopped");
}

/// A registration was for one wake, and one append held two events that it waited for. There were two wake rows, since it
/// was looked up once for all events of the append.
#[test]
fn a_one_shot_is_told_once_of_two_events_of_one_append() {
    let mut w = World::new();
    w.webhook_type("t");
    w.put("/_electric/entities/t/a", &json!({}));
    let headers = [("content-type", "application/json")];
    w.ask("PUT", "/s", &headers, &Json::Null);
    let condition = json!({ "on": "change" });
    let wake = json!({ "subscriberUrl": "/t/a", "sourceUrl": "/s", "condition": condition, "oneShot": true });
    w.post("/_electric/wake", &wake);
    let note = |key: &str| json!({ "type": "note", "key": key, "headers": { "operation": "insert" } });
    w.ask("POST", "/s", &headers, &json!([note("one"), note("two")]));
    assert_eq!(w.events("/t/a", "wake").len(), 1);
}

/// An entity to whose endpoint no webhook has come for so long that it was given up.
fn given_up(url: &str) -> World {
    let mut w = World::new();
    let policy = json!({ "targets": [{ "type": "webhook", "url": url }] });
    w.post("/_electric/entity-types", &json!({ "name": "t", "description": "d", "default_dispatch_policy": policy }));
    w.put("/_electric/entities/t/a", &json!({ "initialMessage": 1 }));
    w.engine.sql().execute("UPDATE subscription SET attempt = 99");
    w.pass(Span::secs(31));
    w.fetches.drain(..w.fetches.len() - 1);
    w.answer(500, &Json::Null);
    assert_eq!(w.get("/_reveille/dead-letters").json()["dead"].as_array().map(Vec::len), Some(1));
    w
}

/// What was given up was taken back while its entity was paused. The answer said that it was idle, and its explanation,
/// that it was pending.
#[test]
fn what_is_revived_and_may_not_be_woken_is_pending() {
    let mut w = given_up("https://agent.test/t");
    w.post("/_electric/entities/t/a/signal", &json!({ "signal": "SIGSTOP" }));
    let revived = w.post("/_reveille/entities/t/a/revive", &Json::Null).json()["state"].clone();
    let explained = w.get("/_reveille/entities/t/a/explain").json()["dispatch"]["state"].clone();
    assert_eq!((revived, explained), (json!("pending"), json!("pending")));
}

/// What was given up was taken back before its endpoint was allowed again. Its next wake could not be announced, and had
/// no timer: it was in flight for ever.
#[test]
fn what_is_revived_and_may_not_be_called_is_tried_again() {
    let mut w = given_up("http://localhost:1/t");
    w.pass(Span::secs(60));
    let config = Config { egress: egress::Policy::serve(), ..w.engine.config().clone() };
    let mut w = w.restart_as(config);
    w.post("/_reveille/entities/t/a/revive", &Json::Null);
    assert_eq!(w.get("/_reveille/check").json()["problems"], json!([]));
    let config = Config { egress: egress::Policy::dev(), ..w.engine.config().clone() };
    let mut w = w.restart_as(config);
    w.pass(Span::secs(120));
    assert!(!w.fetches.is_empty());
}
