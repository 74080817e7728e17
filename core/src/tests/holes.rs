//! Holes that were found and closed, each by the story of how it was fallen into.

use serde_json::{Value as Json, json};

use super::world::World;
use crate::limits::REGISTRATIONS;
use crate::{Answer, Command, Span};

const ALICE: [(&str, &str); 1] = [("electric-principal", "user:alice")];
const BOB: [(&str, &str); 1] = [("electric-principal", "user:bob")];

/// An agent that writes token by token looked like a loop to its parent: each of its own appends made it deeper.
#[test]
fn an_entity_does_not_grow_deep_by_its_own_appends() {
    let mut w = World::new();
    w.webhook_type("planner");
    w.webhook_type("worker");
    w.put("/_electric/entities/planner/p", &json!({}));
    let condition = json!({ "on": "change", "collections": ["mark"] });
    let wake = json!({ "subscriberUrl": "/planner/p", "condition": condition });
    w.put("/_electric/entities/worker/a", &json!({ "parent": "/planner/p", "initialMessage": "go", "wake": wake }));
    let (_, token) = w.claim();
    let event =
        |kind: &str, n: i32| json!({ "type": kind, "key": format!("k{n}"), "headers": { "operation": "insert" } });
    for n in 0..70 {
        assert_eq!(w.append("/worker/a", &token, &event("text", n)).status, 204);
    }
    for n in 0..3 {
        w.append("/worker/a", &token, &event("mark", n));
    }
    assert_eq!(w.engine.counts().wakes_slowed, 0);
    assert_eq!(w.events("/planner/p", "wake").len(), 3);
}

/// A webhook that was waiting to be tried again reached an entity that had been paused meanwhile.
#[test]
fn a_paused_entity_is_not_delivered_to_until_it_is_continued() {
    let mut w = World::new();
    w.webhook_type("horton");
    w.put("/_electric/entities/horton/a", &json!({ "initialMessage": "one" }));
    w.answer(500, &json!({}));
    w.post("/_electric/entities/horton/a/signal", &json!({ "signal": "SIGSTOP" }));
    w.pass(Span::secs(300));
    assert!(w.fetches.is_empty());
    w.post("/_electric/entities/horton/a/signal", &json!({ "signal": "SIGCONT" }));
    assert_eq!(w.fetches.len(), 1);
}

/// A runner that was told of work, claimed it in vain while the entity was paused, and was not told again for minutes.
#[test]
fn a_runner_is_told_at_once_when_its_entity_is_continued() {
    let mut w = World::new();
    w.post("/_electric/runners", &json!({ "id": "r", "label": "l" }));
    let policy = json!({ "targets": [{ "type": "runner", "runnerId": "r" }] });
    w.post("/_electric/entity-types", &json!({ "name": "t", "description": "d", "default_dispatch_policy": policy }));
    w.put("/_electric/entities/t/a", &json!({ "initialMessage": 1 }));
    let told = |w: &mut World| {
        let events = w.get("/runners/r/wake").json();
        events.as_array().expect("a list").iter().map(|e| e["generation"].clone()).collect::<Vec<_>>()
    };
    let event = w.get("/runners/r/wake").json()[0].clone();
    w.post("/_electric/entities/t/a/signal", &json!({ "signal": "SIGSTOP" }));
    assert_eq!(w.post("/_electric/runners/r/claim", &event).json(), json!({ "done": true }));
    w.pass(Span::secs(3600));
    assert!(told(&mut w).is_empty(), "nothing is announced while it is paused");
    w.post("/_electric/entities/t/a/signal", &json!({ "signal": "SIGCONT" }));
    assert_eq!(told(&mut w), [json!(2)]);
}

/// The disk was full when a serve endpoint answered: nobody answered the registration, and the host ticked without end.
#[test]
fn a_parked_command_is_answered_when_its_commit_fails() {
    let mut w = World::new();
    let body = json!({ "name": "t", "serve_endpoint": "https://agent.test/t" }).to_string();
    let turns = w.batch(vec![World::command("POST", "/_electric/entity-types", &[], &body)]);
    assert!(turns[0].replies.is_empty(), "it waits");
    let effect = w.fetches.remove(0).id;
    w.engine.sql().fail_commit.set(true);
    let manifest = json!({ "name": "t", "description": "d" }).to_string().into_bytes();
    let outcome = Command::Outcome { effect, result: Ok(Answer { status: 200, headers: Vec::new(), body: manifest }) };
    let replies: usize = w.batch(vec![outcome]).iter().map(|t| t.replies.len()).sum();
    assert_eq!((replies, w.engine.next_deadline().expect("readable")), (1, None));
}

/// Bob registered on an entity that was not there yet, and read what Alice sent it when it was.
#[test]
fn nobody_observes_what_is_not_there_yet() {
    let mut w = World::new();
    w.webhook_type("t");
    w.ask("PUT", "/_electric/entities/t/bob", &BOB, &json!({}));
    let condition = json!({ "on": "change", "collections": ["inbox"] });
    let wake = json!({ "subscriberUrl": "/t/bob", "sourceUrl": "/t/secret", "condition": condition });
    w.ask("POST", "/_electric/wake", &BOB, &wake);
    w.ask("PUT", "/_electric/entities/t/secret", &ALICE, &json!({ "initialMessage": "password" }));
    let seen = w.ask("GET", "/t/bob/main", &BOB, &Json::Null);
    assert!(seen.status == 200 && !seen.body.contains("password"), "{}", seen.body);
}

