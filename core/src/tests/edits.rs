//! Edits of messages: in the order in which they came, and never after the end.

use serde_json::{Value as Json, json};

use super::world::{World, got};

fn spawned() -> World {
    let mut w = World::new();
    assert_eq!(w.post("/_electric/entity-types", &json!({ "name": "t", "description": "d" })).status, 201);
    assert_eq!(w.put("/_electric/entities/t/a", &json!({ "initialMessage": 0 })).status, 201);
    w
}

fn edit(body: &Json) -> crate::Command {
    World::command("PATCH", "/_electric/entities/t/a/inbox/m", &[], &body.to_string())
}

#[test]
fn edits_of_one_batch_stand_in_their_order() {
    let mut w = spawned();
    let take_back = World::command("DELETE", "/_electric/entities/t/a/inbox/m", &[], "");
    let commands = (1..=3).map(|n| edit(&json!({ "payload": n }))).chain([take_back]).collect();
    for turn in w.batch(commands) {
        assert_eq!(got(turn).status, 200);
    }
    let events = w.events("/t/a", "inbox");
    let said: Vec<_> =
        events.iter().map(|e| (e["headers"]["operation"].as_str(), e["value"]["payload"].as_i64())).collect();
    let update = Some("update");
    assert_eq!(
        said,
        [(Some("insert"), Some(0)), (update, Some(1)), (update, Some(2)), (update, Some(3)), (Some("delete"), None)]
    );
}

#[test]
fn an_edit_that_comes_with_the_end_is_before_it_or_refused() {
    let mut w = spawned();
    let kill = World::command("DELETE", "/_electric/entities/t/a", &[], "");
    let edit = || edit(&json!({ "status": "processed" }));
    let turns = w.batch(vec![edit(), kill, edit()]);
    let answers: Vec<_> = turns.into_iter().map(got).map(|answer| (answer.status, answer.code())).collect();
    assert_eq!(answers, [(200, String::new()), (200, String::new()), (409, "NOT_RUNNING".to_owned())]);
    assert_eq!(w.events("/t/a", "inbox").len(), 2);
}
