//! Lists and whatever else looks at many rows: so many bytes at a time, however large each of them is.

use serde_json::{Value as Json, json};

use super::world::{World, everybody, got};
use crate::Command;
use crate::limits::PAGE_BYTES;

/// As large as a body may be, nearly.
const LARGE: usize = 800_000;

/// So many that together they are more than one page.
const MANY: usize = 15;

/// The lengths of the pages of a list, and what is in them by `member`.
fn pages(w: &mut World, path: &str, member: &str) -> (usize, Vec<String>) {
    let (mut longest, mut all, mut after) = (0, Vec::new(), String::new());
    loop {
        let got = w.get(&format!("{path}?after={after}"));
        assert_eq!(got.status, 200, "{}", got.body);
        longest = longest.max(got.body.len());
        let names = got.json().as_array().expect("a list").clone();
        all.extend(names.iter().map(|one| one[member].as_str().expect("a text").to_owned()));
        match got.header("reveille-next") {
            "" => return (longest, all),
            next => after = next.to_owned(),
        }
    }
}

#[test]
fn a_list_of_large_entities_comes_in_pages() {
    let mut w = World::new();
    w.webhook_type("t");
    let args = json!({ "text": "x".repeat(LARGE) });
    for n in 0..MANY {
        assert_eq!(w.put(&format!("/_electric/entities/t/{n}"), &json!({ "args": args })).status, 201);
    }
    let (longest, all) = pages(&mut w, "/_electric/entities", "url");
    let all: Vec<_> = all.into_iter().filter(|url| url.starts_with("/t/")).collect();
    assert_eq!(all, (0..MANY).rev().map(|n| format!("/t/{n}")).collect::<Vec<_>>());
    assert!((PAGE_BYTES / 2..PAGE_BYTES + 2 * LARGE).contains(&longest), "{longest}");
}

#[test]
fn a_list_of_large_types_comes_in_pages() {
    let mut w = World::new();
    let names: Vec<String> = (0..MANY).map(|n| format!("t{n:02}")).collect();
    for name in &names {
        let body = json!({ "name": name, "description": "x".repeat(LARGE), "permission_grants": everybody() });
        assert_eq!(w.post("/_electric/entity-types", &body).status, 201);
    }
    let (longest, all) = pages(&mut w, "/_electric/entity-types", "name");
    assert_eq!(all.into_iter().filter(|name| name != "principal").collect::<Vec<_>>(), names);
    assert!((PAGE_BYTES / 2..PAGE_BYTES + 2 * LARGE).contains(&longest), "{longest}");
}

#[test]
fn a_list_of_large_runners_comes_in_pages() {
    let mut w = World::new();
    let profile = json!({ "name": "p", "description": "x".repeat(60_000) });
    let ids: Vec<String> = (0..200).map(|n| format!("r{n}")).collect();
    for id in &ids {
        let body = json!({ "id": id, "label": "l", "sandbox_profiles": [profile] });
        assert_eq!(w.post("/_electric/runners", &body).status, 201);
    }
    let (longest, all) = pages(&mut w, "/_electric/runners", "id");
    assert_eq!(all, ids.into_iter().rev().collect::<Vec<_>>());
    assert!((PAGE_BYTES / 2..PAGE_BYTES + 200_000).contains(&longest), "{longest}");
}

#[test]
fn large_entities_are_not_forked_together_nor_checked_at_once() {
    let mut w = World::new();
    w.webhook_type("t");
    assert_eq!(w.put("/_electric/entities/t/a", &json!({})).status, 201);
    let args = json!({ "text": "x".repeat(LARGE) });
    for n in 0..MANY {
        let got = w.put(&format!("/_electric/entities/t/{n}"), &json!({ "args": args, "parent": "/t/a" }));
        assert_eq!(got.status, 201);
    }
    let refused = w.post("/_electric/entities/t/a/fork", &json!({}));
    assert_eq!((refused.status, refused.code().as_str()), (409, "LIMIT_EXCEEDED"), "{}", refused.body);
    assert!(refused.body.contains("8388608 bytes"), "{}", refused.body);

    let (mut checked, mut after, mut rounds) = (0, Json::from(0), 0);
    while !after.is_null() {
        let page = w.get(&format!("/_reveille/check?after={after}")).json();
        (checked, after, rounds) =
            (checked + page["checked"].as_u64().expect("a number"), page["next"].clone(), rounds + 1);
    }
    assert!(checked > MANY as u64 && rounds > 1, "{checked} in {rounds}");
}

#[test]
fn a_grant_reaches_large_entities_and_shapes_show_them_all() {
    let mut w = World::new();
    w.webhook_type("t");
    assert_eq!(w.put("/_electric/entities/t/a", &json!({})).status, 201);
    let args = json!({ "text": "x".repeat(LARGE) });
    for n in 0..MANY {
        w.put(&format!("/_electric/entities/t/{n}"), &json!({ "args": args, "parent": "/t/a" }));
    }
    let grant = json!({ "subject_kind": "principal", "subject_value": "/principal/user%3Abob", "permission": "read", "propagation": "descendants" });
    assert_eq!(w.post("/_electric/entities/t/a/grants", &grant).status, 201);
    for by in ["user:bob", "system:dev-local"] {
        let (mut seen, mut at) = (0, "offset=-1".to_owned());
        loop {
            let path = format!("/_electric/electric/v1/shape?table=entities&{at}");
            let got = w.ask("GET", &path, &[("electric-principal", by)], &Json::Null);
            assert_eq!(got.status, 200, "{}", got.body);
            let rows = got.json();
            seen += rows.as_array().expect("rows").iter().filter(|row| row["value"]["type"] == "t").count();
            if got.headers.contains_key("electric-up-to-date") {
                break;
            }
            at = format!("handle={}&offset={}", got.header("electric-handle"), got.header("electric-offset"));
        }
        assert_eq!(seen, MANY + 1, "{by}");
    }
}

/// A page of children is cut by all that is in their rows; a fork is refused by its limits alone.
#[test]
fn a_fork_takes_all_children_however_many_pages_they_are() {
    let mut w = World::new();
    w.webhook_type("t");
    assert_eq!(w.put("/_electric/entities/t/a", &json!({})).status, 201);
    let url = format!("https://agent.test/{}", "x".repeat(1_900));
    let policy = json!({ "targets": [{ "type": "webhook", "url": url, "subscription_id": "s" }] });
    let body = json!({ "parent": "/t/a", "args": { "text": "x".repeat(5_500) }, "dispatch_policy": policy });
    let children = 950;
    for n in 0..children {
        let id = format!("{}{n}", "c".repeat(1_500));
        assert_eq!(w.put(&format!("/_electric/entities/t/{id}"), &body).status, 201);
    }
    let mut turns = w.batch(vec![World::command("POST", "/_electric/entities/t/a/fork", &[], "{}")]);
    while turns.iter().all(|turn| turn.replies.is_empty()) {
        turns = w.batch(vec![Command::Tick { budget: 16 }]);
    }
    let forked = turns.into_iter().find(|turn| !turn.replies.is_empty()).map(got).expect("an answer");
    assert_eq!(forked.json()["entities"].as_array().map(Vec::len), Some(children + 1), "{}", forked.status);
}
