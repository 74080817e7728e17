//! Forks of entities: what they wait for, what bounds them, and that one which fails was never there.

use serde_json::{Value as Json, json};

use super::world::{Got, World, everybody, exec, explain, got, send};
use crate::limits::{FORK_ENTITIES, FORK_ROWS, FORKS, PENDING_FORKS};
use crate::{Command, Span, Turn};

const PATH: &str = "/_electric/entities/t/a/fork";

fn spawned() -> World {
    let mut w = World::new();
    w.webhook_type("t");
    assert_eq!(w.put("/_electric/entities/t/a", &json!({})).status, 201);
    w
}

/// A world in which the root is at work, with its notification and its token.
fn working() -> (World, Json, String) {
    let mut w = spawned();
    send(&mut w, "/t/a");
    let (hook, token) = w.claim();
    (w, hook, token)
}

fn fork(w: &mut World, body: &Json) -> Got {
    w.post(PATH, body)
}

fn ask(w: &mut World, body: &Json) -> Turn {
    w.batch(vec![World::command("POST", PATH, &[], &body.to_string())]).remove(0)
}

fn tick() -> Command {
    Command::Tick { budget: 16 }
}

/// The answers that come when time passes.
fn answers(w: &mut World, span: Span) -> Vec<Got> {
    w.now = w.now + span;
    w.batch(vec![tick()]).into_iter().filter(|turn| !turn.replies.is_empty()).map(got).collect()
}

fn url(got: &Got) -> String {
    assert_eq!(got.status, 201, "{}", got.body);
    got.json()["root"]["url"].as_str().expect("a URL").to_owned()
}

fn number(w: &World, sql: &'static str) -> i64 {
    w.engine.sql().number(sql)
}

fn row(kind: &str, key: &str, value: &Json) -> Json {
    json!({ "type": kind, "key": key, "value": value, "headers": { "operation": "insert" } })
}

#[test]
fn a_fork_waits_until_who_is_at_work_is_done_and_is_answered_then() {
    let (mut w, hook, _) = working();
    let turn = ask(&mut w, &json!({ "instance_id": "f" }));
    assert!(turn.replies.is_empty());
    let look = turn.next_deadline.expect("it looks again");
    assert_eq!(look, w.now + Span::millis(250), "the turn that parks it says when");
    assert!(answers(&mut w, Span::millis(250)).is_empty());
    assert_eq!(w.done(&hook).status, 200);
    assert_eq!(number(&w, "SELECT count(*) FROM lock"), 0);
    let answered = answers(&mut w, Span::millis(250));
    assert_eq!(url(&answered[0]), "/t/f");
    assert!(answers(&mut w, Span::secs(600)).is_empty(), "once");
}

#[test]
fn two_ticks_of_one_batch_fork_once() {
    let (mut w, hook, _) = working();
    ask(&mut w, &json!({}));
    w.done(&hook);
    w.now = w.now + Span::secs(1);
    let turns = w.batch(vec![tick(), tick()]);
    assert_eq!(turns.iter().map(|turn| turn.replies.len()).sum::<usize>(), 1);
    assert_eq!(number(&w, "SELECT count(*) FROM entity WHERE url LIKE '/t/a-fork-%'"), 1);
}

#[test]
fn a_fork_that_has_waited_too_long_says_for_whom() {
    let (mut w, _, _) = working();
    for (body, wait) in
        [(json!({}), 120), (json!({ "waitTimeoutMs": 20_000 }), 20), (json!({ "waitTimeoutMs": 1e12 }), 300)]
    {
        assert!(ask(&mut w, &body).replies.is_empty());
        for second in 1..wait {
            assert!(answers(&mut w, Span::secs(1)).is_empty(), "{body} after {second} s");
            // The agent lives.
            exec(&w, "UPDATE entity SET status = 'running' WHERE url = '/t/a'");
        }
        let refused = answers(&mut w, Span::secs(1)).remove(0);
        assert_eq!((refused.status, refused.code().as_str()), (409, "FORK_WAIT_TIMEOUT"), "{body}");
        assert_eq!(refused.json()["error"]["details"], json!({ "active": ["/t/a"] }));
        assert_eq!(refused.header("access-control-allow-origin"), "*", "it wears what every answer wears");
    }
}

