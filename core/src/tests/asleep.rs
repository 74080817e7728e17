//! Membership streams that nobody looks at: they fall asleep, and whoever looks again is told what they have missed.

use serde_json::{Value as Json, json};

use super::world::World;
use crate::limits::{FAN_OUT, MEMBERSHIP_IDLE, MEMBERSHIPS, MEMBERSHIPS_ASLEEP};
use crate::store::Sql as _;
use crate::{Command, Span};

/// A second less than it takes to fall asleep.
const ALMOST: Span = Span::secs(15 * 60 - 1);

const ENSURE: &str = "/_electric/observations/entities/ensure-stream";

fn ensure(w: &mut World) -> String {
    let got = w.post(ENSURE, &json!({ "tags": { "team": "core" } }));
    assert_eq!(got.status, 200, "{}", got.body);
    got.json()["streamUrl"].as_str().expect("a path").to_owned()
}

fn spawn(w: &mut World, id: &str, tags: &Json) {
    assert_eq!(w.put(&format!("/_electric/entities/t/{id}"), &json!({ "tags": tags })).status, 201);
}

fn tag(w: &mut World, id: &str, key: &str, value: &str) {
    let path = format!("/_electric/entities/t/{id}/tags/{key}");
    assert_eq!(w.post(&path, &json!({ "value": value })).status, 200);
}

fn untag(w: &mut World, id: &str, key: &str) {
    let path = format!("/_electric/entities/t/{id}/tags/{key}");
    assert_eq!(w.ask("DELETE", &path, &[], &Json::Null).status, 200);
}

/// How many streams sleep.
fn asleep(w: &World) -> i64 {
    w.engine.sql().number("SELECT count(*) FROM membership WHERE asleep = 1")
}

/// What the streams have said, as `insert a`, without a read that would wake them.
fn said(w: &World) -> Vec<String> {
    let sql = "SELECT json_group_array(CAST(e.data AS TEXT)) FROM (SELECT data FROM entry n JOIN membership m ON m.id = n.stream ORDER BY n.end) e";
    let all: Vec<String> = serde_json::from_str(&w.engine.sql().text(sql)).expect("a list");
    let event = |text: &String| {
        let event: Json = serde_json::from_str(text).expect("an event");
        let key = event["key"].as_str().expect("a key").trim_start_matches("/t/").to_owned();
        format!("{} {key}", event["headers"]["operation"].as_str().expect("an operation"))
    };
    all.iter().map(event).collect()
}

/// A world with a stream of the team, and four who are of it or come to be.
fn world() -> (World, String) {
    let mut w = World::new();
    w.webhook_type("t");
    for id in ["stays", "changes", "leaves"] {
        spawn(&mut w, id, &json!({ "team": "core" }));
    }
    for id in ["joins", "never", "observer"] {
        spawn(&mut w, id, &json!({}));
    }
    let stream = ensure(&mut w);
    assert_eq!(said(&w), ["insert stays", "insert changes", "insert leaves"]);
    (w, stream)
}

/// The same, asleep, with everything that can happen to a member meanwhile.
fn slept() -> (World, String) {
    let (mut w, stream) = world();
    w.pass(MEMBERSHIP_IDLE);
    assert_eq!(asleep(&w), 1);
    tag(&mut w, "changes", "x", "1");
    untag(&mut w, "leaves", "team");
    tag(&mut w, "joins", "team", "core");
    // Who has come and gone, or gone and come, was never away.
    tag(&mut w, "never", "team", "core");
    untag(&mut w, "never", "team");
    spawn(&mut w, "new", &json!({ "team": "core" }));
    assert_eq!(said(&w).len(), 3);
    (w, stream)
}

const MISSED: [&str; 4] = ["update changes", "delete leaves", "insert joins", "insert new"];

