//! Files: they are attached to an entity, read back, deleted, and their ids used again. What was acknowledged is there, byte
//! for byte, and what was deleted is not.

use serde_json::Value as Json;

use super::cluster::Cluster;
use super::host::Op;
use super::model::Author;
use super::people::{refuses, some};
use super::registrations::Change;

/// An id of a file that there is or was.
pub(super) struct File {
    pub(super) entity: usize,
    pub(super) id: &'static str,
    /// None: it was deleted.
    pub(super) bytes: Option<String>,
}

const IDS: [&str; 3] = ["f", "g", "h"];

/// A file is attached, under an id that is new, free again, or taken.
pub(super) fn attaches(c: &mut Cluster) -> Option<Op> {
    let (entity, id) = (some(c)?, c.dice.pick(&IDS)?);
    let times = if c.dice.percent(10) { 3_000 } else { 1 };
    let bytes = format!("file {} ", c.number()).repeat(times);
    let field =
        |name: &str, value: &str| format!("--b\r\nContent-Disposition: form-data; name={name}\r\n\r\n{value}\r\n");
    let subject = field("subject", r#"{"type":"run","key":"r"}"#);
    let form = format!("{}{}{subject}--b--", field("file; filename=f", &bytes), field("id", id));
    let url = c.entities[entity].url.clone();
    let path = format!("/_electric/entities{url}/attachments");
    let headers = [("content-type", "multipart/form-data; boundary=b")];
    Some(Op::send(format!("{url} is given {id}"), ("POST", &path), &headers, &form, move |c, got| {
        if refuses(c, entity, got) || is_locked(c, entity, got.status, &got.code()) {
            return;
        }
        let known = c.files.iter().position(|file| file.entity == entity && file.id == id);
        if known.is_some_and(|at| c.files[at].bytes.is_some()) {
            assert_eq!((got.status, got.code()), (409, "INVALID_REQUEST".to_owned()), "{}", got.body);
            return;
        }
        assert_eq!(got.status, 201, "{}", got.body);
        c.heard.insert(if known.is_some() { "an id is used again" } else { "a file is attached" }.to_owned());
        c.files.retain(|file| file.entity != entity || file.id != id);
        c.files.push(File { entity, id, bytes: Some(bytes) });
        written(c, entity, id);
    }))
}

/// A file is deleted, or there is none.
pub(super) fn deletes(c: &mut Cluster) -> Option<Op> {
    let at = c.dice.below(c.files.len());
    let file = c.files.get(at)?;
    let (entity, id) = (file.entity, file.id);
    let url = c.entities[entity].url.clone();
    let path = format!("/_electric/entities{url}/attachments/{id}");
    Some(Op::ask(format!("{url} loses {id}"), ("DELETE", &path), &[], &Json::Null, move |c, got| {
        if refuses(c, entity, got) || is_locked(c, entity, got.status, &got.code()) {
            return;
        }
        let there = c.files.iter_mut().find(|file| file.entity == entity && file.id == id && file.bytes.is_some());
        let Some(file) = there else { return assert_eq!(got.status, 404, "{}", got.body) };
        assert_eq!(got.status, 200, "{}", got.body);
        file.bytes = None;
        c.heard.insert("a file is deleted".to_owned());
        written(c, entity, id);
    }))
}

fn is_locked(c: &Cluster, entity: usize, status: u16, code: &str) -> bool {
    let locked = c.entities[entity].locked.is_some();
    assert_eq!(locked, (status, code) == (409, "FORK_IN_PROGRESS"));
    locked
}

fn written(c: &mut Cluster, entity: usize, id: &str) {
    let url = c.entities[entity].url.clone();
    c.changed(&url, Author::Server, &[Change::of("manifest", &format!("attachment:{id}"))]);
}

/// Each file gives the bytes that came with it, and one that was deleted none.
pub(super) fn check(c: &mut Cluster) {
    for at in 0..c.files.len() {
        let (url, id) = (c.entities[c.files[at].entity].url.clone(), c.files[at].id);
        let got = c.read(&format!("/_electric/entities{url}/attachments/{id}"));
        match &c.files[at].bytes {
            Some(bytes) => {
                assert!(got.status == 200 && got.body == *bytes, "{id} of {url}: {} {}", got.status, got.body)
            }
            None => assert_eq!(got.status, 404, "{id} of {url} was deleted: {}", got.body),
        }
    }
}
