//! Shapes: what changes in one is appended once, wherever the server is interrupted, and the questions for it leave room
//! for what is delivered.

use serde_json::{Value as Json, json};

use super::world::{Got, World, got};
use crate::config::{Config, Virtual};
use crate::{Answer, EffectId, Fetch, Span};

const SHAPE: &str = "http://127.0.0.1:3000/v1/shape";

fn registration(table: &str) -> Json {
    json!({ "options": { "url": SHAPE, "table": table }, "metadata": { "entityUrl": "/t/a" } })
}

/// Answers the oldest question as a shape does. What a parked command says then comes back.
fn told(w: &mut World, at: &str, changes: &[Json]) -> (Fetch, Option<Got>) {
    let mut body = changes.to_vec();
    body.push(json!({ "headers": { "control": "up-to-date" } }));
    tell(w, 200, &[("electric-handle", "h1"), ("electric-offset", at)], &json!(body))
}

fn tell(w: &mut World, status: u16, headers: &[(&str, &str)], body: &Json) -> (Fetch, Option<Got>) {
    let at = w.fetches.iter().position(|fetch| fetch.method == http::Method::GET).expect("a question");
    let fetch = w.fetches.remove(at);
    let schema = r#"{"id":{"type":"int4"}}"#;
    let mut headers: Vec<_> = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    headers.push(("electric-schema".to_owned(), schema.to_owned()));
    let answer = Answer { status, headers, body: body.to_string().into_bytes() };
    let turn = w.batch(vec![crate::Command::Outcome { effect: fetch.id.clone(), result: Ok(answer) }]).remove(0);
    let said = if turn.replies.is_empty() { None } else { Some(got(turn)) };
    (fetch, said)
}

fn change(id: i64) -> Json {
    json!({ "key": format!("k{id}"), "value": { "id": id.to_string() }, "headers": { "operation": "insert", "lsn": "5" } })
}

/// An entity `/t/a` that observes a shape; gives the shape's stream.
fn observing(w: &mut World) -> String {
    w.webhook_type("t");
    w.put("/_electric/entities/t/a", &json!({}));
    let path = follow(w, "todos");
    let wake = json!({ "subscriberUrl": "/t/a", "sourceUrl": path, "condition": { "on": "change" } });
    assert_eq!(w.post("/_electric/wake", &wake).status, 204);
    path
}

fn follow(w: &mut World, table: &str) -> String {
    w.batch(vec![World::command("POST", "/_electric/pg-sync/register", &[], &registration(table).to_string())]);
    w.fetches.rotate_right(1);
    let (probe, said) = told(w, "0_inf", &[]);
    assert!(probe.url.contains("offset=now") && probe.url.contains("log=changes_only"), "{}", probe.url);
    let said = said.expect("an answer").json();
    said["streamUrl"].as_str().expect("a stream").to_owned()
}

fn keys(w: &mut World, path: &str) -> Vec<String> {
    let all = w.get(path).json();
    all.as_array().expect("an array").iter().map(|e| e["key"].as_str().unwrap_or("").to_owned()).collect()
}

/// The keys that the wakes of `/t/a` name, in order.
fn woken(w: &mut World) -> Vec<String> {
    let wakes = w.events("/t/a", "wake");
    let changes = wakes.iter().flat_map(|wake| wake["value"]["changes"].as_array().expect("changes"));
    changes.map(|change| change["key"].as_str().unwrap_or("").to_owned()).collect()
}

#[test]
fn what_changes_is_appended_and_wakes() {
    let mut w = World::new();
    let path = observing(&mut w);
    let (question, _) = told(&mut w, "7_0", &[change(1)]);
    assert!(question.url.contains("offset=0_inf&handle=h1&live=true&cursor="), "{}", question.url);
    let stored = w.get(&path).json();
    assert_eq!(stored[0]["value"]["value"], json!({ "id": 1 }));
    assert_eq!(woken(&mut w), ["k1"]);
    let (question, _) = told(&mut w, "9_0", &[change(2), change(3)]);
    assert!(question.url.contains("offset=7_0"), "{}", question.url);
    assert_eq!(keys(&mut w, &path), ["k1", "k2", "k3"]);
}

#[test]
fn registering_twice_follows_once() {
    let mut w = World::new();
    let path = observing(&mut w);
    let again = w.post("/_electric/pg-sync/register", &registration("todos"));
    assert_eq!((again.status, again.json()["streamUrl"].as_str()), (200, Some(&*path)));
    assert_eq!(w.fetches.iter().filter(|f| f.method == http::Method::GET).count(), 1);
    // Two that come together both ask, and one of them begins.
    let command = || World::command("POST", "/_electric/pg-sync/register", &[], &registration("other").to_string());
    w.batch(vec![command(), command()]);
    w.fetches.rotate_left(1);
    let first = told(&mut w, "0_inf", &[]).1.expect("an answer").json();
    let second = told(&mut w, "0_inf", &[]).1.expect("an answer").json();
    assert_eq!(first, second);
}