#[test]
fn only_so_many_forks_wait_and_those_that_do_go_on_waiting() {
    let (mut w, hook, _) = working();
    for _ in 0..PENDING_FORKS {
        assert!(ask(&mut w, &json!({})).replies.is_empty());
    }
    assert_eq!(got(ask(&mut w, &json!({}))).status, 503);
    assert_eq!(w.engine.in_flight(), 0, "they hold no slots");
    let discovered = json!({ "name": "u", "serve_endpoint": "https://agent.test/u" });
    let turn = w.batch(vec![World::command("POST", "/_electric/entity-types", &[], &discovered.to_string())]).remove(0);
    assert!(turn.replies.is_empty(), "others may wait beside them");
    w.now = w.now + Span::secs(1);
    assert!(w.batch(vec![tick()]).iter().all(|turn| turn.replies.is_empty()), "all look again, and none is lost");
    w.done(&hook);
    w.now = w.now + Span::secs(1);
    let turn = w.batch(vec![tick()]).remove(0);
    assert_eq!(turn.replies.len(), PENDING_FORKS);
    assert_eq!(number(&w, "SELECT count(*) FROM entity WHERE url LIKE '/t/a-fork-%'"), 128);
}

#[test]
fn a_restart_forgets_who_waits() {
    let (mut w, hook, _) = working();
    ask(&mut w, &json!({}));
    let mut w = w.restart();
    w.done(&hook);
    assert!(answers(&mut w, Span::secs(600)).is_empty());
    assert_eq!(number(&w, "SELECT count(*) FROM entity WHERE url LIKE '/t/a-fork-%'"), 0);
}

#[test]
fn who_waits_is_checked_again() {
    let (mut w, hook, _) = working();
    ask(&mut w, &json!({ "instance_id": "f" }));
    assert_eq!(w.put("/_electric/entities/t/f", &json!({})).status, 201);
    w.done(&hook);
    assert_eq!(answers(&mut w, Span::secs(1))[0].code(), "DUPLICATE_URL");

    send(&mut w, "/t/a");
    w.claim();
    ask(&mut w, &json!({}));
    assert_eq!(w.ask("DELETE", "/_electric/entities/t/a", &[], &Json::Null).status, 200);
    let refused = answers(&mut w, Span::secs(1)).remove(0);
    assert_eq!(refused.json()["error"]["message"], "Cannot fork terminal entity \"/t/a\"");
}

/// Each of these fails when everything else is written.
#[test]
fn a_fork_that_fails_leaves_no_trace() {
    let (mut w, hook, token) = working();
    assert_eq!(w.put("/_electric/entities/t/b", &json!({ "parent": "/t/a" })).status, 201);
    let state = row("manifest", "shared-state:s", &json!({ "kind": "shared-state", "id": "s" }));
    w.append("/t/a", &token, &json!([state]));
    w.done(&hook);
    let tables = "SELECT (SELECT count(*) FROM entity) + (SELECT count(*) FROM stream) + (SELECT count(*) FROM entry) + (SELECT count(*) FROM registration) \
                  + (SELECT count(*) FROM link) + (SELECT count(*) FROM shared_state) + (SELECT count(*) FROM child) + (SELECT sum(refs) FROM stream)";
    let before = number(&w, tables);
    *w.engine.sql().fail_on.borrow_mut() = Some("INSERT INTO link ");
    assert_eq!(fork(&mut w, &json!({})).status, 503);
    assert_eq!(number(&w, tables), before);
    let alice = ("electric-principal", "user:alice");
    let grants = json!([
        { "subject_kind": "principal_kind", "subject_value": "user", "permission": "spawn" },
        { "subject_kind": "principal_kind", "subject_value": "user", "permission": "fork", "propagation": "descendants" },
    ]);
    for grant in grants.as_array().expect("grants") {
        assert_eq!(w.post("/_electric/entities/t/a/grants", grant).status, 201);
    }
    let before = number(&w, tables);
    let wake = json!({ "subscriberUrl": "/t/a", "condition": "runFinished" });
    let refused = w.ask("POST", PATH, &[alice], &json!({ "parent": "/t/a", "wake": wake }));
    assert_eq!((refused.status, refused.code().as_str()), (401, "UNAUTHORIZED"), "she may not write to the parent");
    assert_eq!(number(&w, tables), before);
    assert_eq!(w.ask("POST", PATH, &[alice], &json!({ "parent": "/t/a" })).status, 201);
    assert!(number(&w, tables) > before);
}

