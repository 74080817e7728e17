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

/// An entity `/t/a` that has been woken and claimed, and the write token of that claim.
fn working() -> (World, String) {
    let mut w = World::new();
    w.webhook_type("t");
    w.put("/_electric/entities/t/a", &json!({ "initialMessage": "go" }));
    w.put("/_electric/entities/t/b", &json!({}));
    let (_, token) = w.claim();
    (w, token)
}

fn manifest(w: &mut World, token: &str, key: &str, operation: &str, value: &Json) {
    let row = json!([{ "type": "manifest", "key": key, "value": value, "headers": { "operation": operation } }]);
    let got = w.append("/t/a", token, &row);
    assert_eq!(got.status, 204, "{}", got.body);
}

fn held(w: &mut World) -> Vec<Json> {
    let got = w.get("/_reveille/entities/t/a/explain").json();
    got["registrations"].as_array().expect("a list").clone()
}

#[test]
fn a_manifest_is_what_an_entity_observes() {
    let (mut w, token) = working();
    let child = json!({ "kind": "child", "entity_url": "/t/b", "wake": "runFinished" });
    manifest(&mut w, &token, "child:t:b", "insert", &child);
    let first = held(&mut w);
    assert_eq!((first.len(), &first[0]["source"]), (1, &json!("/t/b")));
    manifest(&mut w, &token, "child:t:b", "upsert", &child);
    assert_eq!(held(&mut w), first, "what stays the same is kept");
    let changed = json!({ "kind": "child", "entity_url": "/t/b", "wake": { "on": "change" } });
    manifest(&mut w, &token, "child:t:b", "update", &changed);
    let second = held(&mut w);
    assert_eq!((second.len(), &second[0]["condition"]["on"]), (1, &json!("change")));
    let mut w = w.restart();
    manifest(&mut w, &token, "child:t:b", "delete", &Json::Null);
    assert!(held(&mut w).is_empty());
}

#[test]
fn what_a_manifest_cannot_have_is_told_and_refuses_nothing() {
    let (mut w, token) = working();
    let foreign = [("electric-principal", "user:other")];
    assert_eq!(w.ask("PUT", "/_electric/entities/t/theirs", &foreign, &json!({})).status, 201);
    w.ask(
        "PUT",
        "/_electric/entities/t/mine",
        &[("electric-principal", "user:me")],
        &json!({ "initialMessage": "go" }),
    );
    let (_, mine) = w.claim();
    let row =
        |wake: &Json| json!([{ "type": "manifest", "key": "k", "value": wake, "headers": { "operation": "insert" } }]);
    let theirs = json!({ "kind": "child", "entity_url": "/t/theirs", "wake": "runFinished" });
    assert_eq!(w.append("/t/mine", &mine, &row(&theirs)).status, 204);
    let never = json!({ "kind": "schedule", "scheduleType": "cron", "expression": "61 * * * *" });
    assert_eq!(w.append("/t/mine", &mine, &row(&never)).status, 204);
    let told = w.get("/_reveille/entities/t/mine/journal").json()["steps"].clone();
    let refused: Vec<&str> = told
        .as_array()
        .expect("steps")
        .iter()
        .filter(|s| s["what"] == "refused")
        .map(|s| s["why"].as_str().unwrap_or(""))
        .collect();
    assert_eq!(refused, ["Principal is not allowed to read /t/theirs", "Invalid cron expression: \"61 * * * *\""]);
    manifest(&mut w, &token, "other", "insert", &json!({ "kind": "goal" }));
}