/// Bob gave his type Alice's runner as its default after he had spawned, and his next send put his work on her machine.
#[test]
fn a_back_filled_policy_is_checked_like_any_other() {
    let mut w = World::new();
    w.ask("POST", "/_electric/runners", &ALICE, &json!({ "id": "r", "label": "l" }));
    let mut kind = json!({ "name": "t", "description": "d", "permission_grants": [
        { "subject_kind": "principal", "subject_value": "/principal/user%3Abob", "permission": "manage" },
    ] });
    w.ask("POST", "/_electric/entity-types", &BOB, &kind);
    w.ask("PUT", "/_electric/entities/t/e", &BOB, &json!({}));
    kind["default_dispatch_policy"] = json!({ "targets": [{ "type": "runner", "runnerId": "r" }] });
    w.ask("POST", "/_electric/entity-types", &BOB, &kind);
    assert_eq!(w.ask("POST", "/_electric/entities/t/e/send", &BOB, &json!({ "payload": 1 })).status, 403);
    assert_eq!(w.ask("GET", "/runners/r/wake", &ALICE, &Json::Null).body, "[]");
}

/// Somebody made the stream first, with events of their own in it, and the runner adopted it.
#[test]
fn a_runner_does_not_adopt_a_stream_that_was_there_before() {
    let mut w = World::new();
    w.ask("PUT", "/runners/r/wake", &BOB, &json!({ "type": "wake", "subscription_id": "forged" }));
    let got = w.ask("POST", "/_electric/runners", &ALICE, &json!({ "id": "r", "label": "l" }));
    assert_eq!(got.status, 409, "{}", got.body);
}

/// Two acknowledgements of one stream in one callback left the lower of the two.
#[test]
fn an_acknowledgement_never_goes_backwards() {
    let mut w = World::new();
    w.webhook_type("horton");
    w.put("/_electric/entities/horton/a", &json!({ "initialMessage": 1 }));
    let (hook, _) = w.claim();
    let path = hook["streamPath"].clone();
    let before = w.events("/horton/a", "entity_created")[0]["headers"]["offset"].clone();
    let acks = json!([{ "path": path, "offset": hook["streams"][0]["offset"] }, { "path": path, "offset": before }]);
    assert_eq!(w.callback(&hook, &json!({ "epoch": 1, "acks": acks })).code(), "INVALID_OFFSET");
}

/// A timer of a subscription that failed ten times silenced its entity for good.
#[test]
fn an_entity_whose_timer_died_wakes_by_its_next_message() {
    let mut w = World::new();
    w.webhook_type("horton");
    w.put("/_electric/entities/horton/a", &json!({ "initialMessage": 1 }));
    w.fetches.clear();
    let buried = "UPDATE timer SET attempt = 9 WHERE kind = 1";
    w.engine.sql().execute(buried);
    *w.engine.sql().refuse_on.borrow_mut() = Some("SELECT l.stream, st.path");
    w.pass(Span::secs(60));
    *w.engine.sql().refuse_on.borrow_mut() = None;
    assert_eq!(w.engine.dead_timers().expect("readable"), 1);
    w.post("/_electric/entities/horton/a/send", &json!({ "payload": 2 }));
    assert_eq!(w.fetches.len(), 1);
}

/// A source that had expired and was kept for its forks answered a new fork with 404 until its timer ran, then with 409.
#[test]
fn an_expired_source_with_forks_is_refused_alike_before_and_after_its_timer() {
    let mut w = World::new();
    let fork = |w: &mut World, path: &str| w.ask("PUT", path, &[("stream-forked-from", "/a")], &json!(null)).status;
    w.ask("PUT", "/a", &[("stream-ttl", "5")], &json!(null));
    let got = w.ask("PUT", "/b", &[("stream-forked-from", "/a"), ("stream-ttl", "500")], &json!(null));
    assert_eq!(got.status, 201);
    w.now = w.now + Span::secs(10);
    assert_eq!(fork(&mut w, "/c"), 409);
    w.pass(Span::ZERO);
    assert_eq!(fork(&mut w, "/c"), 409);
    w.ask("DELETE", "/b", &[], &json!(null));
    assert_eq!(fork(&mut w, "/c"), 404);
}

/// A manifest is as long as its agent makes it; what it stands for is bounded.
#[test]
fn an_entity_observes_so_much_and_no_more() {
    let mut w = World::new();
    w.webhook_type("t");
    w.put("/_electric/entities/t/a", &json!({ "initialMessage": 1 }));
    let (_, token) = w.claim();
    let ticks = json!({ "kind": "schedule", "scheduleType": "cron", "expression": "0 9 * * *" });
    let row = |key: usize| json!({ "type": "manifest", "key": key.to_string(), "value": ticks, "headers": { "operation": "insert" } });
    let rows: Vec<Json> = (0..=REGISTRATIONS).map(row).collect();
    assert_eq!(w.append("/t/a", &token, &rows.into()).status, 204);
    let held = |w: &World| w.engine.sql().number("SELECT count(*) FROM registration");
    assert_eq!(held(&w), REGISTRATIONS as i64);
    let why = "/t/a already holds the most wake registrations that one entity may";
    let journal = w.get("/_reveille/entities/t/a/journal").body;
    assert!(journal.contains(why), "{journal}");
    let wake = json!({ "subscriberUrl": "/t/a", "sourceUrl": "/t/a", "condition": "runFinished" });
    let refused = w.post("/_electric/wake", &wake);
    assert_eq!((refused.status, refused.code().as_str()), (409, "LIMIT_EXCEEDED"), "{}", refused.body);
    // What is observed already may be observed otherwise.
    assert_eq!(w.append("/t/a", &token, &json!([row(7)])).status, 204);
    assert_eq!(held(&w), REGISTRATIONS as i64);
}
