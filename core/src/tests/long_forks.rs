//! Forks of what is too long to be read back in one transaction: it is read in several, and the fork is there at once at
//! the end, or was never there.

use serde_json::{Value as Json, json};

use super::world::{Got, World, everybody, got, send};
use crate::limits::{FORK_READ, FORK_READERS, FORK_TOLD};
use crate::{Command, Span, Turn};

const MEGABYTE: usize = 1 << 20;

/// Entities of a type that nobody runs: `/quiet/a` and below it `/quiet/b`, which have said so many megabytes each.
fn quiet(a: usize, b: usize) -> World {
    let mut w = World::new();
    let kind = json!({ "name": "quiet", "description": "d", "permission_grants": everybody() });
    assert_eq!(w.post("/_electric/entity-types", &kind).status, 201);
    for (url, parent, megabytes) in [("/quiet/a", Json::Null, a), ("/quiet/b", json!("/quiet/a"), b)] {
        let body = if parent.is_null() { json!({}) } else { json!({ "parent": parent }) };
        assert_eq!(w.put(&format!("/_electric/entities{url}"), &body).status, 201);
        (0..megabytes).for_each(|n| say(&mut w, url, &format!("{n}{}", "x".repeat(MEGABYTE))));
    }
    w
}

fn say(w: &mut World, url: &str, what: &str) {
    let sent = w.post(&format!("/_electric/entities{url}/send"), &json!({ "payload": what }));
    assert_eq!(sent.status, 200, "{}", sent.body);
}

fn ask(w: &mut World, body: &Json) -> Turn {
    w.batch(vec![World::command("POST", "/_electric/entities/quiet/a/fork", &[], &body.to_string())]).remove(0)
}

/// The answers that a tick brings, when no time passes.
fn tick(w: &mut World) -> Vec<Got> {
    let turn = w.batch(vec![Command::Tick { budget: 16 }]).remove(0);
    let alone = |reply| got(Turn { replies: vec![reply], ..Turn::default() });
    turn.replies.into_iter().map(alone).collect()
}

/// Ticks until there is an answer: how many that took, and the answer.
fn end(w: &mut World) -> (usize, Got) {
    for ticks in 1..100 {
        assert!(w.deadline.is_some_and(|due| due <= w.now), "it goes on at once");
        if let Some(answer) = tick(w).pop() {
            return (ticks, answer);
        }
    }
    unreachable!("it never ends")
}

/// How long each event of a stream is.
fn lengths(w: &mut World, url: &str) -> Vec<usize> {
    let (mut all, mut offset) = (Vec::new(), "-1".to_owned());
    loop {
        let got = w.get(&format!("{url}/main?offset={offset}"));
        all.extend(got.json().as_array().expect("events").iter().map(|event| event["value"].to_string().len()));
        if got.headers.contains_key("stream-up-to-date") {
            return all;
        }
        got.header("stream-next-offset").clone_into(&mut offset);
    }
}

fn everything(w: &World) -> i64 {
    let tables = ["entity", "stream", "entry", "registration", "link", "child", "change", "attachment", "timer"];
    let sum = |sql| w.engine.sql().number(sql);
    let sql: String = tables.map(|table| format!("(SELECT count(*) FROM {table})")).join(" + ");
    sum(Box::leak(format!("SELECT {sql}").into_boxed_str()))
}

#[test]
fn what_is_long_is_read_in_several_transactions_and_there_at_once_at_the_end() {
    let mut w = quiet(9, 5);
    let before = everything(&w);
    assert!(ask(&mut w, &json!({ "instance_id": "f" })).replies.is_empty());
    assert!(tick(&mut w).is_empty());
    // Others have their turn meanwhile, and what they say is in it.
    assert_eq!(everything(&w), before, "nobody sees it half done");
    say(&mut w, "/quiet/a", "late");
    say(&mut w, "/quiet/b", "late, too");
    let (ticks, forked) = end(&mut w);
    assert_eq!(forked.status, 201, "{}", forked.body);
    assert!(ticks + 2 >= 14 * MEGABYTE / FORK_READ, "{ticks}");
    let copy = forked.json()["entities"][1]["url"].as_str().expect("a URL").to_owned();
    for (old, new) in [("/quiet/a", "/quiet/f"), ("/quiet/b", copy.as_str())] {
        let (old, new) = (lengths(&mut w, old), lengths(&mut w, new));
        assert_eq!(new[..old.len()], old, "all that was said");
        assert_eq!(new.len(), old.len() + 1, "and that it was forked");
    }
}

