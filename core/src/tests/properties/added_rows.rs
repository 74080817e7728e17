//! Where others may only add rows, a key is taken if and only if the stream, read from its beginning, has a row with it:
//! whatever its agent did, from wherever it was forked, and after each restart.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::check;
use crate::tests::world::{World, everybody};

#[derive(Clone, Debug)]
enum Step {
    /// Somebody adds a row with a key to an entity.
    Add(prop::sample::Index, usize),
    /// An entity's agent appends these, in one append.
    Tell(prop::sample::Index, Vec<(&'static str, usize)>),
    /// An entity is forked, as it is or after one of its events.
    Fork(prop::sample::Index, Option<prop::sample::Index>),
    Restart,
}

const KEYS: usize = 4;
const ENTITIES: usize = 6;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let whom = || any::<prop::sample::Index>();
    let operation = prop::sample::select(vec!["insert", "update", "upsert", "delete", "delete"]);
    let rows = prop::collection::vec((operation, 0..KEYS), 1..5);
    let step = prop_oneof![
        6 => (whom(), 0..KEYS).prop_map(|(whom, key)| Step::Add(whom, key)),
        4 => (whom(), rows).prop_map(|(whom, rows)| Step::Tell(whom, rows)),
        2 => (whom(), prop::option::of(whom())).prop_map(|(whom, at)| Step::Fork(whom, at)),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..25)
}

fn begun() -> World {
    let mut w = World::new();
    let policy = json!({ "targets": [{ "type": "webhook", "url": "https://agent.test/t", "subscription_id": "t" }] });
    let collections = json!({
        "notes": { "type": "state:notes" },
        "more": { "type": "state:notes", "operations": [] },
        "todos": { "type": "state:todos", "operations": ["insert", "update"] },
    });
    let kind = json!({
        "name": "t", "description": "d", "default_dispatch_policy": policy, "permission_grants": everybody(),
        "externally_writable_collections": collections,
    });
    assert_eq!(w.post("/_electric/entity-types", &kind).status, 201);
    assert_eq!(w.put("/_electric/entities/t/e", &json!({})).status, 201);
    w
}

/// The keys of the notes that a stream says are there.
fn there(w: &mut World, url: &str) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for event in w.events(url, "state:notes") {
        let key = event["key"].as_str().expect("a key").to_owned();
        let gone = event["headers"]["operation"] == "delete";
        let _ = if gone { keys.remove(&key) } else { keys.insert(key) };
    }
    keys
}

/// Lets every agent that is awake do nothing.
fn rest(w: &mut World) {
    while !w.fetches.is_empty() {
        let (hook, _) = w.claim();
        assert_eq!(w.done(&hook).status, 200);
    }
}

fn tell(w: &mut World, url: &str, rows: &[(&str, usize)]) {
    rest(w);
    assert_eq!(w.post(&format!("/_electric/entities{url}/send"), &json!({ "payload": 1 })).status, 200);
    let (hook, token) = w.claim();
    let event = |(operation, key): &(&str, usize)| json!({ "type": "state:notes", "key": format!("k{key}"), "value": {}, "headers": { "operation": operation } });
    let events: Json = rows.iter().map(event).collect();
    assert_eq!(w.append(url, &token, &events).status, 204);
    assert_eq!(w.done(&hook).status, 200);
}

/// Where a stream can be branched off: after an append, so many messages of the next.
fn places(w: &mut World, url: &str) -> Vec<Json> {
    let all = w.get(&format!("{url}/main")).json();
    let mut appends: BTreeMap<String, usize> = BTreeMap::new();
    for event in all.as_array().expect("an array") {
        *appends.entry(event["headers"]["offset"].as_str().expect("stamped").to_owned()).or_default() += 1;
    }
    let ends: Vec<(String, usize)> = appends.into_iter().collect();
    let after = |pair: &[(String, usize)]| {
        let anchor = pair[0].0.clone();
        (1..=pair[1].1).map(move |sub| json!({ "offset": anchor, "sub_offset": sub })).collect::<Vec<_>>()
    };
    ends.windows(2).flat_map(after).collect()
}

fn fork(w: &mut World, url: &str, at: Option<prop::sample::Index>) -> String {
    rest(w);
    let places = places(w, url);
    let body = match at.filter(|_| !places.is_empty()) {
        Some(at) => json!({ "fork_pointer": at.get(&places) }),
        None => json!({}),
    };
    let got = w.post(&format!("/_electric/entities{url}/fork"), &body);
    assert_eq!(got.status, 201, "{body}: {}", got.body);
    got.json()["root"]["url"].as_str().expect("a URL").to_owned()
}

#[test]
fn a_key_is_taken_if_the_stream_has_a_row_with_it() {
    check(60, &steps(), |steps| {
        let (mut w, mut urls) = (begun(), vec!["/t/e".to_owned()]);
        for (n, step) in steps.iter().enumerate() {
            match step {
                Step::Add(whom, key) => {
                    let (url, key) = (whom.get(&urls).clone(), format!("k{key}"));
                    let before = there(&mut w, &url);
                    let body = json!({ "operation": "insert", "key": key, "value": { "n": n } });
                    let got = w.post(&format!("/_electric/entities{url}/collections/notes"), &body);
                    let want = if before.contains(&key) { 409 } else { 201 };
                    prop_assert_eq!(got.status, want, "{} {}: {} of {:?}", url, key, got.body, before);
                }
                Step::Tell(whom, rows) => tell(&mut w, &whom.get(&urls).clone(), rows),
                Step::Fork(whom, at) if urls.len() < ENTITIES => {
                    let url = whom.get(&urls).clone();
                    let copy = fork(&mut w, &url, *at);
                    urls.push(copy);
                }
                Step::Fork(..) => {}
                Step::Restart => {
                    rest(&mut w);
                    w = w.restart();
                }
            }
        }
        Ok(())
    });
}
