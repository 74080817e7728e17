//! Holes in streams and in clients' subscriptions, each by the story of how it was fallen into.

use serde_json::{Value as Json, json};

use super::world::{Got, World};
use crate::config::Virtual;
use crate::limits::LINKS;
use crate::{Config, Span};

const ALICE: (&str, &str) = ("electric-principal", "user:alice");
const BOB: (&str, &str) = ("electric-principal", "user:bob");
const JSON: (&str, &str) = ("content-type", "application/json");

/// Makes a stream of JSON, or appends to it.
fn put(w: &mut World, path: &str) -> Got {
    w.ask("PUT", path, &[JSON], &Json::Null)
}

fn append(w: &mut World, path: &str) -> Got {
    w.ask("POST", path, &[JSON], &json!({ "n": 1 }))
}

/// A subscription of Bob's.
fn subscribe(w: &mut World, id: &str, body: &Json) {
    let got = w.ask("PUT", &format!("/__ds/subscriptions/{id}"), &[BOB], body);
    assert_eq!(got.status, 201, "{}", got.body);
}

fn streams(w: &World) -> i64 {
    w.engine.sql().number("SELECT count(*) FROM stream")
}

/// The timer of a stream's end failed once. It was tried again later, was not known by that time, and did nothing.
#[test]
fn a_stream_ends_although_its_timer_failed_once() {
    let mut w = World::new();
    w.ask("PUT", "/s", &[("stream-ttl", "1")], &Json::Null);
    *w.engine.sql().refuse_on.borrow_mut() = Some("DELETE FROM stream");
    w.pass(Span::secs(2));
    *w.engine.sql().refuse_on.borrow_mut() = None;
    assert_eq!(streams(&w), 1, "it could not be deleted");
    w.pass(Span::secs(60));
    assert_eq!(streams(&w), 0);
}

/// Where every timer is pushed back before it runs, on the virtual clock and after a trap, no stream ever ended.
#[test]
fn a_stream_ends_on_a_virtual_clock() {
    let config = Config { virtual_time: Some(Virtual::default()), ..Config::dev() };
    let mut w = World::new().restart_as(config);
    w.ask("PUT", "/s", &[("stream-ttl", "1")], &Json::Null);
    w.post("/_reveille/dev/clock", &json!({ "advance_ms": 5000 }));
    assert_eq!(streams(&w), 0);
}

/// What was pending when a wake began did not fit in one value of the store: neither that wake nor the append that was
/// its cause could be written any more.
#[test]
fn a_wake_begins_however_much_is_pending() {
    let mut w = World::new();
    subscribe(&mut w, "s", &json!({ "type": "webhook", "webhook": { "url": "https://hook.test/" }, "pattern": "**" }));
    for n in 0..600 {
        let path = format!("/{n}{}", "x".repeat(1900));
        put(&mut w, &path);
        assert_eq!(append(&mut w, &path).status, 204);
    }
    w.answer(200, &json!({ "done": true }));
    let next = w.answer(200, &json!({ "done": true }));
    assert_eq!(next["streams"].as_array().map(Vec::len), Some(600));
    assert!(w.fetches.is_empty(), "all of it was acknowledged");
}

/// Bob gave a subscription of his the name of one that dispatches Alice's entity, and her agent's callbacks were taken
/// for his.
#[test]
fn a_callback_is_to_the_subscription_of_its_token() {
    let mut w = World::new();
    w.webhook_type("horton");
    w.ask("PUT", "/_electric/entities/horton/a", &[ALICE], &json!({ "initialMessage": 1 }));
    let hook = w.answer(200, &json!({}));
    let name = hook["subscription_id"].as_str().expect("a name").to_owned();
    subscribe(
        &mut w,
        &name,
        &json!({ "type": "webhook", "webhook": { "url": "https://hook.test/" }, "streams": ["x"] }),
    );
    let token = format!("Bearer {}", hook["callback_token"].as_str().expect("a token"));
    let body = json!({ "wake_id": hook["wake_id"], "generation": hook["generation"], "done": true });
    let path = format!("/__ds/subscriptions/{name}/callback");
    let got = w.ask("POST", &path, &[("authorization", &token)], &body);
    assert_eq!(got.status, 200, "{}", got.body);
}

