//! A host that has the last word on who may do what.

use serde_json::{Value as Json, json};

use super::world::{World, everybody};
use crate::Config;
use crate::permission::{Authorise, Permission, Resource};

const ALICE: [(&str, &str); 1] = [("electric-principal", "user:alice")];
const BOB: [(&str, &str); 1] = [("electric-principal", "user:bob")];

fn hosted(authorise: Authorise) -> World {
    let world = World::new();
    let config = Config { authorise: Some(authorise), ..world.engine.config().clone() };
    world.restart_as(config)
}

#[test]
fn what_the_host_says_holds_and_what_it_leaves_is_as_decided() {
    let mut w = hosted(Authorise::new(|question| match (question.resource, question.permission) {
        (Resource::Entity("/t/closed"), _) => Some(false),
        (Resource::Entity("/t/open"), Permission::Read) => Some(true),
        (Resource::Entity("/t/broken"), _) => panic!("it does not know"),
        (Resource::EntityType("hidden"), _) => Some(false),
        (Resource::Registration("mine"), _) => {
            assert!(question.decided);
            Some(question.by.id() == "bob")
        }
        _ => None,
    }));
    for name in ["t", "hidden"] {
        let kind = json!({ "name": name, "description": "d", "permission_grants": everybody() });
        assert_eq!(w.post("/_electric/entity-types", &kind).status, 201);
    }
    for id in ["closed", "open", "broken", "hers"] {
        assert_eq!(w.ask("PUT", &format!("/_electric/entities/t/{id}"), &ALICE, &json!({})).status, 201, "{id}");
    }
    for (id, alice, bob) in [("closed", 401, 401), ("open", 200, 200), ("broken", 401, 401), ("hers", 200, 401)] {
        let path = format!("/_electric/entities/t/{id}");
        for (by, status) in [(&ALICE, alice), (&BOB, bob)] {
            assert_eq!(w.ask("GET", &path, by, &Json::Null).status, status, "{id} {by:?}");
            assert_eq!(w.ask("GET", &format!("/t/{id}/main"), by, &Json::Null).status, status, "{id} {by:?}");
        }
        assert_eq!(w.get(&path).status, 200, "the system is not asked about");
    }
    assert_eq!(w.ask("PUT", "/_electric/entities/hidden/e", &ALICE, &json!({})).status, 401);
    let types = w.ask("GET", "/_electric/entity-types", &ALICE, &Json::Null).json();
    assert_eq!(types.as_array().expect("a list").iter().map(|t| t["name"].clone()).collect::<Vec<_>>(), ["t"]);
    let mine = json!({ "name": "mine", "description": "d" });
    let refused = w.ask("POST", "/_electric/entity-types", &ALICE, &mine);
    assert_eq!(refused.json()["error"]["message"], "Principal is not allowed to register entity types");
    assert_eq!(w.ask("POST", "/_electric/entity-types", &BOB, &mine).status, 201);
}

#[test]
fn a_shared_state_is_the_hosts_to_decide_too() {
    let mut w = hosted(Authorise::new(|question| match question.resource {
        Resource::SharedState("board") => Some(question.by.id() == "bob"),
        _ => None,
    }));
    let json = [("content-type", "application/json")];
    let path = "/_electric/shared-state/board";
    assert_eq!(w.ask("PUT", path, &[ALICE[0], json[0]], &json!([])).status, 401);
    assert_eq!(w.ask("PUT", path, &[BOB[0], json[0]], &json!([])).status, 201);
    assert_eq!(w.ask("GET", path, &ALICE, &Json::Null).status, 401);
    assert_eq!(w.ask("GET", path, &BOB, &Json::Null).status, 200);
}

#[test]
fn shapes_go_by_owners_and_grants_alone() {
    let mut w = hosted(Authorise::new(|question| match question.resource {
        Resource::Entity(_) if question.permission == Permission::Read => Some(question.by.id() == "bob"),
        Resource::EntityType("hidden") => Some(false),
        _ => None,
    }));
    for name in ["t", "hidden"] {
        let kind = json!({ "name": name, "description": "d", "permission_grants": everybody() });
        assert_eq!(w.post("/_electric/entity-types", &kind).status, 201);
    }
    for (table, id) in [("entities", "a"), ("entity_dispatch_state", "b")] {
        let told = |w: &mut World, by: &[(&str, &str)], from: &str| {
            let got = w.ask("GET", &format!("/_electric/electric/v1/shape?table={table}&{from}"), by, &Json::Null);
            let at = format!("handle={}&offset={}", got.header("electric-handle"), got.header("electric-offset"));
            (at, got.body.contains(&format!("/t/{id}")))
        };
        // The first look at dispatches is remembered; those after it hold.
        told(&mut w, &BOB, "offset=-1");
        let [(hers, _), (his, _)] = [&ALICE, &BOB].map(|by| told(&mut w, by, "offset=-1"));
        assert_eq!(w.ask("PUT", &format!("/_electric/entities/t/{id}"), &ALICE, &json!({})).status, 201);
        for (by, at, sees) in [(&ALICE, hers, true), (&BOB, his, false)] {
            assert_eq!(told(&mut w, by, &at).1, sees, "{table} is told {by:?}");
            assert_eq!(told(&mut w, by, "offset=-1").1, sees, "{table} as {by:?} finds it");
        }
    }
    let types = w.ask("GET", "/_electric/electric/v1/shape?table=entity_types&offset=-1", &ALICE, &Json::Null);
    assert!(types.body.contains("hidden"), "{}", types.body);
}
