//! Schemas where they are used: types are admitted, and what comes to their entities fits.

use serde_json::{Value as Json, json};

use super::world::{Got, World};
use crate::Span;

/// Registers the type `t` with `more`, whose entities are woken by a webhook.
fn register(w: &mut World, more: Json) -> Got {
    let policy = json!({ "targets": [{ "type": "webhook", "url": "https://agent.test/t", "subscription_id": "t" }] });
    let mut body = json!({ "name": "t", "description": "d", "default_dispatch_policy": policy });
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    w.post("/_electric/entity-types", &body)
}

fn send(w: &mut World, id: &str, body: &Json) -> Got {
    w.post(&format!("/_electric/entities/t/{id}/send"), body)
}

fn spawn(w: &mut World, id: &str, body: &Json) -> Got {
    w.put(&format!("/_electric/entities/t/{id}"), body)
}

fn details(got: &Got) -> Vec<String> {
    let json = got.json();
    let all = json["error"]["details"].as_array().cloned().unwrap_or_default();
    all.iter()
        .map(|d| format!("{}: {}", d["path"].as_str().unwrap_or(""), d["message"].as_str().unwrap_or("")))
        .collect()
}

fn note(value: Json) -> Json {
    json!({ "type": "note", "key": "n", "value": value, "headers": { "operation": "insert" } })
}

/// A type that asks for a text wherever it can.
fn text_everywhere() -> Json {
    let text = json!({ "type": "object", "properties": { "text": { "type": "string" } }, "required": ["text"] });
    json!({ "creation_schema": text, "inbox_schemas": { "say": text }, "state_schemas": { "note": text } })
}

#[test]
fn of_two_things_wrong_with_a_type_the_earlier_one_is_said() {
    let mut w = World::new();
    let comments = json!({ "comments": { "type": "c" } });
    let (foreign, unusable) = (json!({ "if": {} }), json!({ "type": "foo" }));
    let commands = json!([{ "name": "Goal" }]);
    for (more, status, message) in [
        (
            json!({ "externally_writable_collections": comments, "name": 5 }),
            400,
            "Request body does not match API schema",
        ),
        (json!({ "slash_commands": [{}], "name": "" }), 400, "Request body does not match API schema"),
        (json!({ "slash_commands": [{ "name": "a", "extra": 1 }] }), 400, "Request body does not match API schema"),
        (
            json!({ "slash_commands": [{ "name": "a", "arguments": [{ "name": "a", "type": "object" }] }] }),
            400,
            "Request body does not match API schema",
        ),
        (
            json!({ "externally_writable_collections": { "a": { "type": "t", "operations": ["upsert"] } } }),
            400,
            "Request body does not match API schema",
        ),
        (
            json!({ "externally_writable_collections": comments, "name": "" }),
            400,
            "The externally-writable collection name \"comments\" is reserved for the \"comments/v1\" contract",
        ),
        (
            json!({ "externally_writable_collections": { "a": { "type": "t", "contract": "comments/v1" } }, "name": "" }),
            400,
            "The \"comments/v1\" contract must be registered under the collection name \"comments\"",
        ),
        (json!({ "description": "", "creation_schema": foreign }), 400, "Missing required field: description"),
        (
            json!({ "creation_schema": unusable, "inbox_schemas": { "a": foreign } }),
            400,
            "Schema `creation_schema` cannot be used: `#/type` must name types",
        ),
        (
            json!({ "inbox_schemas": { "a/b": unusable }, "state_schemas": { "a": foreign } }),
            400,
            "Schema `inbox_schemas/a~1b` cannot be used: `#/type` must name types",
        ),
        (
            json!({ "state_schemas": { "a": foreign }, "slash_commands": commands }),
            400,
            "Schema uses disallowed keywords",
        ),
        (json!({ "slash_commands": commands }), 422, "Validation failed"),
    ] {
        let got = register(&mut w, more.clone());
        assert_eq!(
            (got.status, got.json()["error"]["message"].as_str()),
            (status, Some(message)),
            "{more} {}",
            got.body
        );
    }
    assert_eq!(w.types(), Vec::<String>::new());
    let comments = json!({ "comments": { "type": "c", "contract": "comments/v1", "principalColumn": "by" } });
    let got =
        register(&mut w, json!({ "externally_writable_collections": comments, "slash_commands": [{ "name": "a" }] }));
    assert_eq!(got.status, 201, "{}", got.body);
}