/// Bob named a wake stream that nobody had. Then Alice's runner had it, and the server wrote Bob's announcements there.
#[test]
fn a_runners_wake_stream_carries_its_own_announcements_alone() {
    let mut w = World::new();
    put(&mut w, "/x");
    let asks = json!({ "type": "pull-wake", "wake_stream": "runners/r/wake", "streams": ["x"] });
    subscribe(&mut w, "s", &asks);
    w.ask("POST", "/_electric/runners", &[ALICE], &json!({ "id": "r", "label": "l" }));
    append(&mut w, "/x");
    assert_eq!(w.ask("GET", "/runners/r/wake", &[ALICE], &Json::Null).body, "[]");
    assert_eq!(w.ask("GET", "/__ds/subscriptions/s", &[BOB], &Json::Null).json()["status"], "failed");
}

/// Bob waited for the wake stream of a runner that was not there yet, and followed it when it was Alice's.
#[test]
fn nobody_follows_the_wake_stream_of_anothers_runner() {
    let mut w = World::new();
    subscribe(&mut w, "s", &json!({ "type": "pull-wake", "wake_stream": "w", "streams": ["runners/r/wake"] }));
    w.ask("POST", "/_electric/runners", &[ALICE], &json!({ "id": "r", "label": "l" }));
    assert_eq!(w.ask("GET", "/__ds/subscriptions/s", &[BOB], &Json::Null).json()["streams"], json!([]));
}

/// Streams that do not exist yet did not count: a subscription could wait for any number of them.
#[test]
fn what_is_awaited_counts_as_followed() {
    let mut w = World::new();
    let paths = |kind: &str| (0..LINKS).map(|n| format!("{kind}{n}")).collect::<Vec<_>>();
    subscribe(&mut w, "s", &json!({ "type": "pull-wake", "wake_stream": "w", "streams": paths("a") }));
    let got = w.ask("POST", "/__ds/subscriptions/s/streams", &[BOB], &json!({ "streams": ["b"] }));
    assert_eq!(got.status, 400, "{}", got.body);
}

/// Somebody made a stream whose path ends with a slash. Nobody could acknowledge it, nor what came with it.
#[test]
fn whatever_a_claim_names_can_be_acknowledged_by_that_name() {
    let mut w = World::new();
    subscribe(&mut w, "s", &json!({ "type": "pull-wake", "wake_stream": "w", "pattern": "a/**" }));
    for path in ["/a/x/", "/a/x", "//a/x"] {
        put(&mut w, path);
        append(&mut w, path);
    }
    let claim = w.ask("POST", "/__ds/subscriptions/s/claim", &[BOB], &json!({ "worker": "b" })).json();
    let streams = claim["streams"].as_array().expect("streams");
    assert_eq!(streams.len(), 3);
    let acks: Vec<_> = streams.iter().map(|s| json!({ "path": s["path"], "offset": s["tail_offset"] })).collect();
    let token = format!("Bearer {}", claim["token"].as_str().expect("a token"));
    let body = json!({ "wake_id": claim["wake_id"], "generation": claim["generation"], "acks": acks, "done": true });
    let got = w.ask("POST", "/__ds/subscriptions/s/ack", &[("authorization", &token)], &body);
    assert_eq!(got.json(), json!({ "ok": true, "next_wake": false }));
}

/// A release that carried acknowledgements was refused for how they looked, although it does not look at them.
#[test]
fn a_release_ignores_acknowledgements() {
    let mut w = World::new();
    put(&mut w, "/x");
    subscribe(&mut w, "s", &json!({ "type": "pull-wake", "wake_stream": "w", "streams": ["x"] }));
    append(&mut w, "/x");
    let claim = w.ask("POST", "/__ds/subscriptions/s/claim", &[BOB], &json!({ "worker": "b" })).json();
    let token = format!("Bearer {}", claim["token"].as_str().expect("a token"));
    let body = json!({ "wake_id": claim["wake_id"], "generation": claim["generation"], "acks": [{ "path": "x" }] });
    let got = w.ask("POST", "/__ds/subscriptions/s/release", &[("authorization", &token)], &body);
    assert_eq!(got.status, 204, "{}", got.body);
}

/// Headers that are kept with a stream could be as long as a host lets them be, and every append read them again.
#[test]
fn headers_that_are_kept_are_short() {
    let mut w = World::new();
    let long = "x".repeat(5000);
    let kind = format!("text/plain; x={long}");
    assert_eq!(w.ask("PUT", "/s", &[("content-type", &kind)], &Json::Null).status, 400);
    put(&mut w, "/s");
    assert_eq!(w.ask("POST", "/s", &[JSON, ("stream-seq", &long)], &json!(1)).status, 400);
    let producer = [JSON, ("producer-id", &long), ("producer-epoch", "0"), ("producer-seq", "0")];
    assert_eq!(w.ask("POST", "/s", &producer, &json!(1)).status, 400);
}

