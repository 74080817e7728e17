//! What is in the middle of something when the server goes down goes on where it was: nothing is lost, and nothing is done
//! twice. What is short enough for that stands beside what it is about; here is what takes many transactions.

use serde_json::json;

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