#[test]
fn a_schedule_ticks_and_ends_and_begins_again() {
    let (mut w, _) = working();
    let put = |w: &mut World, expression: &str| {
        let body = json!({ "scheduleType": "cron", "expression": expression, "payload": 1 });
        w.put("/_electric/entities/t/a/schedules/s", &body)
    };
    assert_eq!(put(&mut w, "* * * * *").status, 200);
    let next = w.get("/_reveille/entities/t/a/next").json()["next"].clone();
    assert!(next.as_array().expect("a list").iter().any(|n| n["kind"] == "schedule"), "{next}");
    w.pass(Span::secs(150));
    let mut w = w.restart();
    let ticks = |w: &mut World| w.events("/t/a", "wake").len();
    assert_eq!(ticks(&mut w), 2);
    // A downtime is one tick, not a storm of them.
    w.now = w.now + Span::secs(86_400);
    w.pass(Span::secs(1));
    assert_eq!(ticks(&mut w), 3);
    assert_eq!(w.ask("DELETE", "/_electric/entities/t/a/schedules/s", &[], &Json::Null).status, 200);
    w.pass(Span::secs(600));
    assert_eq!(ticks(&mut w), 3);
    assert_eq!(put(&mut w, "* * * * *").status, 200);
    w.pass(Span::secs(61));
    assert_eq!(ticks(&mut w), 4, "a chain that ended begins again");
    let rows = w.events("/t/a", "manifest");
    assert_eq!(rows.len(), 3);
    // Who registers on a chain's path has it tick, too.
    let hourly = w.post("/_electric/observations/cron/ensure-stream", &json!({ "expression": "0 * * * *" })).json();
    w.pass(Span::secs(7300));
    let wake = json!({ "subscriberUrl": "/t/b", "sourceUrl": hourly["streamUrl"], "condition": { "on": "change" } });
    assert_eq!(w.post("/_electric/wake", &wake).status, 204);
    w.pass(Span::secs(3600));
    assert_eq!(w.events("/t/b", "wake").len(), 1, "also when it had ended");
    assert_eq!(put(&mut w, "0 0 31 2 *").status, 400);
    let bad = w.put(
        "/_electric/entities/t/a/schedules/s",
        &json!({ "scheduleType": "cron", "expression": "* * * * *", "timezone": "Mars/Olympus", "payload": 1 }),
    );
    assert_eq!(bad.json()["error"]["message"], json!("Invalid cron timezone: \"Mars/Olympus\""));
    assert_eq!(w.events("/t/a", "manifest").len(), 3, "a refusal leaves no row");
}

#[test]
fn a_message_is_sent_when_its_manifest_says_so() {
    let (mut w, _) = working();
    let at = |seconds: i64| (w_now() + Span::secs(seconds)).iso();
    fn w_now() -> crate::Time {
        crate::Time::from_millis(1_800_000_000_000)
    }
    let body = |seconds: i64| json!({ "scheduleType": "future_send", "fireAt": at(seconds), "payload": { "n": 12345678901234567890u64 }, "targetUrl": "/t/b" });
    assert_eq!(w.put("/_electric/entities/t/a/schedules/s", &body(60)).status, 200);
    assert_eq!(w.put("/_electric/entities/t/a/schedules/s", &body(120)).status, 200, "in its place");
    w.pass(Span::secs(61));
    assert!(w.events("/t/b", "inbox").is_empty());
    let mut w = w.restart();
    w.pass(Span::secs(61));
    let inbox = w.events("/t/b", "inbox");
    assert_eq!((inbox.len(), inbox[0]["value"]["payload"].to_string()), (1, "{\"n\":12345678901234567890}".to_owned()));
    let rows = w.events("/t/a", "manifest");
    assert_eq!(
        rows.iter().map(|r| r["value"]["status"].as_str().unwrap_or("")).collect::<Vec<_>>(),
        ["pending", "pending", "sent"]
    );
    // The runtime's own row: the same message once, however often it is written; and what cannot be sent says so.
    let row = |status: &str| json!({ "kind": "schedule", "id": "x", "scheduleType": "future_send", "fireAt": at(160), "targetUrl": "/t/b", "producerId": "p1", "payload": 1, "status": status });
    // Its lease was over long ago: it is given out again.
    w.fetches.clear();
    w.pass(Span::secs(31));
    let token = loop {
        let (hook, token) = w.claim();
        if hook["entity"]["url"] == "/t/a" {
            break token;
        }
    };
    manifest(&mut w, &token, "schedule:x", "insert", &row("pending"));
    manifest(&mut w, &token, "schedule:x", "update", &row("pending"));
    w.pass(Span::secs(10));
    manifest(&mut w, &token, "schedule:x", "update", &row("pending"));
    w.pass(Span::secs(10));
    assert_eq!(w.events("/t/b", "inbox").len(), 2);
    manifest(
        &mut w,
        &token,
        "schedule:x",
        "update",
        &json!({ "kind": "schedule", "id": "x", "scheduleType": "future_send", "fireAt": at(300), "targetUrl": "/t/b", "producerId": "p2", "payload": 1 }),
    );
    w.ask("DELETE", "/_electric/entities/t/b", &[], &Json::Null);
    w.pass(Span::secs(300));
    let last = w.events("/t/a", "manifest").pop().expect("a row");
    assert_eq!(
        (&last["value"]["status"], &last["value"]["lastError"]),
        (&json!("failed"), &json!("Entity is not accepting writes"))
    );
}