#[test]
fn more_than_fits_into_a_transaction_is_refused() {
    let mut w = spawned();
    for n in 1..FORK_ENTITIES {
        assert_eq!(w.put(&format!("/_electric/entities/t/c{n}"), &json!({ "parent": "/t/a" })).status, 201);
    }
    let forked = fork(&mut w, &json!({ "instance_id": "f" }));
    assert_eq!(forked.json()["entities"].as_array().map(Vec::len), Some(FORK_ENTITIES), "{}", forked.body);
    assert_eq!(w.put("/_electric/entities/t/more", &json!({ "parent": "/t/c1" })).status, 201);
    let refused = fork(&mut w, &json!({}));
    assert_eq!((refused.status, refused.code().as_str()), (409, "LIMIT_EXCEEDED"), "{}", refused.body);

    // As if it had said very much.
    exec(&w, "UPDATE stream SET base = 1073741825 WHERE path = '/t/c1023/main'");
    exec(&w, "DELETE FROM child WHERE parent <> (SELECT id FROM entity WHERE url = '/t/a')");
    let refused = fork(&mut w, &json!({}));
    assert!(refused.body.contains("1073741824 bytes"), "{}", refused.body);
}

#[test]
fn very_many_rows_are_refused() {
    let (mut w, hook, token) = working();
    let status = |n: usize| row("child_status", &n.to_string(), &json!({}));
    w.append("/t/a", &token, &(0..FORK_ROWS).map(status).collect::<Vec<_>>().into());
    w.append("/t/a", &token, &json!([row("run", "r", &json!({ "status": "completed" })), status(0)]));
    w.done(&hook);
    assert_eq!(fork(&mut w, &json!({})).status, 201);
    send(&mut w, "/t/a");
    let (hook, token) = w.claim();
    w.append("/t/a", &token, &json!([status(FORK_ROWS)]));
    w.done(&hook);
    let refused = fork(&mut w, &json!({}));
    assert_eq!((refused.status, refused.code().as_str()), (409, "LIMIT_EXCEEDED"), "{}", refused.body);
    assert_eq!(fork(&mut w, &json!({ "anchor": "latest_completed_run" })).status, 201, "there were fewer then");
}

#[test]
fn very_many_files_are_refused() {
    let (mut w, hook, token) = working();
    let file = |n: usize| row("manifest", &format!("attachment:{n}"), &json!({ "kind": "attachment" }));
    w.append("/t/a", &token, &(0..1025).map(file).collect::<Vec<_>>().into());
    w.done(&hook);
    let refused = fork(&mut w, &json!({}));
    assert_eq!((refused.status, refused.code().as_str()), (409, "LIMIT_EXCEEDED"), "{}", refused.body);
}

#[test]
fn a_fork_of_a_fork_is_so_deep_and_no_deeper() {
    let mut w = spawned();
    let mut last = "/t/a".to_owned();
    for depth in 1..=FORKS {
        let forked = w.post(&format!("/_electric/entities{last}/fork"), &json!({ "instance_id": format!("f{depth}") }));
        last = url(&forked);
    }
    assert_eq!(w.events(&last, "entity_created").len(), FORKS + 1);
    let refused = w.post(&format!("/_electric/entities{last}/fork"), &json!({}));
    assert_eq!((refused.status, refused.code().as_str()), (409, "LIMIT_EXCEEDED"), "{}", refused.body);
}

