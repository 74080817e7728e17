//! A dispatch and what is said of it: the journal, explanations, budgets, dead letters, locks, checks.

use serde_json::{Value as Json, json};

use super::world::{World, exec, explain, send};
use crate::dispatch::Budget;
use crate::limits::DELIVERIES;
use crate::store::Sql as _;
use crate::{Config, Span};

fn finish(key: &str) -> Json {
    json!([{ "type": "run", "key": key, "value": { "status": "completed" }, "headers": { "operation": "update" } }])
}

/// What an entity's journal says, each step as its kind.
fn kinds(w: &mut World, url: &str) -> Vec<String> {
    steps(w, url).iter().map(|step| step["what"].as_str().unwrap_or("").to_owned()).collect()
}

fn steps(w: &mut World, url: &str) -> Vec<Json> {
    let got = w.get(&format!("/_reveille/entities{url}/journal"));
    assert_eq!(got.status, 200, "{}", got.body);
    got.json()["steps"].as_array().expect("steps").clone()
}

/// Entities `a` and `b` of a webhook type; `a` wakes when a run of `b` ends.
fn pair() -> World {
    let mut w = World::new();
    w.webhook_type("t");
    w.put("/_electric/entities/t/a", &json!({}));
    w.put("/_electric/entities/t/b", &json!({}));
    let wake = json!({ "subscriberUrl": "/t/a", "sourceUrl": "/t/b", "condition": "runFinished" });
    assert_eq!(w.post("/_electric/wake", &wake).status, 204);
    w
}

#[test]
fn a_journal_tells_a_wake_from_its_cause_to_its_end() {
    let mut w = pair();
    send(&mut w, "/t/b");
    let (b, token) = w.claim();
    w.append("/t/b", &token, &finish("r"));
    let (a, _) = w.claim();
    w.done(&a);
    w.done(&b);
    assert_eq!(kinds(&mut w, "/t/b"), ["appended", "emitted", "claimed", "done"]);
    assert_eq!(kinds(&mut w, "/t/a"), ["evaluated", "appended", "emitted", "claimed", "done"]);
    let steps = steps(&mut w, "/t/a");
    assert_eq!((&steps[0]["source"], &steps[0]["collection"]), (&json!("/t/b"), &json!("runs")));
    assert!(
        steps.iter().all(|step| step["wake"] == a["wakeId"] && step["generation"] == 1 && step["entity"] == "/t/a")
    );
    assert_eq!(steps[2]["to"], json!({ "type": "webhook", "url": "https://agent.test/t" }));
    let of_wake = w.get(&format!("/_reveille/wakes/{}/journal", a["wakeId"].as_str().expect("an id"))).json();
    assert_eq!(of_wake["steps"], json!(steps));
    assert_eq!(w.done(&a).status, 409);
    assert_eq!(kinds(&mut w, "/t/a").last().map(String::as_str), Some("fenced"));
}

#[test]
fn a_wake_row_that_begins_no_dispatch_is_told_with_the_next() {
    let mut w = pair();
    send(&mut w, "/t/a");
    let (a, _) = w.claim();
    send(&mut w, "/t/b");
    let (_, token) = w.claim();
    w.append("/t/b", &token, &finish("r1"));
    w.append("/t/b", &token, &finish("r2"));
    let seen = a["streams"][0]["offset"].clone();
    let path = a["streamPath"].clone();
    w.callback(&a, &json!({ "epoch": 1, "acks": [{ "path": path, "offset": seen }], "done": true }));
    let told = kinds(&mut w, "/t/a");
    let rows = ["evaluated", "appended", "evaluated", "appended"];
    let want = ["appended", "emitted", "claimed"].iter().chain(&rows).chain(&["done", "pending", "emitted"]);
    assert_eq!(told, want.copied().collect::<Vec<_>>());
    let (next, _) = w.claim();
    let of_wake = w.get(&format!("/_reveille/wakes/{}/journal", next["wakeId"].as_str().expect("an id"))).json();
    assert_eq!(of_wake["steps"].as_array().map(Vec::len), Some(7), "{of_wake}");
}

#[test]
fn what_stopped_entities_miss_is_told() {
    let mut w = pair();
    send(&mut w, "/t/b");
    let (_, token) = w.claim();
    w.post("/_electric/entities/t/a/signal", &json!({ "signal": "SIGTERM" }));
    w.append("/t/b", &token, &finish("r"));
    assert!(explain(&mut w, "/t/a")["summary"].as_str().expect("words").contains("is stopped"));
    // Its registrations went with it, so nothing matched; one that is stopping still holds them.
    assert_eq!(kinds(&mut w, "/t/a"), Vec::<String>::new());
}

