//! What is in the middle of something when the server goes down goes on where it was: nothing is lost, and nothing is done
//! twice. What is short enough for that stands beside what it is about; here is what takes many transactions.

use serde_json::{Value as Json, json};

use super::world::World;
use crate::{Command, Span};

/// How many observe one source, and how many entities they are.
const OBSERVERS: i64 = 10_000;
const ENTITIES: i64 = 50;

/// A stream `/s` on which so many registrations are that each entity holds its share of them, one after the other.
fn crowd() -> World {
    let mut w = World::new();
    w.post("/_electric/entity-types", &json!({ "name": "t", "description": "d" }));
    w.ask("PUT", "/s", &[("content-type", "application/json")], &json!([]));
    for n in 0..ENTITIES {
        assert_eq!(w.put(&format!("/_electric/entities/t/e{n}"), &json!({})).status, 201);
    }
    let one = json!({ "subscriberUrl": "/t/e0", "sourceUrl": "/s", "condition": { "on": "change" } });
    assert_eq!(w.post("/_electric/wake", &one).status, 204);
    let as_many = format!(
        "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {OBSERVERS} - 1) \
         INSERT INTO registration (id, subscriber, source, condition, manifest_key, include_response, debounce, timeout, created_at) \
         SELECT r.id + n, e.id, r.source, r.condition, CAST(n AS TEXT), 0, 0, 0, r.created_at FROM n, registration r, entity e WHERE e.url = '/t/e' || (n % {ENTITIES})"
    );
    w.engine.sql().execute(&as_many);
    w.engine.sql().execute(&format!("UPDATE clock SET serial = serial + {OBSERVERS}"));
    w.restart()
}

fn append(w: &mut World, key: &str) {
    let note = json!([{ "type": "note", "key": key, "value": {}, "headers": { "operation": "insert" } }]);
    assert_eq!(w.ask("POST", "/s", &[("content-type", "application/json")], &note).status, 204);
}

/// What each entity was told, in order: which registration's wake, about what.
fn told(w: &World) -> Vec<(i64, String)> {
    let sql = "SELECT json_group_array(json_array(json_extract(data, '$.key'), json_extract(data, '$.value.changes[0].key'))) \
               FROM (SELECT CAST(n.data AS TEXT) data FROM entry n JOIN entity e ON e.id = n.stream WHERE e.type = 't' ORDER BY e.id, n.end) WHERE json_extract(data, '$.type') = 'wake'";
    let all: Vec<(String, String)> = serde_json::from_str(&w.engine.sql().text(sql)).expect("a list");
    let registration = |key: &str| key.split('-').nth(1).and_then(|n| n.parse().ok()).expect("a number");
    all.into_iter().map(|(key, about)| (registration(&key), about)).collect()
}

#[test]
fn a_fan_out_to_ten_thousand_goes_on_after_each_restart() {
    let mut w = crowd();
    append(&mut w, "one");
    let mut chunks = 1;
    while w.engine.sql().number("SELECT count(*) FROM fan_out") > 0 {
        w = w.restart();
        w.batch(vec![Command::Tick { budget: 1 }]);
        chunks += 1;
    }
    assert_eq!(chunks, OBSERVERS / 256 + 1);
    let told = told(&w);
    assert_eq!(told.len(), usize::try_from(OBSERVERS).expect("fits"));
    assert!(told.iter().all(|(_, about)| about == "one"));
    for of_one in told.chunks(told.len() / usize::try_from(ENTITIES).expect("fits")) {
        assert!(of_one.is_sorted_by(|a, b| a.0 < b.0), "each once, in the order of registrations");
    }
    w.pass(Span::secs(60));
    assert_eq!(self::told(&w).len(), told.len());
}

/// Entities of which each has a schedule, a child that it observes, a message on its way and a shared state.
fn busy(entities: usize) -> World {
    let mut w = World::with_fetches(1_000);
    w.webhook_type("t");
    let cron = json!({ "scheduleType": "cron", "expression": "0 * * * *", "payload": 1 });
    let state = json!([{ "type": "manifest", "key": "s", "headers": { "operation": "insert" }, "value": { "kind": "shared-state", "id": "s" } }]);
    for n in 0..entities {
        let url = format!("/t/e{n}");
        let at = |rest: &str| format!("/_electric/entities{url}{rest}");
        let wake = json!({ "subscriberUrl": url, "condition": { "on": "change", "collections": ["inbox"] } });
        w.fetches.clear();
        assert_eq!(w.put(&at(""), &json!({ "initialMessage": 1 })).status, 201);
        let (hook, token) = w.claim();
        assert_eq!(w.append(&url, &token, &state).status, 204);
        assert_eq!(w.done(&hook).status, 200);
        assert_eq!(w.put(&at("-child"), &json!({ "parent": url, "wake": wake })).status, 201);
        assert_eq!(w.put(&at("/schedules/cron"), &cron).status, 200);
        assert_eq!(w.post(&at("/send"), &json!({ "payload": "later", "afterMs": 60_000 })).status, 204);
    }
    w
}

#[test]
fn to_open_costs_the_same_whatever_there_is_and_loses_none_of_it() {
    let opening = |entities: usize| {
        let w = busy(entities);
        let before = (w.engine.sql().statements.get(), w.engine.sql().dump());
        let w = w.restart();
        assert_eq!(w.engine.sql().changed_since(&before.1), [""; 0], "nothing is made anew");
        (w.engine.sql().statements.get() - before.0, w)
    };
    let (few, many) = (2, 100);
    let (statements, _) = opening(few);
    let (same, mut w) = opening(many);
    assert_eq!(statements, same);
    for n in 0..many {
        assert_eq!(w.post(&format!("/_electric/entities/t/e{n}-child/send"), &json!({ "payload": 1 })).status, 200);
    }
    w.pass(Span::secs(3600));
    for n in [0, many / 2, many - 1] {
        let url = format!("/t/e{n}");
        let inbox = w.events(&url, "inbox");
        let count = |payload: &Json| inbox.iter().filter(|e| e["value"]["payload"] == *payload).count();
        assert_eq!((count(&json!("later")), w.events(&url, "wake").len()), (1, 2), "{url}: {inbox:?}");
    }
}
