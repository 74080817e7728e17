//! Attachments: bounded, all or nothing, and still there after a restart.

use serde_json::{Value as Json, json};

use super::world::{Got, World, exec, got};
use crate::limits::ATTACHMENT;

const HEADERS: [(&str, &str); 1] = [("content-type", "multipart/form-data; boundary=b")];

fn spawned() -> World {
    let mut w = World::new();
    w.webhook_type("t");
    assert_eq!(w.put("/_electric/entities/t/a", &json!({ "initialMessage": 1 })).status, 201);
    w
}

fn form(id: &str, bytes: &str) -> String {
    let field =
        |name: &str, value: &str| format!("--b\r\nContent-Disposition: form-data; name={name}\r\n\r\n{value}\r\n");
    let file = field("file; filename=f", bytes);
    format!("{file}{}{}--b--", field("id", id), field("subject", "{\"type\":\"run\",\"key\":\"r\"}"))
}

fn attach(w: &mut World, id: &str, bytes: &str) -> Got {
    let command = World::command("POST", "/_electric/entities/t/a/attachments", &HEADERS, &form(id, bytes));
    got(w.batch(vec![command]).remove(0))
}

fn download(w: &mut World, id: &str) -> Got {
    w.get(&format!("/_electric/entities/t/a/attachments/{id}"))
}

#[test]
fn an_entity_has_so_many_attachments_and_no_more_whoever_tells_of_them() {
    let mut w = spawned();
    exec(
        &w,
        "INSERT INTO attachment (entity, name, complete, astray, mime) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9999) \
         SELECT e.id, 'n' || i, 1, 1, 'text/plain' FROM n JOIN entity e WHERE e.url = '/t/a'",
    );
    assert_eq!(attach(&mut w, "last", "x").status, 201);
    let streams = w.engine.sql().number("SELECT count(*) FROM stream");
    let refused = attach(&mut w, "more", "x");
    assert_eq!((refused.status, refused.code().as_str()), (409, "LIMIT_EXCEEDED"), "{}", refused.body);
    assert_eq!(w.engine.sql().number("SELECT count(*) FROM stream"), streams, "a refusal leaves nothing");
    let (_, token) = w.claim();
    let row = |id: &str| json!([{ "type": "manifest", "key": format!("attachment:{id}"), "value": { "kind": "attachment", "status": "pending" }, "headers": { "operation": "insert" } }]);
    for id in ["more", "last", ".bad"] {
        assert_eq!(w.append("/t/a", &token, &row(id)).status, 204);
    }
    assert_eq!(w.engine.sql().number("SELECT count(*) FROM attachment"), 10_000);
    assert_eq!(download(&mut w, "last").code(), "INVALID_REQUEST", "a row that was there may change");
    let journal = w.get("/_reveille/entities/t/a/journal").json();
    let steps: Vec<Json> = journal["steps"].as_array().expect("steps").clone();
    let refused: Vec<_> = steps.iter().filter(|s| s["what"] == "refused").map(|s| s["manifest_key"].clone()).collect();
    assert_eq!(refused, ["attachment:more", "attachment:.bad"]);
}

#[test]
fn a_file_in_many_pieces_is_there_after_a_restart_and_gone_when_it_is_deleted() {
    let mut w = spawned();
    let bytes = "0123456789abcdef".repeat(160_000);
    assert_eq!(attach(&mut w, "a", &bytes).status, 201);
    w.pass(crate::Span::secs(60));
    let mut w = w.restart();
    let got = download(&mut w, "a");
    assert!(got.body == bytes, "{} bytes of {}", got.body.len(), bytes.len());
    let stream = w.get("/t/a/attachments/a?offset=-1");
    assert!(stream.body.len() < bytes.len(), "a read of the stream takes it in pieces");
    assert_eq!(stream.header("stream-closed"), "");
    let left = "SELECT (SELECT count(*) FROM entry WHERE stream NOT IN (SELECT id FROM stream)) + (SELECT count(*) FROM entry e JOIN stream s ON s.id = e.stream WHERE s.path LIKE '%/attachments/%')";
    assert!(w.engine.sql().number(left) > 0);
    let deleted = w.ask("DELETE", "/_electric/entities/t/a/attachments/a", &[], &Json::Null);
    assert_eq!(deleted.status, 200, "{}", deleted.body);
    w.pass(crate::Span::secs(1));
    assert_eq!(w.engine.sql().number(left), 0);
    assert_eq!(w.engine.sql().number("SELECT count(*) FROM attachment"), 0);
}

