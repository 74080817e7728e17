//! Handing over: an entity is somebody's for a moment, and then who had it has it again. Meanwhile it is as much theirs as
//! if it had always been, and observes only what they may read.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::cluster::{Cluster, text};
use super::host::Op;
use super::members;
use super::model::Target;
use super::people::some;
use super::rights;

/// An entity is handed over, and back.
pub(super) fn lends(c: &mut Cluster) {
    let (Some(entity), Some(to)) = (some(c), c.dice.pick(&[0, 1, 2])) else { return };
    c.turn(vec![hands(c, entity, Some(to))]);
    let url = c.entities[entity].url.clone();
    if owner(c, &url) != rights::url(to) {
        return;
    }
    c.heard.insert("an entity is lent".to_owned());
    belongs(c, entity, to);
    c.turn(vec![hands(c, entity, None)]);
    assert_eq!(owner(c, &url), "/principal/system%3Adev-local");
    c.run(Vec::new());
}

/// Hands an entity over to somebody, or to who runs the cluster.
fn hands(c: &Cluster, entity: usize, to: Option<usize>) -> Op {
    let url = &c.entities[entity].url;
    let what = format!("{url} is handed over to {}", rights::name(to));
    let path = format!("/_reveille/entities{url}/owner");
    Op::ask(what, ("POST", &path), &[], &json!({ "principal": rights::name(to) }), move |c, got| {
        let it = &c.entities[entity];
        let (runs, owner) = (matches!(it.target, Target::Runner(_)), to.is_some());
        if runs && owner && !it.is_over() {
            return assert_eq!((got.status, got.code()), (403, "UNAUTHORIZED".to_owned()), "{}", got.body);
        }
        assert_eq!(got.status, 200, "{}", got.body);
        let Some(to) = to else { return };
        members::acts(c, rights::url(to));
        let url = c.entities[entity].url.clone();
        let held = c.registrations.iter().filter(|r| r.subscriber == entity).map(|r| r.source.clone());
        let sources: BTreeSet<String> = held.collect();
        let lost: BTreeSet<String> =
            sources.into_iter().filter(|source| *source != url && !reads(c, to, source)).collect();
        if !lost.is_empty() {
            c.heard.insert("who is lent sees less".to_owned());
        }
        c.registrations.retain(|r| r.subscriber != entity || !lost.contains(&r.source));
    })
}

/// What somebody may do with an entity that is theirs.
fn belongs(c: &mut Cluster, entity: usize, whose: usize) {
    let url = c.entities[entity].url.clone();
    let header = rights::header(Some(whose));
    let listed = c.world.ask("GET", "/_electric/entities", &header, &Json::Null).json();
    assert!(listed.as_array().expect("a list").iter().any(|e| text(&e["url"]) == url), "{listed}");
    assert_eq!(c.world.ask("GET", &format!("{url}/main"), &header, &Json::Null).status, 200);
    let grants = c.world.ask("GET", &format!("/_electric/entities{url}/grants"), &header, &Json::Null);
    assert_eq!(grants.status, 200, "{}", grants.body);
}

/// Whether somebody may read a source: of an entity the model knows, of anything else the server says.
fn reads(c: &mut Cluster, by: usize, source: &str) -> bool {
    if let Some(entity) = c.entities.iter().position(|e| e.url == source) {
        return c.may(Some(by), "read", entity);
    }
    c.world.ask("HEAD", source, &rights::header(Some(by)), &Json::Null).status != 401
}

fn owner(c: &mut Cluster, url: &str) -> String {
    text(&c.read(&format!("/_electric/entities{url}")).json()["created_by"])
}