#[test]
fn tags_and_collections_are_written_in_the_callers_name() {
    let mut w = World::new();
    let collections = json!({ "notes": { "type": "state:notes", "operations": ["insert", "delete"] } });
    let kind = json!({ "name": "t", "description": "d", "externally_writable_collections": collections });
    assert_eq!(w.post("/_electric/entity-types", &kind).status, 201);
    w.put("/_electric/entities/t/a", &json!({ "tags": { "x": "1" } }));
    let path = "/_electric/entities/t/a/collections/notes";
    let got = w.post(path, &json!({ "operation": "insert", "value": { "a": 1 } }));
    assert_eq!(got.status, 201, "{}", got.body);
    let row = w.events("/t/a", "state:notes").remove(0);
    assert_eq!((&row["key"], &row["headers"]["principal"]["id"]), (&got.json()["key"], &json!("dev-local")));
    for (body, status, said) in [
        (
            json!({ "operation": "update", "key": "k", "value": {} }),
            403,
            "Operation \"update\" is not allowed on collection \"notes\"",
        ),
        (json!({ "operation": "insert" }), 400, "value is required for insert"),
        (json!({ "operation": "delete" }), 400, "key is required for delete"),
        (json!({ "operation": "delete", "key": "k" }), 200, ""),
        (json!({ "operation": "insert", "value": {}, "more": 1 }), 400, ""),
    ] {
        let got = w.post(path, &body);
        assert_eq!(got.status, status, "{body} {}", got.body);
        assert!(got.json()["error"]["message"].as_str().unwrap_or("").contains(said), "{body} {}", got.body);
    }
    assert_eq!(
        w.post("/_electric/entities/t/a/collections/other", &json!({ "operation": "insert", "value": {} })).status,
        403
    );

    let tag = |w: &mut World, value: &str| w.post("/_electric/entities/t/a/tags/x", &json!({ "value": value })).json();
    assert_eq!((tag(&mut w, "1")["txid"].clone(), tag(&mut w, "2")["tags"].clone()), (Json::Null, json!({ "x": "2" })));
    w.ask("DELETE", "/_electric/entities/t/a/tags/x", &[], &Json::Null);
    let ops: Vec<Json> = w.events("/t/a", "tags").iter().map(|e| e["headers"]["operation"].clone()).collect();
    assert_eq!(ops, [json!("update"), json!("delete")]);
}

/// Very many observe one source: the first wake with the append, the rest a chunk at a time, each once and in order, across
/// a crash, and none of those who come too late.
#[test]
fn a_fan_out_goes_on_in_chunks() {
    let mut w = World::new();
    w.webhook_type("t");
    w.ask("PUT", "/s", &[("content-type", "application/json")], &json!([]));
    let observe = |w: &mut World, n: usize| {
        w.put(&format!("/_electric/entities/t/e{n}"), &json!({}));
        let wake = json!({ "subscriberUrl": format!("/t/e{n}"), "sourceUrl": "/s", "condition": { "on": "change" } });
        assert_eq!(w.post("/_electric/wake", &wake).status, 204);
    };
    (0..700).for_each(|n| observe(&mut w, n));
    append(&mut w, "one");
    let woken = |w: &mut World| (0..700).map(|n| w.events(&format!("/t/e{n}"), "wake").len()).collect::<Vec<_>>();
    let now = woken(&mut w);
    assert!(now[..256].iter().all(|n| *n == 1) && now[256..].iter().all(|n| *n == 0), "{now:?}");
    append(&mut w, "two");
    observe(&mut w, 700);
    let mut w = w.restart();
    w.batch(vec![crate::Command::Tick { budget: 1 }]);
    let now = woken(&mut w);
    assert!(now[..512].iter().all(|n| *n == 1) && now[512..].iter().all(|n| *n == 0));
    let mut w = w.restart();
    w.pass(Span::millis(1));
    assert!(woken(&mut w).iter().all(|n| *n == 2));
    assert_eq!(w.events("/t/e700", "wake").len(), 0, "it came after both");
    for n in [0, 300, 699] {
        let all: Vec<Vec<String>> = w.events(&format!("/t/e{n}"), "wake").iter().map(keys).collect();
        assert_eq!(all, [["one"], ["two"]], "in the order of the source");
    }
}