#[test]
fn what_a_stopping_entity_misses_is_suppressed() {
    let mut w = pair();
    send(&mut w, "/t/a");
    let (a, _) = w.claim();
    send(&mut w, "/t/b");
    let (_, token) = w.claim();
    w.post("/_electric/entities/t/a/signal", &json!({ "signal": "SIGTERM" }));
    w.append("/t/b", &token, &finish("r"));
    let suppressed = steps(&mut w, "/t/a").into_iter().find(|step| step["what"] == "suppressed").expect("told");
    assert_eq!(suppressed["why"], json!("the entity is stopping"));
    w.done(&a);
    assert_eq!(w.status("/t/a"), "stopped");
    assert!(kinds(&mut w, "/t/a").contains(&"done".to_owned()), "a journal outlives its entity");
}

#[test]
fn a_journal_is_bounded_by_number_and_age() {
    let mut w = World::new();
    w.webhook_type("t");
    w.put("/_electric/entities/t/a", &json!({}));
    for _ in 0..200 {
        send(&mut w, "/t/a");
        let (hook, _) = w.claim();
        w.done(&hook);
        w.pass(Span::secs(60));
    }
    let told = steps(&mut w, "/t/a");
    let generations: std::collections::BTreeSet<_> = told.iter().map(|s| s["generation"].as_i64()).collect();
    assert_eq!(generations.len(), 65, "those that are filed, and the last");
    w.pass(Span::secs(9 * 86_400));
    let mut filed = 0;
    let count = |row: crate::store::Row<'_>| row.int(0);
    w.engine
        .sql()
        .run("SELECT count(*) FROM journal", &[], &mut |row| {
            filed = count(row)?;
            Ok(())
        })
        .expect("counts");
    assert_eq!(filed, 0);
}

#[test]
fn an_event_is_explained_by_each_registration() {
    let mut w = pair();
    let wake = json!({ "subscriberUrl": "/t/a", "sourceUrl": "/t/b", "condition": { "on": "change", "collections": ["note"] } });
    w.post("/_electric/wake", &wake);
    send(&mut w, "/t/b");
    let (_, token) = w.claim();
    w.append("/t/b", &token, &json!([{ "type": "note", "key": "n" }, { "type": "run", "key": "r", "value": { "status": "started" }, "headers": { "operation": "insert" } }]));
    let offset = w.ask("HEAD", "/t/b/main", &[], &Json::Null).header("stream-next-offset").to_owned();
    let asked = format!("/_reveille/entities/t/a/explain?source=/t/b&offset={offset}");
    let events = w.get(&asked).json()["event"]["events"].clone();
    let why = |event: usize, one: usize| events[event]["registrations"][one]["why"].as_str().expect("words").to_owned();
    assert!(why(0, 0).contains("its type is `note`"), "{events}");
    assert!(why(0, 1).starts_with("it matched: its wake row ends at"), "{events}");
    assert!(why(0, 1).contains("serves it"), "{events}");
    assert!(why(1, 0).contains("its operation is `insert`"), "{events}");
    assert!(why(1, 1).contains("its collection is `run`"), "{events}");
    let one = w.get(&format!("{asked}&index=1")).json()["event"]["events"].clone();
    assert_eq!(one, json!([events[1]]));
    // After the event: it could not have matched.
    w.post(
        "/_electric/wake",
        &json!({ "subscriberUrl": "/t/a", "sourceUrl": "/t/b", "condition": { "on": "change" } }),
    );
    let late = w.get(&asked).json()["event"]["events"][0]["registrations"][2]["why"].clone();
    assert_eq!(late, json!("it matches, and the registration was made after it"));
    for (query, status) in [
        ("source=/t/b", 400),
        ("source=/t/b&offset=x", 400),
        ("source=/t/b&offset=-1", 400),
        ("source=/t/nobody&offset=0000000000000000_0000000000000001", 404),
        ("source=/t/b&offset=0000000000000000_0000000009999999", 404),
    ] {
        assert_eq!(w.get(&format!("/_reveille/entities/t/a/explain?{query}")).status, status, "{query}");
    }
    assert_eq!(w.get(&format!("{asked}&index=2")).status, 404);
    assert_eq!(w.get(&format!("{asked}&index=x")).status, 400);
}