/// Cold entries lie many in a row, and a fork may branch between any two of them.
#[test]
fn a_fork_branches_anywhere_in_what_is_sealed() {
    let (mut w, hook, token) = working();
    let note = |n: usize| {
        json!([row("note", &format!("a{n}"), &json!("x".repeat(9000))), row("note", &format!("b{n}"), &json!(n))])
    };
    for n in 0..40 {
        assert_eq!(w.append("/t/a", &token, &note(n)).status, 204);
    }
    let plain = json!([{ "plain": 1 }, { "plain": 2 }]);
    w.append("/t/a", &token, &plain);
    w.append(
        "/t/a",
        &token,
        &json!([row("run", "r", &json!({ "status": "completed" })), row("note", "last", &json!(1))]),
    );
    w.done(&hook);
    w.pass(Span::secs(20));
    assert!(number(&w, "SELECT count(*) FROM segment") > 0);
    let all = w.get("/t/a/main").json();
    let all = all.as_array().expect("events").clone();
    let offset = |n: usize| all[n]["headers"]["offset"].clone();
    let inherited = |w: &mut World, url: &str| {
        let events = w.get(&format!("{url}/main")).json();
        events.as_array().expect("events").iter().position(|e| e["headers"]["forkedFrom"].is_string()).expect("a fork")
    };
    // Birth and message are two entries, then there are two events in each.
    for (at, sub, want) in
        [(None, 1, 1), (None, 9, 9), (Some(1), 1, 3), (Some(5), 3, 9), (Some(60), 20, 82), (Some(81), 4, 86)]
    {
        let pointer = json!({ "offset": at.map_or(Json::Null, offset), "sub_offset": sub });
        let forked = url(&fork(&mut w, &json!({ "fork_pointer": pointer })));
        assert_eq!(inherited(&mut w, &forked), want, "{pointer}");
    }
    let past = json!({ "offset": offset(81), "sub_offset": 5 });
    assert!(fork(&mut w, &json!({ "fork_pointer": past })).body.contains("(valid: 1..4)"));
    let anchored = url(&fork(&mut w, &json!({ "anchor": "latest_completed_run" })));
    assert_eq!(inherited(&mut w, &anchored), 85);
    let again = w.post(&format!("/_electric/entities{anchored}/fork"), &json!({ "anchor": "latest_completed_run" }));
    let again = url(&again);
    assert_eq!(inherited(&mut w, &again), 85, "a fork of a fork has the run from there");
}

/// Whoever may copy an entity does not come by what they may not read, nor by somebody's runner.
#[test]
fn what_the_caller_may_not_read_is_not_copied() {
    let mut w = World::new();
    w.post("/_electric/entity-types", &json!({ "name": "t", "description": "d", "permission_grants": everybody() }));
    let (alice, bob) = (("electric-principal", "user:alice"), ("electric-principal", "user:bob"));
    assert_eq!(w.ask("PUT", "/_electric/entities/t/a", &[alice], &json!({})).status, 201);
    let grant = json!({ "permission": "spawn", "subject_kind": "principal", "subject_value": "/principal/user%3Abob" });
    w.ask("POST", "/_electric/entities/t/a/grants", &[alice], &grant);
    assert_eq!(w.ask("PUT", "/_electric/entities/t/b", &[bob], &json!({ "parent": "/t/a" })).status, 201);
    let refused = w.ask("POST", PATH, &[alice], &json!({}));
    assert_eq!(refused.json()["error"]["message"], "Principal is not allowed to fork /t/b");
    let grant =
        json!({ "permission": "read", "subject_kind": "principal", "subject_value": "/principal/user%3Aalice" });
    assert_eq!(w.ask("POST", "/_electric/entities/t/b/grants", &[bob], &grant).status, 201);
    let forked = w.ask("POST", PATH, &[alice], &json!({}));
    assert_eq!(forked.json()["entities"][1]["created_by"], "/principal/user%3Aalice", "{}", forked.body);
}

#[test]
fn a_fork_is_whole_after_a_restart() {
    let (mut w, hook, token) = working();
    w.append("/t/a", &token, &json!([row("note", "n", &json!(1))]));
    w.done(&hook);
    assert_eq!(w.put("/_electric/entities/t/b", &json!({ "parent": "/t/a" })).status, 201);
    let forked = fork(&mut w, &json!({ "instance_id": "f" }));
    assert_eq!(url(&forked), "/t/f");
    let mut w = w.restart();
    assert_eq!(w.get("/_reveille/check").json()["problems"], json!([]));
    assert_eq!(explain(&mut w, "/t/f")["dispatch"]["state"], "idle");
    assert!(w.fetches.is_empty(), "nothing that it begins with is pending");
    send(&mut w, "/t/f");
    let (hook, token) = w.claim();
    assert_eq!(hook["entity"]["url"], "/t/f");
    assert_eq!(w.append("/t/f", &token, &json!([row("note", "n", &json!(2))])).status, 204);
    assert_eq!(w.done(&hook).status, 200);
    assert_eq!((w.events("/t/f", "note").len(), w.events("/t/a", "note").len()), (2, 1));
    assert_eq!(w.events("/t/f", "inbox").len(), 2);
}