#[test]
fn it_falls_asleep_a_quarter_of_an_hour_after_the_last_look() {
    let (mut w, stream) = world();
    w.pass(ALMOST);
    assert_eq!(asleep(&w), 0);
    assert_eq!(w.get(&stream).status, 200);
    w.pass(ALMOST);
    assert_eq!(asleep(&w), 0, "a read counts");
    assert_eq!(w.ask("HEAD", &stream, &[], &Json::Null).status, 200);
    w.pass(ALMOST);
    assert_eq!(asleep(&w), 0, "so does a look at its end");
    ensure(&mut w);
    w.pass(MEMBERSHIP_IDLE);
    assert_eq!(asleep(&w), 0, "and whoever asks for it");
    w.pass(Span::secs(60));
    assert_eq!(asleep(&w), 1);
    assert_eq!(w.engine.sql().number("SELECT count(*) FROM timer WHERE kind = 18"), 0);
}

#[test]
fn a_look_that_changes_little_costs_no_row() {
    let (mut w, stream) = world();
    w.get(&stream);
    w.now = w.now + Span::secs(90);
    let rows = |w: &mut World| w.batch(vec![World::command("GET", &stream, &[], "")])[0].cost.rows;
    let first = w.engine.sql().written();
    rows(&mut w);
    assert!(w.engine.sql().written() > first, "it is remembered");
    let first = w.engine.sql().written();
    w.now = w.now + Span::secs(30);
    rows(&mut w);
    assert_eq!(w.engine.sql().written(), first);
}

#[test]
fn what_changes_while_it_sleeps_costs_what_it_costs_without_it() {
    let (mut w, _) = world();
    let mut bare = World::new();
    bare.webhook_type("t");
    spawn(&mut bare, "stays", &json!({ "team": "core" }));
    w.pass(MEMBERSHIP_IDLE);
    bare.pass(MEMBERSHIP_IDLE);
    let body = json!({ "value": "1" }).to_string();
    let new = json!({ "tags": { "team": "core" } }).to_string();
    for (method, path, body) in [
        ("POST", "/_electric/entities/t/stays/tags/x", &*body),
        ("PUT", "/_electric/entities/t/new", &*new),
        ("DELETE", "/_electric/entities/t/stays/tags/team", ""),
        ("DELETE", "/_electric/entities/t/stays", ""),
    ] {
        let cost = |w: &mut World| w.batch(vec![World::command(method, path, &[], body)])[0].cost.rows;
        assert_eq!(cost(&mut w), cost(&mut bare), "{method} {path}");
    }
    assert_eq!(said(&w).len(), 3);
}

#[test]
fn who_asks_for_it_wakes_it() {
    let (mut w, stream) = slept();
    assert_eq!(ensure(&mut w), stream);
    assert_eq!(asleep(&w), 0);
    assert_eq!(said(&w)[3..], MISSED);
    tag(&mut w, "never", "team", "core");
    assert_eq!(said(&w).last().map(String::as_str), Some("insert never"));
}

#[test]
fn who_reads_it_wakes_it() {
    for method in ["GET", "HEAD"] {
        let (mut w, stream) = slept();
        assert_eq!(w.ask(method, &stream, &[], &Json::Null).status, 200);
        assert_eq!(said(&w)[3..], MISSED, "{method}");
        assert_eq!(asleep(&w), 0);
    }
    let (mut w, stream) = slept();
    assert_eq!(w.ask("GET", &stream, &[("electric-principal", "user:eve")], &Json::Null).status, 401);
    assert_eq!(asleep(&w), 1, "one who may not does not");
}

#[test]
fn who_reads_along_wakes_it_and_keeps_it_awake() {
    let (mut w, stream) = slept();
    let live = format!("{stream}?offset=now&live=sse");
    w.batch(vec![World::command("GET", &live, &[], "")]);
    assert_eq!(said(&w)[3..], MISSED);
}

