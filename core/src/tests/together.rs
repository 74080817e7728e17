//! Commands that come together: each sees what those before it did, as if it had come alone.

use serde_json::{Value as Json, json};

use super::world::{Got, World, got};

fn with_type() -> World {
    let mut w = World::new();
    w.webhook_type("t");
    w
}

fn post(path: &str, body: &Json) -> crate::Command {
    World::command("POST", path, &[], &body.to_string())
}

fn spawn(url: &str, body: &Json) -> crate::Command {
    World::command("PUT", &format!("/_electric/entities{url}"), &[], &body.to_string())
}

fn answers(w: &mut World, commands: Vec<crate::Command>) -> Vec<Got> {
    w.batch(commands).into_iter().map(got).collect()
}

#[test]
fn a_signal_acts_on_what_the_one_before_it_left() {
    let mut w = with_type();
    w.put("/_electric/entities/t/a", &json!({}));
    let signals = ["SIGSTOP", "SIGSTOP", "SIGCONT", "SIGKILL", "SIGKILL", "SIGCONT"];
    let signal = |name: &&str| post("/_electric/entities/t/a/signal", &json!({ "signal": name }));
    let answers = answers(&mut w, signals.iter().map(signal).collect());
    let states: Vec<_> =
        answers.iter().map(Got::json).map(|a| (a["previous_state"].clone(), a["new_state"].clone())).collect();
    let went = |from: &str, to: &str| (json!(from), json!(to));
    let refused = (Json::Null, Json::Null);
    assert_eq!(
        states,
        [
            went("idle", "paused"),
            went("paused", "paused"),
            went("paused", "idle"),
            went("idle", "killed"),
            refused.clone(),
            refused
        ]
    );
    assert_eq!(answers[4].code(), "INVALID_SIGNAL", "{}", answers[4].body);
    let written: Vec<Json> = w.events("/t/a", "signal").iter().map(|e| e["value"]["signal"].clone()).collect();
    assert_eq!(written, signals[..4]);
}

#[test]
fn a_message_that_comes_with_the_end_is_before_it_or_refused() {
    let mut w = with_type();
    w.put("/_electric/entities/t/a", &json!({}));
    let send = |n: u8| post("/_electric/entities/t/a/send", &json!({ "payload": n }));
    let kill = World::command("DELETE", "/_electric/entities/t/a", &[], "");
    let answers = answers(&mut w, vec![send(1), kill, send(2)]);
    assert_eq!([answers[0].status / 100, answers[1].status / 100], [2, 2]);
    assert_eq!((answers[2].status, answers[2].code().as_str()), (409, "NOT_RUNNING"), "{}", answers[2].body);
    let payloads: Vec<Json> = w.events("/t/a", "inbox").iter().map(|e| e["value"]["payload"].clone()).collect();
    assert_eq!(payloads, [json!(1)]);
    assert_eq!(w.get("/t/a/main?offset=now").header("stream-closed"), "true");
}

#[test]
fn registrations_of_a_type_all_count_and_the_last_stands() {
    let mut w = World::new();
    let register = |text: &str| post("/_electric/entity-types", &json!({ "name": "t", "description": text }));
    let answers = answers(&mut w, ["one", "two", "three"].map(register).into());
    let revisions: Vec<Json> = answers.iter().map(|a| a.json()["revision"].clone()).collect();
    assert_eq!(revisions, [json!(1), json!(2), json!(3)]);
    let shown = w.get("/_electric/entity-types/t").json();
    assert_eq!((&shown["description"], &shown["revision"]), (&json!("three"), &json!(3)));
}

#[test]
fn one_registration_that_comes_twice_wakes_once() {
    let mut w = with_type();
    for id in ["a", "b"] {
        w.put(&format!("/_electric/entities/t/{id}"), &json!({}));
    }
    let wake = json!({ "subscriberUrl": "/t/a", "sourceUrl": "/t/b", "condition": { "on": "change", "collections": ["inbox"] } });
    let all = answers(&mut w, (0..3).map(|_| post("/_electric/wake", &wake)).collect());
    assert!(all.iter().all(|answer| answer.status == 204));
    w.post("/_electric/entities/t/b/send", &json!({ "payload": 1 }));
    assert_eq!(w.events("/t/a", "wake").len(), 1);
}

#[test]
fn who_loses_a_race_to_a_url_leaves_no_wake_no_grant_and_no_message() {
    let mut w = with_type();
    for id in ["first", "second"] {
        w.put(&format!("/_electric/entities/t/{id}"), &json!({}));
    }
    let child = |parent: &str, reader: &str| {
        let reader = format!("/principal/user%3A{reader}");
        let read = json!({ "subject_kind": "principal", "subject_value": reader, "permission": "read" });
        let wake = json!({ "subscriberUrl": parent, "condition": { "on": "change", "collections": ["inbox"] } });
        spawn("/t/child", &json!({ "parent": parent, "wake": wake, "grants": [read], "initialMessage": parent }))
    };
    let won = answers(&mut w, vec![child("/t/first", "bob"), child("/t/second", "carol")]);
    assert_eq!([won[0].status, won[1].status], [201, 409]);
    let shown = w.get("/_electric/entities/t/child").json();
    assert_eq!(shown["parent"], "/t/first");
    let grants = w.get("/_electric/entities/t/child/grants").json()["grants"].clone();
    assert_eq!(
        (grants.as_array().map(Vec::len), &grants[0]["subject_value"]),
        (Some(1), &json!("/principal/user%3Abob"))
    );
    assert_eq!(w.events("/t/child", "inbox").len(), 1);
    w.post("/_electric/entities/t/child/send", &json!({ "payload": 1 }));
    assert_eq!(w.events("/t/second", "wake"), [] as [Json; 0]);
    assert!(!w.events("/t/first", "wake").is_empty());
}