/// A manifest may name what its new creator cannot have: the fork is made, and the journal says what it lacks.
#[test]
fn what_a_fork_may_not_observe_is_left_out() {
    let (mut w, hook, token) = working();
    assert_eq!(w.put("/_electric/entities/t/secret", &json!({})).status, 201);
    let source =
        json!({ "kind": "source", "sourceType": "entity", "sourceRef": "/t/secret", "wake": { "on": "change" } });
    w.append("/t/a", &token, &json!([row("manifest", "source:entity:/t/secret", &source)]));
    w.done(&hook);
    let grant = json!({ "subject_kind": "principal_kind", "subject_value": "user", "permission": "fork" });
    assert_eq!(w.post("/_electric/entities/t/a/grants", &grant).status, 201);
    let registrations = "SELECT count(*) FROM registration";
    assert_eq!(number(&w, registrations), 1);
    let forked = w.ask("POST", PATH, &[("electric-principal", "user:eve")], &json!({}));
    let forked = url(&forked);
    assert_eq!(number(&w, registrations), 1);
    let journal = w.get(&format!("/_reveille/entities{forked}/journal")).json();
    assert_eq!(journal["steps"][0]["what"], "refused", "{journal}");
    fork(&mut w, &json!({}));
    assert_eq!(number(&w, registrations), 2, "who may read it observes it");
}

/// What a stream holds, by the sizes of its entries: an event is its text without the offset that it was stamped with.
#[derive(Clone, Default)]
struct Model {
    events: Vec<Json>,
    entries: Vec<usize>,
}

fn stripped(w: &mut World, url: &str) -> Vec<Json> {
    let mut events = w.get(&format!("{url}/main")).json().as_array().expect("events").clone();
    for headers in events.iter_mut().filter_map(|event| event.get_mut("headers")?.as_object_mut()) {
        headers.shift_remove("offset");
    }
    events
}

/// Forks of forks, at any pointer, hold what a list cut in two would.
#[test]
fn a_fork_holds_what_came_before_its_pointer_whatever_that_is() {
    let (mut w, hook, token) = working();
    let mut model = Model { events: Vec::new(), entries: vec![1, 1] };
    let mut state = 7_usize;
    let mut dice = |sides: usize| {
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345) % (1 << 31);
        (state >> 8) % sides
    };
    for n in 0..60 {
        let text = "x".repeat(dice(6_000));
        let count = dice(4) + 1;
        let event = |i| match dice(3) {
            0 => json!({ "plain": i, "text": text }),
            _ => row("note", &format!("{n}:{i}"), &json!(text)),
        };
        let events: Vec<Json> = (0..count).map(event).collect();
        model.entries.push(events.len());
        assert_eq!(w.append("/t/a", &token, &events.into()).status, 204);
    }
    w.done(&hook);
    w.pass(Span::secs(20));
    assert!(number(&w, "SELECT count(*) FROM segment") > 0);
    model.events = stripped(&mut w, "/t/a");
    let mut all = vec![("/t/a".to_owned(), model)];
    for n in 0..40 {
        let (source, model) = all[dice(all.len())].clone();
        let whole = w.get(&format!("{source}/main")).json();
        let mut from = 0;
        let mut offset = Json::Null;
        let upto = dice(model.entries.len());
        for entry in &model.entries[..upto] {
            from += entry;
            offset = whole[from - 1]["headers"]["offset"].clone();
        }
        if offset.is_null() {
            from = 0;
        }
        let sub = dice(model.events.len() - from) + 1;
        let pointer = json!({ "offset": offset, "sub_offset": sub });
        let body = json!({ "instance_id": format!("f{n}"), "fork_pointer": pointer });
        let forked = w.post(&format!("/_electric/entities{source}/fork"), &body);
        let forked = url(&forked);
        let (mut entries, mut left) = (Vec::new(), from + sub);
        for entry in &model.entries {
            let taken = left.min(*entry);
            entries.extend((taken > 0).then_some(taken));
            left -= taken;
        }
        entries.push(1);
        let mut events = stripped(&mut w, &forked);
        assert_eq!(events.pop().expect("one")["headers"]["forkedFrom"], source.as_str());
        assert!(events == model.events[..from + sub], "{source} at {pointer}");
        let events = stripped(&mut w, &forked);
        all.push((forked, Model { events, entries }));
    }
}
