//! Notes: rows of a collection to which others may only add. Under a key that is there nobody else adds one, in forks too.

use serde_json::{Value as Json, json};

use super::cluster::Cluster;
use super::host::Op;
use super::model::Author;
use super::people::{refuses, some};
use super::registrations::Change;

/// What each type lets others write.
pub(super) fn collections() -> Json {
    json!({ "notes": { "type": NOTE } })
}

const NOTE: &str = "remark";
const KEYS: [&str; 4] = ["a", "b", "c", "d"];

/// Somebody adds a note, under a key that is free or taken.
pub(super) fn adds(c: &mut Cluster) -> Option<Op> {
    let (entity, key, number) = (some(c)?, c.dice.pick(&KEYS)?, c.number());
    let body = json!({ "operation": "insert", "key": key, "value": { "n": number } });
    let url = c.entities[entity].url.clone();
    let path = format!("/_electric/entities{url}/collections/notes");
    Some(Op::ask(format!("a note for {url}: {key}"), ("POST", &path), &[], &body, move |c, got| {
        if refuses(c, entity, got) {
            return;
        }
        if c.entities[entity].locked.is_some() {
            return assert_eq!(got.code(), "FORK_IN_PROGRESS");
        }
        let notes = c.world.events(&url, NOTE);
        let first = notes.iter().find(|note| note["key"] == key).map(|note| note["value"]["n"].clone());
        if first == Some(number.into()) {
            assert_eq!(got.status, 201, "{}", got.body);
            c.heard.insert("a note is added".to_owned());
            c.changed(&url, Author::Server, &[Change::of(NOTE, key)]);
        } else {
            assert_eq!((got.status, got.code()), (409, "DUPLICATE_KEY".to_owned()), "{}", got.body);
            c.heard.insert("a key is taken".to_owned());
        }
    }))
}

/// Each key has one note: nobody takes one away here.
pub(super) fn check(c: &mut Cluster) {
    for at in 0..c.entities.len() {
        let url = c.entities[at].url.clone();
        let mut keys: Vec<Json> = c.world.events(&url, NOTE).iter().map(|note| note["key"].clone()).collect();
        let all = keys.len();
        keys.sort_by_key(Json::to_string);
        keys.dedup();
        assert_eq!(keys.len(), all, "{url} has notes under the same key");
    }
}