#[test]
fn a_restart_asks_at_once_from_where_the_reading_stands() {
    let mut w = World::new();
    let path = observing(&mut w);
    told(&mut w, "7_0", &[change(1)]);
    let late = w.fetches.iter().find(|f| f.method == http::Method::GET).expect("a question").id.clone();
    let mut w = w.restart();
    assert!(w.deadline.expect("something is due") <= w.now);
    w.pass(Span::ZERO);
    // What the one before was told is not heard any more.
    let answer = Answer { status: 200, headers: Vec::new(), body: Vec::new() };
    w.outcome(late, Ok(answer));
    let (question, _) = told(&mut w, "9_0", &[change(2)]);
    assert!(question.url.contains("offset=7_0&handle=h1"), "{}", question.url);
    assert_eq!(keys(&mut w, &path), ["k1", "k2"]);
    assert_eq!(woken(&mut w), ["k1", "k2"]);
}

#[test]
fn a_long_page_wakes_in_chunks_that_survive_a_restart() {
    let mut w = World::new();
    let path = observing(&mut w);
    let many: Vec<Json> = (0..1000).map(change).collect();
    let want: Vec<String> = (0..1000).map(|n| format!("k{n}")).collect();
    told(&mut w, "7_0", &many);
    assert_eq!(keys(&mut w, &path), want, "what was read is there at once");
    let now = woken(&mut w).len();
    assert!(now <= 256, "{now} wakes in one transaction");
    let mut w = w.restart();
    w.batch(vec![crate::Command::Tick { budget: 1 }]);
    let mut w = w.restart();
    w.pass(Span::secs(1));
    assert_eq!(woken(&mut w), want, "each once, in order");
}

#[test]
fn a_failure_is_tried_again_from_where_the_reading_stands() {
    let mut w = World::new();
    let path = observing(&mut w);
    told(&mut w, "7_0", &[change(1)]);
    let busy = json!("overloaded");
    tell(&mut w, 503, &[("retry-after", "7")], &busy);
    let coming = w.get("/_reveille/entities/t/a/next").json()["next"].to_string();
    assert!(coming.contains("the shape behind") && coming.contains("answered 503"), "{coming}");
    w.pass(Span::millis(6_900));
    assert!(w.fetches.iter().all(|f| f.method != http::Method::GET), "it was asked to wait");
    w.pass(Span::millis(200));
    // After a failure nobody waits: what is missing is told at once.
    let (question, _) = tell(&mut w, 200, &[], &json!([]));
    assert!(question.url.contains("offset=7_0") && !question.url.contains("live"), "{}", question.url);
    w.pass(Span::secs(3));
    told(&mut w, "9_0", &[change(2)]);
    assert_eq!(keys(&mut w, &path), ["k1", "k2"]);
    // An answer that never comes is a failure, too.
    w.fetches.clear();
    w.pass(Span::secs(55));
    let (question, _) = told(&mut w, "9_0", &[]);
    assert!(question.url.contains("offset=9_0"), "{}", question.url);
}

/// Each jump of the clock gave up the question that was on its way and asked again, every minute of a year: the clock did
/// not answer for a quarter of a minute, and answers came to questions that nobody waited for any more.
#[test]
fn a_question_outlives_every_jump_of_a_virtual_clock() {
    let config = Config { virtual_time: Some(Virtual::default()), ..Config::dev() };
    let mut w = World::new().restart_as(config);
    let path = observing(&mut w);
    w.post("/_reveille/dev/clock", &json!({ "advance_ms": 365 * 86_400_000_i64 }));
    assert_eq!(w.fetches.iter().filter(|f| f.method == http::Method::GET).count(), 1);
    told(&mut w, "7_0", &[change(1)]);
    assert_eq!(keys(&mut w, &path), ["k1"]);
}

#[test]
fn a_log_that_is_gone_is_followed_anew() {
    let mut w = World::new();
    let path = observing(&mut w);
    told(&mut w, "7_0", &[change(1)]);
    tell(&mut w, 409, &[("electric-handle", "h2")], &json!([]));
    let head = [("electric-handle", "h2"), ("electric-offset", "3_0")];
    let (question, _) = tell(&mut w, 200, &head, &json!([change(2), { "headers": { "control": "up-to-date" } }]));
    assert!(question.url.contains("offset=now") && !question.url.contains("handle"), "{}", question.url);
    let (question, _) = tell(&mut w, 200, &head, &json!([change(3), { "headers": { "control": "up-to-date" } }]));
    assert!(question.url.contains("offset=3_0&handle=h2&live=true"), "{}", question.url);
    assert_eq!(keys(&mut w, &path), ["k1", "k3"], "what was there before is not told");
    // One that is gone whenever it is asked is left alone for a while.
    for _ in 0..2 {
        tell(&mut w, 409, &[], &json!([]));
    }
    assert!(w.fetches.iter().all(|f| f.method != http::Method::GET));
}