#[test]
fn who_observes_it_wakes_it_and_is_told_what_it_has_missed() {
    let (mut w, stream) = slept();
    let wake = json!({ "subscriberUrl": "/t/observer", "sourceUrl": stream, "condition": { "on": "change", "collections": ["members"] } });
    assert_eq!(w.post("/_electric/wake", &wake).status, 204);
    assert_eq!(asleep(&w), 0);
    w.pass(Span::ZERO);
    assert_eq!(said(&w)[3..], MISSED);
    let rows = w.events("/t/observer", "wake");
    let keys: Vec<_> = rows.iter().map(|row| row["value"]["changes"][0]["key"].clone()).collect();
    assert_eq!(keys, ["/t/changes", "/t/leaves", "/t/joins", "/t/new"]);
}

#[test]
fn who_observes_it_by_its_manifest_or_a_subscription_wakes_it() {
    let (mut w, stream) = slept();
    w.post("/_electric/entities/t/observer/send", &json!({ "payload": "go" }));
    // Those whose tags have changed are woken too.
    w.fetches.retain(|fetch| String::from_utf8_lossy(&fetch.body).contains("/t/observer"));
    let (_, token) = w.claim();
    let row = json!({
        "type": "manifest", "key": "source:entities:x", "headers": { "operation": "upsert" },
        "value": {
            "key": "source:entities:x", "kind": "source", "sourceType": "entities", "sourceRef": &stream["/_entities/".len()..],
            "config": { "tags": { "team": "core" } },
            "wake": { "on": "change", "collections": ["members"] },
        },
    });
    assert_eq!(w.append("/t/observer", &token, &json!([row])).status, 204);
    assert_eq!(w.engine.sql().number("SELECT count(*) FROM registration"), 1, "{stream}");
    w.pass(Span::ZERO);
    assert_eq!(said(&w)[3..], MISSED);

    let (mut w, stream) = slept();
    let follow = json!({ "type": "pull-wake", "wake_stream": "wakes", "streams": [&stream[1..]] });
    assert_eq!(w.put("/__ds/subscriptions/s", &follow).status, 201);
    w.pass(Span::ZERO);
    assert_eq!(said(&w)[3..], MISSED);
    w.pass(Span::secs(24 * 3_600));
    assert_eq!(asleep(&w), 0, "and keeps it awake");
}

#[test]
fn it_does_not_sleep_while_it_is_observed() {
    let (mut w, stream) = world();
    let wake = json!({ "subscriberUrl": "/t/observer", "sourceUrl": stream, "condition": { "on": "change" } });
    assert_eq!(w.post("/_electric/wake", &wake).status, 204);
    for _ in 0..10 {
        w.pass(MEMBERSHIP_IDLE);
        assert_eq!(asleep(&w), 0);
    }
    let between = json!({ "subscriberUrl": "/t/observer", "sourceUrl": stream });
    assert_eq!(w.post("/_electric/wake/unregister", &between).status, 204);
    assert_eq!(w.engine.sql().number("SELECT count(*) FROM registration"), 0);
    w.pass(ALMOST);
    assert_eq!(asleep(&w), 0);
    w.pass(MEMBERSHIP_IDLE);
    assert_eq!(asleep(&w), 1);
}

