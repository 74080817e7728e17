//! What a copy's stream says first: who it is now, and of each row that named what was copied, what it names now. What
//! the rows of its manifest stand for follows from them.

use serde_json::value::RawValue;
use serde_json::{Value as Json, json};

use super::build::Copy;
use super::remap::Names;
use super::replay::parse;
use crate::http::Error;
use crate::limits::READ;
use crate::store::Tx;
use crate::stream::{Cause, Class, Content, Event, write};
use crate::wake;

/// Writes what has changed to a copy's stream, and has its manifest stand for what it says.
pub(super) fn reconcile(tx: &Tx<'_>, names: &Names, copy: &mut Copy, txid: &str) -> Result<(), Error> {
    let told = &copy.told;
    let mut pen = Pen { txid, source: &copy.source.url, events: Vec::new() };
    pen.created(copy, &tx.now.iso());
    let mut same = Vec::new();
    for (key, row) in &told.manifests {
        match names.manifest(&copy.source.url, key, &parse(row)) {
            Some((new, value)) => pen.moved("manifest", key, &new, &value),
            None => same.push((key, row)),
        }
    }
    for (key, row) in &told.statuses {
        if let Some(value) = status(names, parse(row)) {
            pen.say("child_status", key, "update", Some(&value.to_string()));
        }
    }
    for (key, row) in &told.watermarks {
        if let Some((new, value)) = watermark(names, key, parse(row)) {
            pen.moved("replay_watermark", key, &new, &value);
        }
    }
    for events in pen.appends() {
        let content = Content::Json(events.iter().map(String::as_str).collect());
        write(tx, &mut copy.stream, &content, Cause::outside(Class::Never))?;
    }
    for (key, row) in same {
        stand_for(tx, copy, key, row)?;
    }
    Ok(())
}

/// A row of the manifest that says what it said stands for that again.
fn stand_for(tx: &Tx<'_>, copy: &Copy, key: &str, row: &str) -> Result<(), Error> {
    let value = serde_json::from_str::<&RawValue>(row).ok();
    let event = Event {
        kind: Some("manifest".into()),
        key: Some(key.into()),
        value,
        operation: Some("insert".into()),
        ..Event::default()
    };
    Ok(wake::project(tx, &copy.entity, None, &[event])?)
}

/// What is known of a child that was copied.
fn status(names: &Names, mut row: Json) -> Option<Json> {
    let url = names.url(row["entity_url"].as_str()?)?.as_str();
    row["entity_url"] = url.into();
    row["entity_type"] = url.split('/').nth(1)?.into();
    Some(row)
}

/// How far something was read that was copied.
fn watermark(names: &Names, key: &str, mut row: Json) -> Option<(String, Json)> {
    let old = row["source_id"].as_str()?.to_owned();
    let new = names.text(&old)?;
    row["source_id"] = new.as_str().into();
    Some((if key == old { new.clone() } else { key.to_owned() }, row))
}

/// Writes events of a fork.
struct Pen<'a> {
    txid: &'a str,
    source: &'a str,
    events: Vec<String>,
}

impl Pen<'_> {
    fn say(&mut self, kind: &str, key: &str, operation: &str, value: Option<&str>) {
        let headers = json!({ "txid": self.txid, "forkedFrom": self.source, "operation": operation });
        let value = value.map_or(String::new(), |value| format!("\"value\":{value},"));
        self.events.push(format!(r#"{{"type":"{kind}","key":{},{value}"headers":{headers}}}"#, json!(key)));
    }

    fn created(&mut self, copy: &Copy, stamp: &str) {
        let entity = &copy.entity;
        let parent = entity.parent.as_ref().map_or(String::new(), |p| format!(",\"parent_url\":{}", json!(p)));
        let kind = json!(entity.kind);
        let value = format!(r#"{{"entity_type":{kind},"timestamp":"{stamp}","args":{}{parent}}}"#, entity.args);
        self.say("entity_created", "entity-created", "update", Some(&value));
    }

    /// A row says something else, perhaps under another key.
    fn moved(&mut self, kind: &str, old: &str, new: &str, value: &Json) {
        if old != new {
            self.say(kind, old, "delete", None);
        }
        self.say(kind, new, if old == new { "update" } else { "insert" }, Some(&value.to_string()));
    }

    /// The events in portions that a read can take one by one.
    fn appends(self) -> Vec<Vec<String>> {
        let (mut all, mut bytes) = (vec![Vec::new()], 0);
        for event in self.events {
            if bytes >= READ {
                all.push(Vec::new());
                bytes = 0;
            }
            bytes += event.len();
            all.last_mut().expect("there is one").push(event);
        }
        all
    }
}
