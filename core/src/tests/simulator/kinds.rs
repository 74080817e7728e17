//! Types that come, learn and go; and messages that are edited after they were sent.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::cluster::{Cluster, text};
use super::host::Op;
use super::model::Author;
use super::people::{refuses, some};
use super::registrations::Change;

/// A type: what its messages are called, how often it has changed, and whether users may spawn it.
#[derive(Default)]
pub(super) struct Kind {
    schemas: Vec<String>,
    revision: i64,
    open: bool,
}

const NAMES: [&str; 3] = ["k0", "k1", "k2"];

/// A type is registered, if there is none of that name; one that had its name left nothing behind.
pub(super) fn registers(c: &mut Cluster) -> Option<Op> {
    let (name, open) = (c.dice.pick(&NAMES)?, c.dice.percent(50));
    if c.kinds.contains_key(name) {
        return None;
    }
    let mut body = json!({ "name": name, "description": "d" });
    if open {
        let grant = json!({ "subject_kind": "principal_kind", "subject_value": "user", "permission": "spawn" });
        body["permission_grants"] = json!([grant]);
    }
    let what = format!("register {body}");
    Some(Op::ask(what, ("POST", "/_electric/entity-types"), &[], &body, move |c, got| {
        if c.kinds.contains_key(name) {
            // Another was quicker, and this one has come on top.
            c.kinds.remove(name);
            c.unsure.insert(name);
            return;
        }
        assert_eq!(got.status, 201, "{}", got.body);
        c.kinds.insert(name, Kind { schemas: Vec::new(), revision: 1, open });
    }))
}

/// A type learns a message.
pub(super) fn amends(c: &mut Cluster) -> Option<Op> {
    let name = c.dice.pick(&NAMES)?;
    let key = format!("m{}", c.dice.below(6));
    let body = json!({ "inbox_schemas": { &key: {} } });
    let path = format!("/_electric/entity-types/{name}/schemas");
    Some(Op::ask(format!("amend {name}: {key}"), ("PATCH", &path), &[], &body, move |c, got| {
        if c.unsure.contains(name) {
            return;
        }
        let Some(kind) = c.kinds.get_mut(name) else { return assert_eq!(got.status, 404, "{}", got.body) };
        if kind.schemas.contains(&key) {
            assert_eq!((got.status, got.code()), (409, "SCHEMA_KEY_EXISTS".to_owned()), "{}", got.body);
            return;
        }
        assert_eq!(got.status, 200, "{}", got.body);
        kind.schemas.push(key);
        kind.revision += 1;
        c.heard.insert("a type learns".to_owned());
    }))
}

/// A type is deleted, or there is none.
pub(super) fn deletes(c: &mut Cluster) -> Option<Op> {
    let name = c.dice.pick(&NAMES)?;
    let path = format!("/_electric/entity-types/{name}");
    Some(Op::ask(format!("delete {name}"), ("DELETE", &path), &[], &Json::Null, move |c, got| {
        let unsure = c.unsure.remove(name);
        match c.kinds.remove(name) {
            None if unsure => {}
            None => assert_eq!(got.status, 404, "{}", got.body),
            Some(_) => {
                assert_eq!(got.status, 204, "{}", got.body);
                c.heard.insert("a type goes".to_owned());
            }
        }
    }))
}

/// The types are those that there are, as they were left; and a user is shown those that users may spawn.
pub(super) fn check(c: &mut Cluster) {
    for (by, all) in [("system:dev-local", true), ("user:a", false)] {
        let shown = c.world.ask("GET", "/_electric/entity-types", &[("electric-principal", by)], &Json::Null).json();
        let shown = shown.as_array().expect("a list").iter().map(|kind| {
            let schemas = kind["inbox_schemas"].as_object().map(|all| all.keys().cloned().collect::<Vec<_>>());
            (text(&kind["name"]), (schemas.unwrap_or_default(), kind["revision"].as_i64()))
        });
        let mut shown: BTreeMap<_, _> = shown.collect();
        shown.retain(|name, _| NAMES.contains(&name.as_str()) && !c.unsure.contains(name.as_str()));
        let want = c
            .kinds
            .iter()
            .filter(|(_, kind)| all || kind.open)
            .map(|(name, kind)| ((*name).to_owned(), (kind.schemas.clone(), Some(kind.revision))));
        assert_eq!(shown, want.collect(), "the types that {by} is shown");
    }
    let stray = "SELECT count(*) FROM type_grant WHERE type NOT IN (SELECT name FROM entity_type)";
    assert_eq!(c.world.engine.sql().number(stray), 0, "grants on a type that is gone");
}

/// A message is changed, or taken back.
pub(super) fn edits(c: &mut Cluster) -> Option<Op> {
    let (entity, number) = (some(c)?, c.number());
    let takes_back = c.dice.percent(25);
    let url = c.entities[entity].url.clone();
    let path = format!("/_electric/entities{url}/inbox/m{}", c.dice.below(4));
    let (method, body) = match takes_back {
        true => ("DELETE", Json::Null),
        false => ("PATCH", json!({ "payload": number })),
    };
    Some(Op::ask(format!("{method} {path}: {body}"), (method, &path), &[], &body, move |c, got| {
        if refuses(c, entity, got) {
            return;
        }
        assert_eq!(got.status, 200, "{}", got.body);
        let said = if takes_back { Json::Null } else { number.into() };
        c.entities[entity].edits.push(said.clone());
        c.changed(&url, Author::Server, &[Change::of("inbox", &said.to_string())]);
        c.heard.insert("a message is edited".to_owned());
    }))
}