#[test]
fn a_restart_in_the_midst_of_waking_loses_and_doubles_nothing() {
    let mut w = World::new();
    w.webhook_type("t");
    let of_it = |n: usize| if n.is_multiple_of(2) { json!({ "team": "core" }) } else { json!({}) };
    let last = 2 * FAN_OUT + 8;
    (0..last).for_each(|n| spawn(&mut w, &format!("e{n}"), &of_it(n)));
    ensure(&mut w);
    w.pass(Span::ZERO);
    let before = said(&w).len();
    assert_eq!(before, last / 2);
    w.pass(MEMBERSHIP_IDLE);
    // Each quarter leaves, changes, joins, or stays as it was.
    let change = |w: &mut World, n: usize| match n % 4 {
        0 => untag(w, &format!("e{n}"), "team"),
        1 => tag(w, &format!("e{n}"), "team", "core"),
        2 => tag(w, &format!("e{n}"), "x", "1"),
        _ => {}
    };
    (0..last).for_each(|n| change(&mut w, n));
    assert_eq!(said(&w).len(), before);
    // The first chunk comes at once; then, what is behind it changes back, what is before it again.
    ensure(&mut w);
    assert!(said(&w).len() > before && said(&w).len() < before + last / 2, "{}", said(&w).len());
    let mut w = w.restart();
    tag(&mut w, "e4", "team", "core");
    tag(&mut w, &format!("e{}", last - 4), "team", "core");
    w.batch(vec![Command::Tick { budget: 1 }]);
    let mut w = w.restart();
    w.pass(Span::ZERO);
    assert_eq!(w.engine.sql().number("SELECT count(*) FROM membership WHERE cursor IS NOT NULL"), 0);
    let all = said(&w);
    let of = |n: usize| all[before..].iter().filter(|e| e.ends_with(&format!(" e{n}"))).cloned().collect::<Vec<_>>();
    for n in 0..last {
        let told = match n {
            4 => vec!["delete e4".to_owned(), "insert e4".to_owned()],
            // It was away and is back before its turn came: only its time has changed.
            _ if n == last - 4 => vec![format!("update e{n}")],
            _ if n % 4 == 0 => vec![format!("delete e{n}")],
            _ if n % 4 == 1 => vec![format!("insert e{n}")],
            _ if n % 4 == 2 => vec![format!("update e{n}")],
            _ => vec![],
        };
        assert_eq!(of(n), told, "e{n}");
    }
}

#[test]
fn what_sleeps_makes_room_and_wakes_only_where_there_is_some() {
    let (mut w, stream) = slept();
    for n in 0..MEMBERSHIPS {
        assert_eq!(w.post(ENSURE, &json!({ "tags": { "n": n.to_string() } })).status, 200);
    }
    let refused = |got: &super::world::Got| assert_eq!((got.status, got.code()), (409, "LIMIT_EXCEEDED".to_owned()));
    refused(&w.post(ENSURE, &json!({ "tags": { "one": "more" } })));
    refused(&w.post(ENSURE, &json!({ "tags": { "team": "core" } })));
    let wake = json!({ "subscriberUrl": "/t/observer", "sourceUrl": stream, "condition": { "on": "change" } });
    refused(&w.post("/_electric/wake", &wake));
    assert_eq!(w.engine.sql().number("SELECT count(*) FROM registration"), 0);
    assert_eq!(w.get(&stream).json().as_array().map(Vec::len), Some(3), "it says what it said last");
    assert_eq!(asleep(&w), 1);
    w.pass(MEMBERSHIP_IDLE);
    assert_eq!(asleep(&w), MEMBERSHIPS + 1);
    w.get(&stream);
    assert_eq!(said(&w)[3..], MISSED);
}

#[test]
fn past_their_limit_the_one_that_has_slept_longest_is_forgotten() {
    let (mut w, stream) = slept();
    let others = format!(
        "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {MEMBERSHIPS_ASLEEP}) \
         INSERT INTO membership (id, ref, anchor, tags, principal, asleep, until) SELECT 1000000 + n, 'r' || n, 'x', '{{}}', 'p', 1, {} FROM n",
        w.now.as_millis()
    );
    w.pass(Span::millis(1));
    w.engine.sql().execute(&others);
    assert_eq!(w.post(ENSURE, &json!({})).status, 200);
    w.pass(MEMBERSHIP_IDLE);
    assert_eq!(asleep(&w), MEMBERSHIPS_ASLEEP + 1, "two streams have gone to sleep, and one was forgotten");
    assert_eq!(w.get(&stream).status, 404);
    w.pass(Span::ZERO);
    assert_eq!(
        w.engine.sql().number("SELECT count(*) FROM member WHERE membership NOT IN (SELECT id FROM membership)"),
        0
    );
    // Whoever asks for it again has it from the beginning.
    assert_eq!(ensure(&mut w), stream);
    let told = w.get(&stream).json();
    let keys: Vec<_> = told.as_array().expect("a list").iter().map(|e| e["key"].as_str().expect("a key")).collect();
    assert_eq!(keys, ["/t/stays", "/t/changes", "/t/joins", "/t/new"]);
}