#[test]
fn a_manifest_is_admitted_like_a_body() {
    let mut w = World::new();
    let asked = json!({ "name": "t", "serve_endpoint": "https://agent.test/t" }).to_string();
    let bad_policy =
        "default_dispatch_policy does not match dispatch policy schema: /targets must NOT have fewer than 1 items";
    for (more, status, said) in [
        (json!({ "creation_schema": { "if": {} } }), 400, ""),
        (json!({ "externally_writable_collections": { "comments": {} } }), 400, ""),
        (json!({ "slash_commands": ["goal"] }), 422, ""),
        (json!({ "default_dispatch_policy": { "targets": [] } }), 400, bad_policy),
        (json!({ "default_dispatch_policy": { "targets": [] }, "slash_commands": ["goal"] }), 422, ""),
        (json!({ "unheard_of": 1 }), 201, ""),
    ] {
        w.batch(vec![World::command("POST", "/_electric/entity-types", &[], &asked)]);
        let mut manifest = json!({ "name": "t", "description": "d" });
        manifest.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let fetch = w.fetches.remove(0);
        let answer = crate::Answer { status: 200, headers: Vec::new(), body: manifest.to_string().into_bytes() };
        let turns = w.batch(vec![crate::Command::Outcome { effect: fetch.id, result: Ok(answer) }]);
        let got = turns.into_iter().map(super::world::got).next().expect("an answer");
        assert_eq!(got.status, status, "{more} {}", got.body);
        assert!(got.json()["error"]["message"].as_str().unwrap_or("").contains(said), "{more} {}", got.body);
    }
}

#[test]
fn a_spawn_says_what_is_wrong_with_its_args_and_its_message() {
    let mut w = World::new();
    register(&mut w, text_everywhere());
    assert_eq!(spawn(&mut w, "unasked", &json!({})).status, 201);
    let got = spawn(&mut w, "a", &json!({ "args": {} }));
    assert_eq!((got.status, got.code().as_str()), (422, "SCHEMA_VALIDATION_FAILED"));
    assert_eq!(details(&got), ["/: must have required property 'text'"]);
    let got = spawn(&mut w, "unasked", &json!({ "args": { "text": 5 } }));
    assert_eq!((got.status, details(&got)), (422, vec!["/text: must be string".to_owned()]), "before the 409");

    let said = |kind: &str, message: Json| json!({ "initialMessage": message, "initialMessageType": kind });
    for (body, status, code) in [
        (said("nope", json!(1)), 422, "UNKNOWN_MESSAGE_TYPE"),
        (said("say", json!({})), 422, "SCHEMA_VALIDATION_FAILED"),
        (said("composer_input", json!({})), 422, "SCHEMA_VALIDATION_FAILED"),
        (said("", json!(1)), 201, ""),
    ] {
        let got = spawn(&mut w, "b", &body);
        assert_eq!((got.status, got.code().as_str()), (status, code), "{body} {}", got.body);
    }
    assert_eq!(spawn(&mut w, "c", &said("say", json!({ "text": "\u{1F600}" }))).status, 201);
}

#[test]
fn a_message_fits_its_type_or_is_refused() {
    let mut w = World::new();
    register(&mut w, text_everywhere());
    spawn(&mut w, "a", &json!({}));
    for (body, status, code, message) in [
        (json!({ "type": "nope" }), 422, "UNKNOWN_MESSAGE_TYPE", "Unknown message type \"nope\""),
        (json!({ "type": "say" }), 400, "INVALID_REQUEST", "Missing required field: payload"),
        (json!({ "type": "say", "payload": { "text": 5 } }), 422, "SCHEMA_VALIDATION_FAILED", "Validation failed"),
        (json!({ "type": "composer_input", "payload": [] }), 422, "SCHEMA_VALIDATION_FAILED", "Validation failed"),
        (json!({ "type": "composer_input" }), 422, "SCHEMA_VALIDATION_FAILED", "Validation failed"),
    ] {
        for after in [0, 1_000] {
            let mut body = body.clone();
            body["afterMs"] = after.into();
            let got = send(&mut w, "a", &body);
            assert_eq!((got.status, got.code().as_str()), (status, code), "{body} {}", got.body);
            assert_eq!(got.json()["error"]["message"], message);
        }
    }
    w.pass(Span::secs(2));
    assert_eq!(w.events("/t/a", "inbox").len(), 0);
    for body in [
        json!({ "payload": 5 }),
        json!({ "type": "", "payload": 5 }),
        json!({ "type": "say", "payload": { "text": "x" } }),
        json!({ "type": "composer_input", "payload": { "source": "x" } }),
    ] {
        assert_eq!(send(&mut w, "a", &body).status, 200, "{body}");
    }
}

