//! What the simulator has found, each as a short story. Where a story has not ended well yet, a constant beside it keeps
//! the simulator away from there.

use serde_json::{Value as Json, json};

use super::super::world::World;
use crate::Span;

/// Whether there are so few slots that deliveries wait in line.
pub(super) const LINES: bool = true;

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

/// Whether an agent may keep a wake before anybody took it.
pub(super) const HEARTBEATS_FIRST: bool = true;

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

/// Whether an entity that is continued while somebody holds its claim is running, or idle as in the wire's table.
pub(super) const CONTINUED_RUNS: bool = true;

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