/// A read that ended at the tail was remembered as one that still does, when more had come and one read no longer
/// reached it.
#[test]
fn a_read_that_no_longer_reaches_the_tail_has_another_etag() {
    let mut w = World::new();
    let body = "x".repeat(crate::limits::READ - 2);
    w.ask("PUT", "/s", &[("content-type", "text/plain")], &json!(body));
    let first = w.get("/s");
    assert_eq!(first.header("stream-up-to-date"), "true");
    w.ask("POST", "/s", &[("content-type", "text/plain")], &json!("more"));
    let then = w.ask("GET", "/s", &[("if-none-match", first.header("etag"))], &Json::Null);
    assert_eq!((then.status, then.header("stream-up-to-date")), (200, ""));
}

/// A thousand patterns of a thousand segments each: the first append to a stream of as many took seconds.
#[test]
fn a_pattern_has_few_segments() {
    let mut w = World::new();
    let body = |pattern: String| json!({ "type": "pull-wake", "wake_stream": "w", "pattern": pattern });
    subscribe(&mut w, "s", &body("**/*/".repeat(16)));
    let got = w.ask("PUT", "/__ds/subscriptions/t", &[BOB], &body("**/*/".repeat(500)));
    assert_eq!((got.status, got.code()), (400, "INVALID_REQUEST".to_owned()));
}

/// What a test thinks that a stream holds: its messages, each with the offset at which its append ended.
#[derive(Clone)]
struct Model {
    path: String,
    entries: Vec<(String, Vec<u64>)>,
    deleted: bool,
}

/// Whatever is appended, forked at any place, sealed and deleted in any order: every read gives what was written, and
/// when all is deleted nothing is left.
#[test]
fn reads_give_what_was_written_through_forks_and_segments() {
    for seed in 1..=3 {
        walk(seed);
    }
}

fn walk(seed: u64) {
    let mut state = seed;
    let mut below = move |n: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).expect("31 bits") % n
    };
    let mut w = World::new();
    put(&mut w, "/0");
    let mut models = vec![Model { path: "/0".to_owned(), entries: Vec::new(), deleted: false }];
    let mut number = 0;
    for _ in 0..120 {
        let at = below(models.len());
        let path = models[at].path.clone();
        match below(10) {
            0..6 if !models[at].deleted => {
                for _ in 0..=below(20) {
                    let messages: Vec<u64> = (0..=below(3)).map(|i| number + i as u64).collect();
                    number += messages.len() as u64;
                    let pad = "x".repeat([10, 3000, 20_000, 70_000][below(4)]);
                    let body: Vec<_> = messages.iter().map(|n| json!({ "n": n, "pad": pad })).collect();
                    let got = w.ask("POST", &path, &[JSON], &json!(body));
                    assert_eq!(got.status, 204, "{}", got.body);
                    models[at].entries.push((got.header("stream-next-offset").to_owned(), messages));
                }
            }
            6 => {
                let made = format!("/{}", models.len());
                let keep = below(models[at].entries.len() + 1);
                let offset = if keep == 0 { ZERO.to_owned() } else { models[at].entries[keep - 1].0.clone() };
                let next = models[at].entries.get(keep).map(|e| e.1.clone()).unwrap_or_default();
                let sub = below(next.len() + 1);
                let headers = [
                    JSON,
                    ("stream-forked-from", &path),
                    ("stream-fork-offset", &offset),
                    ("stream-fork-sub-offset", &sub.to_string()),
                ];
                let got = w.ask("PUT", &made, &headers, &Json::Null);
                let want = if models[at].deleted { [404, 409] } else { [201, 201] };
                assert!(want.contains(&got.status), "{}", got.body);
                if got.status == 201 {
                    let mut entries = models[at].entries[..keep].to_vec();
                    if sub > 0 {
                        entries.push((got.header("stream-next-offset").to_owned(), next[..sub].to_vec()));
                    }
                    models.push(Model { path: made, entries, deleted: false });
                }
            }
            7 if below(4) == 0 && models.iter().filter(|m| !m.deleted).count() > 1 => {
                let want = if models[at].deleted { [404, 410] } else { [204, 204] };
                assert!(want.contains(&w.ask("DELETE", &path, &[], &Json::Null).status));
                models[at].deleted = true;
            }
            _ => w.pass(Span::secs(11)),
        }
        let at = below(models.len());
        if !models[at].deleted {
            let from = below(models[at].entries.len() + 1);
            check(&mut w, &models[at], from);
        }
    }
    assert!(w.engine.sql().number("SELECT count(*) FROM segment") > 0, "something was sealed");
    while let Some(at) = (!models.is_empty()).then(|| below(models.len())) {
        let model = models.swap_remove(at);
        w.ask("DELETE", &model.path, &[], &Json::Null);
        w.pass(Span::secs(1));
    }
    w.pass(Span::secs(60));
    for table in ["stream", "entry", "segment", "producer", "timer"] {
        let left = w.engine.sql().number(&format!("SELECT count(*) FROM {table}"));
        assert_eq!(left, 0, "{table}, seed {seed}");
    }
}