#[test]
fn half_an_emoji_does_not_keep_a_message_out() {
    let mut w = World::new();
    register(&mut w, text_everywhere());
    spawn(&mut w, "a", &json!({}));
    let body = r#"{"type":"say","payload":{"text":"cut \ud83d"}}"#;
    let mut turns = w.batch(vec![World::command("POST", "/_electric/entities/t/a/send", &[], body)]);
    assert_eq!(super::world::got(turns.remove(0)).status, 200);
    assert!(w.get("/t/a/main").body.contains(r#""payload":{"text":"cut \ud83d"}"#), "it is stored as it was sent");
}

#[test]
fn a_delayed_message_that_no_longer_fits_is_dropped() {
    let mut w = World::new();
    register(&mut w, text_everywhere());
    spawn(&mut w, "a", &json!({}));
    for text in ["x", "a longer text"] {
        let got = send(&mut w, "a", &json!({ "type": "say", "payload": { "text": text }, "afterMs": 1_000 }));
        assert_eq!(got.status, 204);
    }
    register(&mut w, json!({ "inbox_schemas": { "say": { "properties": { "text": { "maxLength": 1 } } } } }));
    w.pass(Span::secs(2));
    let arrived = w.events("/t/a", "inbox");
    assert_eq!(arrived.iter().map(|e| &e["value"]["payload"]["text"]).collect::<Vec<_>>(), ["x"]);
    let left = w.engine.sql().number("SELECT count(*) FROM timer t JOIN delayed_send d ON d.id = t.subject");
    assert_eq!(left, 0);
}

#[test]
fn what_an_agent_writes_fits_its_state_schemas() {
    let mut w = World::new();
    register(&mut w, text_everywhere());
    spawn(&mut w, "a", &json!({ "initialMessage": 1 }));
    let (_, token) = w.claim();
    let gone =
        |old: Json| json!({ "type": "note", "key": "n", "old_value": old, "headers": { "operation": "delete" } });
    for (events, code) in [
        (json!([{ "type": "memo", "value": {} }]), "UNKNOWN_EVENT_TYPE"),
        (json!([{ "type": "" }]), "UNKNOWN_EVENT_TYPE"),
        (json!([note(json!({ "text": "x" })), note(json!(5))]), "SCHEMA_VALIDATION_FAILED"),
        (json!([note(json!(5)), { "type": "memo" }]), "SCHEMA_VALIDATION_FAILED"),
        (json!([gone(json!({}))]), "SCHEMA_VALIDATION_FAILED"),
        (json!([gone(json!(null))]), "SCHEMA_VALIDATION_FAILED"),
    ] {
        let got = w.append("/t/a", &token, &events);
        assert_eq!((got.status, got.code().as_str()), (422, code), "{events} {}", got.body);
        assert_eq!(got.json()["error"].get("details"), None);
    }
    assert_eq!(w.events("/t/a", "note").len(), 0);
    let valueless = json!({ "type": "note", "key": "n", "headers": { "operation": "delete" } });
    let events =
        json!([note(json!({ "text": "x" })), gone(json!({ "text": "x" })), valueless, { "key": "untyped" }, 5]);
    let got = w.append("/t/a", &token, &events);
    assert_eq!(got.status, 204, "{}", got.body);
}

#[test]
fn an_entity_keeps_the_schemas_of_its_birth_beneath_those_of_today() {
    let mut w = World::new();
    let only = |kind: &str| json!({ "inbox_schemas": { kind: { "type": "string" } } });
    let kinds = |w: &mut World, id: &str| {
        let fits = |w: &mut World, kind: &str| send(w, id, &json!({ "type": kind, "payload": "x" })).status == 200;
        ["old", "new"].into_iter().filter(|kind| fits(w, kind)).collect::<Vec<_>>()
    };
    register(&mut w, only("old"));
    spawn(&mut w, "a", &json!({}));
    assert_eq!(kinds(&mut w, "a"), ["old"]);

    register(&mut w, only("new"));
    spawn(&mut w, "b", &json!({}));
    assert_eq!((kinds(&mut w, "a"), kinds(&mut w, "b")), (vec!["old", "new"], vec!["new"]));

    w.ask("DELETE", "/_electric/entity-types/t", &[], &Json::Null);
    assert_eq!((kinds(&mut w, "a"), kinds(&mut w, "b")), (vec!["old"], vec!["new"]));

    register(&mut w, json!({}));
    spawn(&mut w, "c", &json!({}));
    assert_eq!((kinds(&mut w, "a"), kinds(&mut w, "b")), (vec!["old"], vec!["new"]));
    assert_eq!(kinds(&mut w, "c"), ["old", "new"], "nothing is checked");

    register(&mut w, json!({ "inbox_schemas": {} }));
    assert_eq!((kinds(&mut w, "a"), kinds(&mut w, "c")), (vec!["old"], vec![]), "an empty map knows no message");
}

#[test]
fn schemas_that_stay_as_they_were_are_kept_once() {
    let mut w = World::new();
    for _ in 0..3 {
        register(&mut w, text_everywhere());
    }
    register(&mut w, json!({}));
    assert_eq!(w.engine.sql().number("SELECT count(*) FROM schema_set"), 1);
}