#[test]
fn a_crash_while_it_is_read_leaves_nothing() {
    let mut w = quiet(9, 0);
    let before = everything(&w);
    assert!(ask(&mut w, &json!({})).replies.is_empty());
    assert!(tick(&mut w).is_empty());
    let mut w = w.restart();
    w.pass(Span::secs(600));
    assert_eq!(everything(&w), before);
    assert!(ask(&mut w, &json!({})).replies.is_empty(), "and it can be asked for again");
    assert_eq!(end(&mut w).1.status, 201);
}

#[test]
fn who_begins_to_work_while_it_is_read_is_waited_for() {
    let mut w = World::new();
    w.webhook_type("t");
    assert_eq!(w.put("/_electric/entities/t/a", &json!({})).status, 201);
    send(&mut w, "/t/a");
    let (hook, token) = w.claim();
    for n in 0..9 {
        let note = json!([{ "type": "note", "key": format!("{n}"), "value": "x".repeat(MEGABYTE), "headers": { "operation": "insert" } }]);
        assert_eq!(w.append("/t/a", &token, &note).status, 204);
    }
    w.done(&hook);
    let fork = |body: &Json| World::command("POST", "/_electric/entities/t/a/fork", &[], &body.to_string());
    assert!(w.batch(vec![fork(&json!({ "instance_id": "f" }))]).remove(0).replies.is_empty());
    assert!(tick(&mut w).is_empty());
    send(&mut w, "/t/a");
    let (hook, _) = w.claim();
    for _ in 0..8 {
        w.now = w.now + Span::secs(1);
        assert!(tick(&mut w).is_empty(), "it waits");
    }
    w.done(&hook);
    w.now = w.now + Span::secs(60);
    let mut answers = tick(&mut w);
    while answers.is_empty() {
        answers = tick(&mut w);
    }
    assert_eq!(answers[0].status, 201, "{}", answers[0].body);
    let (old, new) = (lengths(&mut w, "/t/a"), lengths(&mut w, "/t/f"));
    assert_eq!(new[..old.len()], old);

    // Nobody waits: it ends as soon as somebody is at work.
    assert!(w.batch(vec![fork(&json!({ "waitTimeoutMs": 0 }))]).remove(0).replies.is_empty());
    send(&mut w, "/t/a");
    w.claim();
    let refused = tick(&mut w).remove(0);
    assert_eq!((refused.status, refused.code().as_str()), (409, "FORK_WAIT_TIMEOUT"), "{}", refused.body);
}

#[test]
fn a_place_far_in_the_past_is_found() {
    let mut w = quiet(12, 0);
    let all = w.get("/quiet/a/main?offset=-1");
    let first = all.header("stream-next-offset").to_owned();
    let pointer = json!({ "instance_id": "f", "fork_pointer": { "offset": first, "sub_offset": 8 } });
    assert!(ask(&mut w, &pointer).replies.is_empty());
    let (ticks, forked) = end(&mut w);
    assert_eq!(forked.status, 201, "{}", forked.body);
    assert!(ticks > 2, "{ticks}");
    let (old, new) = (lengths(&mut w, "/quiet/a"), lengths(&mut w, "/quiet/f"));
    let seen = all.json().as_array().map_or(0, Vec::len) + 8;
    assert_eq!(new[..seen], old[..seen]);
    assert_eq!(new.len(), seen + 1, "and that it was forked");
    // What there is not is found out at the end of all.
    assert!(ask(&mut w, &json!({ "anchor": "latest_completed_run" })).replies.is_empty());
    let (_, refused) = end(&mut w);
    assert_eq!(refused.json()["error"]["message"], "Source /quiet/a/main has no completed run to fork from");
    let beyond = json!({ "fork_pointer": { "offset": null, "sub_offset": 99 } });
    assert!(ask(&mut w, &beyond).replies.is_empty());
    let (_, refused) = end(&mut w);
    assert!(
        refused.body.contains("sub_offset 99 out of range past anchor on /quiet/a/main (valid: 1.."),
        "{}",
        refused.body
    );
}