#[test]
fn an_entity_over_its_budget_is_slowed_and_loses_nothing() {
    let config = Config { wakes: Budget::a_minute(6), ..World::new().engine.config().clone() };
    let mut w = World::new().restart_as(config);
    w.webhook_type("t");
    w.put("/_electric/entities/t/a", &json!({}));
    for _ in 0..60 {
        send(&mut w, "/t/a");
        let (hook, _) = w.claim();
        w.done(&hook);
    }
    send(&mut w, "/t/a");
    assert!(w.fetches.is_empty(), "sixty at once, and then six a minute");
    let told = explain(&mut w, "/t/a");
    assert_eq!((&told["dispatch"]["state"], &told["budget"]["left"]), (&json!("pending"), &json!(0)));
    assert!(told["summary"].as_str().expect("words").contains("it has used up its budget of wakes"), "{told}");
    assert_eq!(kinds(&mut w, "/t/a").last().map(String::as_str), Some("slowed"));
    w.pass(Span::secs(9));
    send(&mut w, "/t/a");
    assert!(w.fetches.is_empty());
    w.pass(Span::secs(2));
    let (hook, _) = w.claim();
    assert_eq!(w.done(&hook).json()["next_wake"], json!(false), "one wake serves both");
    // What is slowed is so across a restart too.
    send(&mut w, "/t/a");
    assert!(w.fetches.is_empty());
    let mut w = w.restart();
    w.pass(Span::secs(11));
    assert_eq!(w.fetches.len(), 1);
}

#[test]
fn a_target_that_keeps_failing_is_given_up_and_taken_back() {
    let mut w = World::new();
    w.webhook_type("t");
    w.put("/_electric/entities/t/a", &json!({ "initialMessage": "one" }));
    let mut attempts = 0;
    while !w.fetches.is_empty() {
        w.answer(503, &json!({ "error": "out of order" }));
        attempts += 1;
        for _ in 0..80 {
            if w.fetches.is_empty() {
                w.pass(Span::secs(1));
            }
        }
    }
    assert_eq!(attempts, DELIVERIES);
    let told = explain(&mut w, "/t/a");
    assert_eq!(told["dispatch"]["state"], json!("dead"));
    let summary = told["summary"].as_str().expect("words");
    assert!(summary.contains("failed 100 times") && summary.contains("answered 503"), "{summary}");
    let dead = w.get("/_reveille/dead-letters").json()["dead"][0].clone();
    assert_eq!((&dead["entity"], &dead["answer"]["status"]), (&json!("/t/a"), &json!(503)));
    assert!(dead["answer"]["body"].as_str().expect("a body").contains("out of order"));
    assert_eq!(kinds(&mut w, "/t/a"), ["appended", "emitted", "retried", "dead-lettered"]);
    // It stays so, whatever comes and whoever restarts, until somebody takes it back.
    send(&mut w, "/t/a");
    let mut w = w.restart();
    w.pass(Span::secs(100_000));
    assert!(w.fetches.is_empty());
    let revived = w.post("/_reveille/entities/t/a/revive", &Json::Null);
    assert_eq!(revived.json(), json!({ "entity": "/t/a", "state": "outstanding" }));
    let (hook, _) = w.claim();
    assert_eq!(hook["generation"], json!(2));
    assert_eq!(w.done(&hook).json()["next_wake"], json!(false));
    assert_eq!(w.post("/_reveille/entities/t/a/revive", &Json::Null).code(), "NOT_DEAD");
    assert_eq!(w.get("/_reveille/dead-letters").json()["dead"], json!([]));
}

#[test]
fn a_locked_entity_is_not_dispatched() {
    let mut w = World::new();
    w.webhook_type("t");
    w.put("/_electric/entities/t/a", &json!({ "initialMessage": "one" }));
    assert_eq!(w.post("/_reveille/dev/lock", &json!({ "entity": "/t/a", "ms": 60_000 })).status, 204);
    let before = w.fetches.remove(0);
    let hook: Json = serde_json::from_slice(&before.body).expect("JSON");
    assert_eq!(w.callback(&hook, &json!({ "epoch": 1, "wakeId": hook["wakeId"] })).code(), "FENCED");
    send(&mut w, "/t/a");
    w.pass(Span::secs(59));
    assert!(w.fetches.is_empty());
    assert!(explain(&mut w, "/t/a")["summary"].as_str().expect("words").contains("a fork reads it"));
    w.pass(Span::secs(2));
    let (hook, _) = w.claim();
    assert_eq!(w.done(&hook).status, 200);
    // Unlocked before its time.
    w.post("/_reveille/dev/lock", &json!({ "entity": "/t/a", "ms": 60_000 }));
    send(&mut w, "/t/a");
    assert!(w.fetches.is_empty());
    w.post("/_reveille/dev/lock", &json!({ "entity": "/t/a", "ms": 0 }));
    assert_eq!(w.fetches.len(), 1);
}