#[test]
fn a_shape_that_does_not_wait_is_not_asked_without_end() {
    let mut w = World::new();
    observing(&mut w);
    told(&mut w, "0_inf", &[]);
    assert!(w.fetches.iter().all(|f| f.method != http::Method::GET), "it came back at once, with nothing");
    w.pass(Span::secs(1));
    tell(&mut w, 200, &[("electric-handle", "h1"), ("electric-offset", "0_inf")], &json!([]));
    assert!(w.fetches.iter().all(|f| f.method != http::Method::GET), "it neither moves nor ends");
}

#[test]
fn questions_leave_room_for_deliveries() {
    let mut w = World::with_fetches(6);
    observing(&mut w);
    for n in 0..2 {
        follow(&mut w, &format!("table{n}"));
    }
    let waiting = |w: &World| w.fetches.iter().filter(|f| f.url.contains("live=true")).count();
    assert_eq!((waiting(&w), w.engine.in_flight()), (3, 3));
    let more: Vec<_> = (0..2)
        .map(|n| {
            World::command("POST", "/_electric/pg-sync/register", &[], &registration(&format!("more{n}")).to_string())
        })
        .collect();
    w.batch(more);
    for _ in 0..2 {
        let at = w.fetches.iter().position(|f| f.url.contains("more") && matches!(f.id, EffectId::Pending(_)));
        w.fetches.swap(0, at.expect("a probe"));
        told(&mut w, "0_inf", &[]);
    }
    assert!(w.engine.in_flight() <= 3, "{} in flight", w.engine.in_flight());
    // Those that wait come back, and now that there are more than slots, nobody waits.
    for _ in 0..3 {
        told(&mut w, "1_0", &[]);
    }
    w.pass(Span::secs(2));
    assert!(w.fetches.iter().any(|f| f.method == http::Method::GET) && waiting(&w) == 0);
    w.post("/_electric/entities/t/a/send", &json!({ "payload": 1 }));
    assert!(w.fetches.iter().any(|f| f.method == http::Method::POST), "a delivery has a slot");
}

#[test]
fn a_shape_is_its_registrants() {
    let mut w = World::new();
    let path = observing(&mut w);
    let anna = [("electric-principal", "user:anna")];
    assert_eq!(w.ask("GET", &path, &anna, &Json::Null).status, 401);
    for method in ["POST", "PUT", "DELETE"] {
        assert_eq!(w.ask(method, &path, &[("content-type", "application/json")], &json!([])).status, 404, "{method}");
    }
    w.ask("PUT", "/_electric/entities/t/annas", &anna, &json!({}));
    let wake = json!({ "subscriberUrl": "/t/annas", "sourceUrl": path, "condition": { "on": "change" } });
    assert_eq!(w.ask("POST", "/_electric/wake", &anna, &wake).status, 401);
    // What its server may believe of an entity, its owner says.
    let body = registration("todos");
    assert_eq!(w.ask("POST", "/_electric/pg-sync/register", &anna, &body).status, 401);
    // A name that nobody has registered yet is nobody's to wait for.
    let guessed = json!({ "subscriberUrl": "/t/annas", "sourceUrl": "/_electric/pg-sync/default/0123456789abcdef", "condition": { "on": "change" } });
    assert_eq!(w.ask("POST", "/_electric/wake", &anna, &guessed).status, 401);
}

#[test]
fn a_shape_that_fails_and_that_nobody_observes_comes_to_rest() {
    let mut w = World::new();
    w.webhook_type("t");
    w.put("/_electric/entities/t/a", &json!({}));
    let path = follow(&mut w, "todos");
    let asked = |w: &World| w.fetches.iter().filter(|f| f.method == http::Method::GET).count();
    let fail = |w: &mut World| {
        tell(w, 500, &[], &json!("down"));
        w.pass(Span::secs(40));
    };
    let mut failures = 0;
    while asked(&w) > 0 {
        fail(&mut w);
        failures += 1;
    }
    assert_eq!(failures, 20);
    // Whoever observes it is told what changes from where the reading stood.
    let wake = json!({ "subscriberUrl": "/t/a", "sourceUrl": path, "condition": { "on": "change" } });
    assert_eq!(w.post("/_electric/wake", &wake).status, 204);
    for _ in 0..40 {
        fail(&mut w);
    }
    assert_eq!(asked(&w), 1, "what is observed is asked for ever");
    let (question, _) = told(&mut w, "7_0", &[change(1)]);
    assert!(question.url.contains("offset=0_inf&handle=h1"), "{}", question.url);
    assert_eq!(woken(&mut w), ["k1"]);
}