/// One append of very many events: no transaction tells more than so many of them, and each is told once, in order, to
/// whoever observes them; to who wanted one, one.
#[test]
fn an_append_of_many_events_is_told_in_chunks() {
    let mut w = observing(&json!({ "oneShot": true }));
    w.put("/_electric/entities/t/b", &json!({}));
    let wake = json!({ "subscriberUrl": "/t/b", "sourceUrl": "/s", "condition": { "on": "change" } });
    assert_eq!(w.post("/_electric/wake", &wake).status, 204);
    let many: Vec<Json> = (0..600).map(|n| note(&n.to_string())[0].clone()).collect();
    w.ask("POST", "/s", &[("content-type", "application/json")], &json!(many));
    append(&mut w, "last");
    let told = |w: &mut World| w.events("/t/b", "wake").iter().flat_map(keys).collect::<Vec<_>>();
    assert_eq!((told(&mut w).len(), w.events("/t/a", "wake").len()), (255, 1));
    let mut w = w.restart();
    w.batch(vec![crate::Command::Tick { budget: 1 }]);
    assert_eq!(told(&mut w).len(), 511);
    let mut w = w.restart();
    w.pass(Span::millis(1));
    let all: Vec<String> = (0..600).map(|n| n.to_string()).chain(["last".to_owned()]).collect();
    assert_eq!((told(&mut w), w.events("/t/a", "wake").len()), (all, 1));
}

/// Children that finish while very many observe one of them: the answer comes with each wake, also with the last.
#[test]
fn a_fan_out_carries_the_childs_answer() {
    let mut w = World::new();
    w.webhook_type("t");
    w.put("/_electric/entities/t/p", &json!({}));
    w.put("/_electric/entities/t/c", &json!({ "parent": "/t/p", "initialMessage": "go" }));
    let (_, token) = w.claim();
    for n in 0..300 {
        w.put(&format!("/_electric/entities/t/e{n}"), &json!({}));
        let wake = json!({ "subscriberUrl": format!("/t/e{n}"), "sourceUrl": "/t/c", "condition": "runFinished" });
        w.post("/_electric/wake", &wake);
    }
    w.post("/_electric/wake", &json!({ "subscriberUrl": "/t/p", "sourceUrl": "/t/c", "condition": "runFinished" }));
    let run = |op: &str, status: &str| json!({ "type": "run", "key": "r", "value": { "status": status }, "headers": { "operation": op } });
    w.append("/t/c", &token, &json!([run("insert", "started")]));
    w.append(
        "/t/c",
        &token,
        &json!([{ "type": "text_delta", "key": "d", "value": { "run_id": "r", "delta": "four" } }]),
    );
    w.append("/t/c", &token, &json!([run("update", "completed")]));
    assert!(w.events("/t/p", "wake").is_empty());
    w.pass(Span::millis(1));
    assert_eq!(w.events("/t/p", "wake")[0]["value"]["finished_child"]["response"], json!("four"));
}

fn members(w: &mut World, path: &str) -> Vec<String> {
    let got = w.get(path);
    assert_eq!(got.status, 200, "{}", got.body);
    let all = got.json();
    let row =
        |e: &Json| format!("{} {}", e["headers"]["operation"].as_str().unwrap_or(""), e["key"].as_str().unwrap_or(""));
    all.as_array().expect("a list").iter().map(row).collect()
}