/// Reads a stream from the end of its entry before `from` to its tail.
fn check(w: &mut World, model: &Model, from: usize) {
    let mut offset = if from == 0 { "-1".to_owned() } else { model.entries[from - 1].0.clone() };
    let mut read: Vec<u64> = Vec::new();
    loop {
        let got = w.get(&format!("{}?offset={offset}", model.path));
        let page = got.json();
        read.extend(page.as_array().expect("an array").iter().map(|m| m["n"].as_u64().expect("a number")));
        got.header("stream-next-offset").clone_into(&mut offset);
        if got.header("stream-up-to-date") == "true" {
            break;
        }
    }
    let want: Vec<u64> = model.entries[from..].iter().flat_map(|e| e.1.clone()).collect();
    assert_eq!(read, want, "{}", model.path);
    assert_eq!(offset, model.entries.last().map_or(ZERO, |e| e.0.as_str()), "{}", model.path);
}

const ZERO: &str = "0000000000000000_0000000000000000";

/// The first release gave out tokens of another form. An agent that held one when the server was replaced was refused,
/// and its work was given out a second time.
#[test]
fn a_token_of_the_first_release_still_ends_its_wake() {
    let mut w = World::new();
    w.webhook_type("horton");
    w.put("/_electric/entities/horton/a", &json!({ "initialMessage": 1 }));
    let (mut hook, _) = w.claim();
    let bare = hook["claimToken"].as_str().and_then(|t| t.rsplit('.').next()).expect("a proof").to_owned();
    hook["claimToken"] = bare.into();
    let got = w.done(&hook);
    assert_eq!(got.json(), json!({ "ok": true, "next_wake": false }), "{}", got.body);
}

/// The timer that was to end a dead agent's lease failed ten times. The wake stayed held by nobody, and no other began.
#[test]
fn a_lease_whose_timer_died_does_not_last_for_ever() {
    let mut w = World::new();
    w.webhook_type("horton");
    w.put("/_electric/entities/horton/a", &json!({ "initialMessage": 1 }));
    w.claim();
    *w.engine.sql().refuse_on.borrow_mut() = Some("SELECT l.stream, st.path");
    w.pass(Span::secs(3600));
    *w.engine.sql().refuse_on.borrow_mut() = None;
    assert_eq!(w.engine.dead_timers().expect("readable"), 1);
    w.post("/_electric/entities/horton/a/send", &json!({ "payload": 2 }));
    assert_eq!(w.fetches.len(), 1);
}

/// Endpoints that hung took every slot, and when their attempts had failed those of the oldest subscriptions took them
/// again: whoever came later was never called.
#[test]
fn a_delivery_waits_for_a_slot_in_line() {
    let mut w = World::with_fetches(2);
    put(&mut w, "/s");
    for n in 0..9 {
        let webhook = json!({ "url": format!("https://agent.test/{n}") });
        subscribe(&mut w, &format!("h{n}"), &json!({ "type": "webhook", "webhook": webhook, "streams": ["s"] }));
    }
    append(&mut w, "/s");
    let mut called = std::collections::BTreeSet::new();
    for _ in 0..6 {
        for fetch in std::mem::take(&mut w.fetches) {
            called.insert(fetch.url.clone());
            w.outcome(fetch.id, Err("no answer in time".to_owned()));
        }
        w.pass(Span::secs(20));
    }
    assert_eq!(called.len(), 9, "{called:?}");
}