#[test]
fn a_file_is_refused_by_its_own_size_and_not_by_its_forms() {
    let mut w = spawned();
    let refused = attach(&mut w, "a", &"x".repeat(ATTACHMENT + 1));
    assert_eq!((refused.status, refused.code().as_str()), (413, "INVALID_REQUEST"));
    assert!(refused.body.contains("Attachment exceeds maximum size of 26214400 bytes"), "{}", refused.body);
    assert_eq!(attach(&mut w, "a", &"x".repeat(ATTACHMENT)).status, 201);
}

#[test]
fn of_two_uploads_in_one_batch_under_one_id_the_first_counts() {
    let mut w = spawned();
    let command =
        |bytes: &str| World::command("POST", "/_electric/entities/t/a/attachments", &HEADERS, &form("a", bytes));
    let answers: Vec<u16> = w.batch(vec![command("one"), command("two")]).into_iter().map(|t| got(t).status).collect();
    assert_eq!(answers, [201, 409]);
    assert_eq!(download(&mut w, "a").body, "one");
}

#[test]
fn a_stream_that_stood_there_before_is_not_served_and_gives_way() {
    let mut w = spawned();
    assert_eq!(w.ask("PUT", "/plain", &[("content-type", "text/plain")], &json!("old")).status, 201);
    exec(&w, "UPDATE stream SET path = '/t/a/attachments/a' WHERE path = '/plain'");
    let (_, token) = w.claim();
    let row = json!([{ "type": "manifest", "key": "attachment:a", "value": { "kind": "attachment", "status": "complete", "streamPath": "/t/a/attachments/a" }, "headers": { "operation": "insert" } }]);
    assert_eq!(w.append("/t/a", &token, &row).status, 204);
    assert_eq!(download(&mut w, "a").status, 404);
    let delete = json!([{ "type": "manifest", "key": "attachment:a", "headers": { "operation": "delete" } }]);
    assert_eq!(w.append("/t/a", &token, &delete).status, 204);
    assert_eq!(attach(&mut w, "a", "new").status, 201);
    assert_eq!(download(&mut w, "a").body, "new");
}

/// The bytes that came later under the same id were given to the fork, whose manifest told of others.
#[test]
fn a_fork_of_the_past_has_no_file_that_came_later_under_an_id() {
    let mut w = spawned();
    assert_eq!(attach(&mut w, "a", "old").status, 201);
    let events = w.get("/t/a/main").json().as_array().map_or(0, Vec::len);
    assert_eq!(w.ask("DELETE", "/_electric/entities/t/a/attachments/a", &[], &Json::Null).status, 200);
    assert_eq!(attach(&mut w, "a", "new").status, 201);
    let past = json!({ "instance_id": "past", "fork_pointer": { "offset": null, "sub_offset": events } });
    for (id, ask, bytes) in [("past", past, None), ("now", json!({ "instance_id": "now" }), Some("new"))] {
        let forked = w.post("/_electric/entities/t/a/fork", &ask);
        assert_eq!(forked.status, 201, "{}", forked.body);
        let got = w.get(&format!("/_electric/entities/t/{id}/attachments/a"));
        assert_eq!((got.status == 200).then_some(&*got.body), bytes, "{id}");
    }
}

/// Where a fork branches off within what its source had from another fork, rows of files name the first of them.
#[test]
fn a_fork_of_a_forks_past_has_the_files_that_were_there() {
    let mut w = spawned();
    assert_eq!(attach(&mut w, "a", "bytes").status, 201);
    let events = w.get("/t/a/main").json().as_array().map_or(0, Vec::len);
    let ask = json!({ "instance_id": "f" });
    assert_eq!(w.post("/_electric/entities/t/a/fork", &ask).status, 201);
    let past = json!({ "instance_id": "g", "fork_pointer": { "offset": null, "sub_offset": events } });
    let forked = w.post("/_electric/entities/t/f/fork", &past);
    assert_eq!(forked.status, 201, "{}", forked.body);
    assert_eq!(w.ask("DELETE", "/_electric/entities/t/a/attachments/a", &[], &Json::Null).status, 200);
    for id in ["f", "g"] {
        let got = w.get(&format!("/_electric/entities/t/{id}/attachments/a"));
        assert_eq!((got.status, got.body.as_str()), (200, "bytes"), "{id}");
    }
}