#[test]
fn manifests_that_are_too_long_are_refused_before_they_fill_the_memory() {
    let mut w = World::new();
    w.webhook_type("t");
    assert_eq!(w.put("/_electric/entities/t/a", &json!({})).status, 201);
    send(&mut w, "/t/a");
    let (hook, token) = w.claim();
    let row = |n: usize| json!({ "type": "child_status", "key": n.to_string(), "value": "x".repeat(MEGABYTE / 4), "headers": { "operation": "insert" } });
    for n in 0..=FORK_TOLD / (MEGABYTE / 4) {
        assert_eq!(w.append("/t/a", &token, &json!([row(n)])).status, 204);
    }
    w.done(&hook);
    let fork = World::command("POST", "/_electric/entities/t/a/fork", &[], "{}");
    assert!(w.batch(vec![fork]).remove(0).replies.is_empty());
    let (_, refused) = end(&mut w);
    assert_eq!((refused.status, refused.code().as_str()), (409, "LIMIT_EXCEEDED"), "{}", refused.body);
    assert!(refused.body.contains("its manifests are more than"), "{}", refused.body);
}

#[test]
fn of_many_long_forks_some_stand_back_and_all_are_made() {
    let mut w = quiet(6, 6);
    let many = FORK_READERS + 3;
    for n in 0..many {
        assert!(ask(&mut w, &json!({ "instance_id": format!("f{n}") })).replies.is_empty());
    }
    let mut made = Vec::new();
    for _ in 0..200 {
        made.extend(tick(&mut w).into_iter().map(|answer| answer.status));
        w.now = w.now + Span::millis(100);
    }
    assert_eq!(made, vec![201; many]);
}

#[test]
fn many_small_rows_of_a_manifest_take_room_too() {
    let mut w = World::new();
    w.webhook_type("t");
    assert_eq!(w.put("/_electric/entities/t/a", &json!({})).status, 201);
    send(&mut w, "/t/a");
    let (hook, token) = w.claim();
    let row = |n: usize| json!({ "type": "child_status", "key": format!("{n:x}"), "value": 0, "headers": { "operation": "insert" } });
    for chunk in 0..12 {
        let rows: Vec<Json> = (chunk * 10_000..(chunk + 1) * 10_000).map(row).collect();
        assert_eq!(w.append("/t/a", &token, &json!(rows)).status, 204);
    }
    w.done(&hook);
    let fork = World::command("POST", "/_electric/entities/t/a/fork", &[], "{}");
    assert!(w.batch(vec![fork]).remove(0).replies.is_empty());
    let (_, refused) = end(&mut w);
    assert!(refused.body.contains("its manifests are more than"), "{}", refused.body);
}

#[test]
fn however_many_are_read_at_once_a_transaction_reads_no_more() {
    let mut w = quiet(9, 0);
    let fork = || World::command("POST", "/_electric/entities/quiet/a/fork", &[], "{}");
    let many = FORK_READERS * 10;
    let turns = w.batch((0..many).map(|_| fork()).collect());
    assert!(turns.iter().all(|turn| turn.replies.is_empty()));
    let (mut made, mut ticks) = (0, 0);
    while made < many {
        w.now = w.now + Span::millis(50);
        let turn = w.batch(vec![Command::Tick { budget: 16 }]).remove(0);
        made += turn.replies.len();
        // Whoever reads takes a dozen statements, and whoever is made three times as many.
        assert!(turn.cost.statements < 200, "{} statements", turn.cost.statements);
        ticks += 1;
        assert!(ticks < 1000, "all are made");
    }
}