#[test]
fn a_membership_says_who_has_the_tags() {
    let mut w = World::new();
    w.webhook_type("t");
    let spawn = |w: &mut World, id: &str, tags: &Json| {
        assert_eq!(w.put(&format!("/_electric/entities/t/{id}"), &json!({ "tags": tags })).status, 201);
    };
    spawn(&mut w, "old", &json!({ "team": "core", "x": "1" }));
    spawn(&mut w, "other", &json!({ "team": "web" }));
    spawn(&mut w, "me", &json!({ "team": "core" }));
    let path = "/_electric/observations/entities/ensure-stream";
    let got = w.post(path, &json!({ "tags": { "team": "core" } })).json();
    let stream = got["streamUrl"].as_str().expect("a path").to_owned();
    assert_eq!(w.post(path, &json!({ "tags": { "team": "core" } })).json(), got);
    assert_eq!(members(&mut w, &stream), ["insert /t/old", "insert /t/me"]);
    let wake = json!({ "subscriberUrl": "/t/me", "sourceUrl": stream, "condition": { "on": "change", "collections": ["members"] } });
    assert_eq!(w.post("/_electric/wake", &wake).status, 204);
    let mut w = w.restart();
    let wakes = |w: &mut World| w.events("/t/me", "wake").len();
    spawn(&mut w, "new", &json!({ "team": "core" }));
    assert_eq!(wakes(&mut w), 1, "joining wakes");
    w.post("/_electric/entities/t/other/tags/team", &json!({ "value": "core" }));
    assert_eq!(wakes(&mut w), 2);
    w.post("/_electric/entities/t/old/tags/x", &json!({ "value": "2" }));
    assert_eq!(wakes(&mut w), 3, "so does a tag");
    w.post("/_electric/entities/t/old/signal", &json!({ "signal": "SIGSTOP" }));
    assert_eq!(wakes(&mut w), 3, "a status does not");
    w.post("/_electric/entities/t/me/tags/x", &json!({ "value": "1" }));
    assert_eq!(wakes(&mut w), 3, "nor what is said of the observer itself");
    w.ask("DELETE", "/_electric/entities/t/old/tags/team", &[], &Json::Null);
    assert_eq!(wakes(&mut w), 4, "leaving does");
    let all = members(&mut w, &stream);
    assert_eq!(all[2..4], ["insert /t/new", "insert /t/other"]);
    assert!(all.contains(&"update /t/old".to_owned()), "{all:?}");
    assert_eq!(all.last().map(String::as_str), Some("delete /t/old"));
    // It is for one principal, and says what that may see.
    let alice = [("electric-principal", "user:alice")];
    assert_eq!(w.ask("GET", &stream, &alice, &Json::Null).status, 401);
    let hers = w.ask("POST", path, &alice, &json!({})).json()["streamUrl"].as_str().expect("a path").to_owned();
    assert_eq!(w.ask("GET", &hers, &alice, &Json::Null).body, "[]");
    assert_eq!(w.ask("PUT", "/_electric/entities/t/hers", &alice, &json!({})).status, 201);
    assert_eq!(members(&mut w, &hers), ["insert /principal/user%3Aalice", "insert /t/hers"]);
    assert_eq!(w.post(&hers, &json!([1])).status, 401);
    for (body, said) in [
        (json!({ "tags": [] }), "[agent-runtime] tags must be a plain object"),
        (json!({ "tags": { "a": 1 } }), "[agent-runtime] tag \"a\" must have a string value"),
    ] {
        assert_eq!(w.post(path, &body).json()["error"]["message"], json!(said));
    }
}

#[test]
fn a_membership_of_many_is_filled_in_chunks() {
    let mut w = World::new();
    w.webhook_type("t");
    for n in 0..600 {
        w.put(&format!("/_electric/entities/t/e{n}"), &json!({ "tags": { "a": "b" } }));
    }
    let got = w.post("/_electric/observations/entities/ensure-stream", &json!({})).json();
    let stream = got["streamUrl"].as_str().expect("a path").to_owned();
    assert_eq!(members(&mut w, &stream).len(), 256);
    // What changes before its turn is told once, as it is then; what changes after, twice.
    w.ask("DELETE", "/_electric/entities/t/e500/tags/a", &[], &Json::Null);
    w.ask("DELETE", "/_electric/entities/t/e100/tags/a", &[], &Json::Null);
    let mut w = w.restart();
    w.pass(Span::millis(1));
    let all = members(&mut w, &stream);
    assert_eq!(all.iter().filter(|m| !m.contains("/principal/")).count(), 601);
    assert_eq!(all.iter().filter(|m| m.ends_with("/e500")).count(), 1);
}