#[test]
fn a_check_finds_what_is_broken_and_repairs_it() {
    let problems = |w: &mut World| {
        let found = w.get("/_reveille/check").json();
        let list = found["problems"].as_array().expect("a list").clone();
        list.iter().map(|p| p["kind"].as_str().unwrap_or("").to_owned()).collect::<Vec<_>>()
    };
    let mend = |w: &mut World, kind: &str| {
        assert_eq!(problems(w), [kind]);
        let mended = w.post("/_reveille/check", &Json::Null);
        assert!(mended.json()["repaired"].as_i64() >= Some(1), "{}", mended.body);
        assert_eq!(problems(w), Vec::<String>::new(), "after {kind}");
    };
    let mut w = World::new();
    w.webhook_type("t");
    w.put("/_electric/entities/t/a", &json!({ "initialMessage": "one" }));
    let (hook, _) = w.claim();
    assert_eq!(problems(&mut w), Vec::<String>::new());
    exec(&w, "UPDATE entity SET status = 'idle' WHERE type = 't'");
    mend(&mut w, "not-idle");
    assert_eq!(w.status("/t/a"), "running");
    w.done(&hook);
    exec(&w, "UPDATE entity SET status = 'running' WHERE type = 't'");
    mend(&mut w, "not-running");
    exec(&w, "DELETE FROM link");
    mend(&mut w, "unlinked");
    let (hook, _) = w.claim();
    w.done(&hook);
    exec(&w, "UPDATE subscription SET url = 'https://elsewhere.test/'");
    assert_eq!(problems(&mut w), ["wrong-path"]);
    exec(&w, "UPDATE subscription SET url = 'https://agent.test/t'");
    send(&mut w, "/t/a");
    exec(&w, "DELETE FROM timer");
    mend(&mut w, "no-timer");
    w.pass(Span::secs(1));
    exec(&w, "UPDATE subscription SET wake = NULL, held = 0");
    w.fetches.clear();
    mend(&mut w, "forgotten");
    assert_eq!(w.fetches.len(), 1);
    let foreign = w.ask("GET", "/_reveille/check", &[("electric-principal", "user:a")], &Json::Null);
    assert_eq!((foreign.status, foreign.code()), (403, "UNAUTHORIZED".to_owned()));
}

/// An agent that calls before its endpoint has answered runs its entity from then on.
#[test]
fn a_heartbeat_that_overtakes_the_webhooks_answer_is_a_claim() {
    let mut w = World::new();
    w.webhook_type("t");
    w.put("/_electric/entities/t/a", &json!({ "initialMessage": "one" }));
    let hook: Json = serde_json::from_slice(&w.fetches[0].body).expect("JSON");
    assert_eq!(w.callback(&hook, &json!({ "epoch": 1 })).status, 200);
    assert_eq!(w.status("/t/a"), "running");
    w.answer(200, &json!({ "ok": true }));
    assert_eq!(w.get("/_reveille/check").json()["problems"], json!([]));
    w.done(&hook);
    assert_eq!(w.status("/t/a"), "idle");
}

#[test]
fn a_stopping_server_starts_no_delivery() {
    let mut w = World::new();
    w.webhook_type("t");
    let path = "/_electric/subscription-webhooks/x";
    assert_eq!(w.post(path, &json!({})).code(), "SUBSCRIPTION_NOT_FOUND");
    w.engine.stop();
    assert_eq!((w.post(path, &json!({})).status, w.post(path, &json!({})).code()), (503, "SERVER_STOPPING".to_owned()));
    w.put("/_electric/entities/t/a", &json!({ "initialMessage": "one" }));
    w.pass(Span::secs(60));
    assert!(w.fetches.is_empty());
    let mut w = w.restart();
    w.pass(Span::secs(1));
    assert_eq!(w.fetches.len(), 1, "it leaves when the server is back");
}
