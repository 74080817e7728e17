//! Wakes and time: what is gathered, what times out, what is registered for one wake.

use serde_json::{Value as Json, json};

use super::world::World;
use crate::Span;

fn note(key: &str) -> Json {
    json!([{ "type": "note", "key": key, "headers": { "operation": "insert" } }])
}

/// A plain stream `/s` and an entity `/t/a` that observes it so.
fn observing(more: &Json) -> World {
    let mut w = World::new();
    w.webhook_type("t");
    w.put("/_electric/entities/t/a", &json!({}));
    w.ask("PUT", "/s", &[("content-type", "application/json")], &json!([]));
    let mut wake = json!({ "subscriberUrl": "/t/a", "sourceUrl": "/s", "condition": { "on": "change" } });
    wake.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    assert_eq!(w.post("/_electric/wake", &wake).status, 204);
    w
}

fn append(w: &mut World, key: &str) {
    let got = w.ask("POST", "/s", &[("content-type", "application/json")], &note(key));
    assert_eq!(got.status, 204, "{}", got.body);
}

fn keys(wake: &Json) -> Vec<String> {
    let changes = wake["value"]["changes"].as_array().expect("changes");
    changes.iter().map(|c| c["key"].as_str().unwrap_or("").to_owned()).collect()
}

#[test]
fn a_debounce_gathers_until_nothing_more_comes() {
    let mut w = observing(&json!({ "debounceMs": 1000 }));
    append(&mut w, "one");
    w.pass(Span::millis(900));
    append(&mut w, "two");
    w.pass(Span::millis(900));
    assert!(w.events("/t/a", "wake").is_empty());
    let mut w = w.restart();
    w.pass(Span::millis(200));
    let wakes = w.events("/t/a", "wake");
    assert_eq!((wakes.len(), keys(&wakes[0])), (1, vec!["one".to_owned(), "two".to_owned()]));
    append(&mut w, "three");
    w.pass(Span::millis(1100));
    assert_eq!(keys(&w.events("/t/a", "wake")[1]), ["three"]);
}

#[test]
fn a_steady_source_does_not_postpone_a_wake_for_ever() {
    let mut w = observing(&json!({ "debounceMs": 1000 }));
    for n in 0..30 {
        append(&mut w, &n.to_string());
        w.pass(Span::millis(900));
    }
    assert_eq!(w.events("/t/a", "wake").len(), 2, "ten times the debounce is the most");
    let mut w = observing(&json!({ "debounceMs": 1000 }));
    for n in 0..250 {
        append(&mut w, &n.to_string());
    }
    let wakes = w.events("/t/a", "wake");
    assert_eq!((wakes.len(), keys(&wakes[0]).len()), (2, 100), "and so are a hundred changes");
    w.pass(Span::millis(1100));
    assert_eq!(keys(&w.events("/t/a", "wake")[2]).len(), 50);
}

#[test]
fn what_was_gathered_goes_with_its_registration() {
    let mut w = observing(&json!({ "debounceMs": 1000, "manifestKey": "k" }));
    append(&mut w, "one");
    w.post("/_electric/wake/unregister", &json!({ "subscriberUrl": "/t/a", "manifestKey": "k" }));
    w.pass(Span::secs(2));
    assert!(w.events("/t/a", "wake").is_empty());
    let mut left = 1;
    let count = &mut |row: crate::store::Row<'_>| row.int(0).map(|n| left = n);
    crate::store::Sql::run(w.engine.sql(), "SELECT count(*) FROM gathered", &[], count).expect("counts");
    assert_eq!(left, 0);
}

#[test]
fn a_timeout_is_told_once_and_ends_with_the_first_match() {
    let mut w = observing(&json!({ "timeoutMs": 5000 }));
    w.pass(Span::secs(4));
    let mut w = w.restart();
    w.pass(Span::secs(2));
    let wakes = w.events("/t/a", "wake");
    assert_eq!(wakes.len(), 1);
    assert_eq!((&wakes[0]["value"]["timeout"], &wakes[0]["value"]["changes"]), (&json!(true), &json!([])));
    append(&mut w, "late");
    w.pass(Span::secs(60));
    assert_eq!(w.events("/t/a", "wake").len(), 2, "it stays registered, and does not time out again");

    let mut w = observing(&json!({ "timeoutMs": 5000 }));
    append(&mut w, "in time");
    w.pass(Span::secs(60));
    assert_eq!(w.events("/t/a", "wake").len(), 1);
    let mut w = observing(&json!({ "timeoutMs": 5000, "debounceMs": 60_000 }));
    append(&mut w, "in time");
    w.pass(Span::secs(59));
    assert!(w.events("/t/a", "wake").is_empty(), "what is gathered has come, too");
}

#[test]
fn one_shot_is_one_wake() {
    let mut w = observing(&json!({ "oneShot": true }));
    append(&mut w, "one");
    append(&mut w, "two");
    assert_eq!(w.events("/t/a", "wake").len(), 1);
    let mut w = observing(&json!({ "oneShot": true, "debounceMs": 1000 }));
    append(&mut w, "one");
    append(&mut w, "two");
    w.pass(Span::secs(2));
    append(&mut w, "three");
    w.pass(Span::secs(2));
    let wakes = w.events("/t/a", "wake");
    assert_eq!((wakes.len(), keys(&wakes[0])), (1, vec!["one".to_owned(), "two".to_owned()]));
}
