//! Rows of manifests, read back: what a copy's stream says that it observes and schedules, as the rules of forks and of
//! manifests word it.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use super::chains;
use super::checks::wake_row;
use super::cluster::{Cluster, text};
use super::files::File;
use super::forks;
use super::model::Delayed;
use super::people::observes_until;
use super::registrations::{Condition, Terms};
use crate::{Span, Time};

/// The rows of a manifest after some events.
pub(super) fn manifest(events: &[Json]) -> BTreeMap<String, Json> {
    let mut rows = BTreeMap::new();
    for event in events.iter().filter(|event| event["type"] == "manifest") {
        let key = text(&event["key"]);
        match event["headers"]["operation"].as_str() {
            Some("delete") => drop(rows.remove(&key)),
            _ => drop(rows.insert(key, event["value"].clone())),
        }
    }
    rows
}

/// A copy has received, written and been told what its source had.
pub(super) fn remember(c: &mut Cluster, entity: usize, events: &[Json]) {
    let it = &mut c.entities[entity];
    for event in events {
        let payload = || event["value"]["payload"].clone();
        match event["type"].as_str() {
            Some("inbox") if event["headers"]["operation"] == "insert" => {
                it.inbox.push(payload().as_u64().expect("a number"));
            }
            Some("inbox") => it.edits.push(payload()),
            Some("note" | "run") => it.notes.push(text(&event["key"])),
            Some("wake") => it.wakes.push(wake_row(event)),
            _ => {}
        }
    }
    it.notes.sort();
    it.notes.dedup();
}

/// What the rows of a copy's manifest stand for follows from them: first those that name what was copied, then the others.
pub(super) fn stand(c: &mut Cluster, source: usize, copy: usize, names: &BTreeMap<String, String>) {
    let url = c.entities[copy].url.clone();
    let (before, after) = forks::split(c, source, &url);
    let old = manifest(&before);
    let said = after.iter().take_while(|e| e["headers"]["forkedFrom"] == c.entities[source].url).cloned();
    let all: Vec<Json> = before.iter().cloned().chain(said).collect();
    let found = manifest(&all);
    let mut moved = BTreeMap::new();
    let mut same = BTreeMap::new();
    for (key, row) in &old {
        match remapped(key, row, names) {
            Some((key, row)) => drop(moved.insert(key, row)),
            None => drop(same.insert(key.clone(), row.clone())),
        }
    }
    let mut want = same.clone();
    want.extend(moved.clone());
    if moved.len() + same.len() == old.len() {
        for (key, row) in &want {
            let names = |row: &Json| {
                let source = row["sourceType"].as_str().map(|_| row["sourceRef"].clone());
                (row["kind"].clone(), row["entity_url"].clone(), row["targetUrl"].clone(), source, row["wake"].clone())
            };
            let there = found.get(key).unwrap_or_else(|| panic!("{url} has lost {key}: {row}"));
            let bare = row["sourceType"] == "entity" && row["sourceRef"].is_null();
            assert!(bare || names(there) == names(row), "{key} of {url} is {there} instead of {row}");
        }
    }
    for (key, row) in moved.iter().chain(&same) {
        stand_for(c, copy, key, row);
    }
}

/// A row that names what was copied names its copy.
fn remapped(key: &str, row: &Json, names: &BTreeMap<String, String>) -> Option<(String, Json)> {
    let copy = |value: &Json| names.get(value.as_str()?);
    let mut new = row.clone();
    match (row["kind"].as_str()?, row["sourceType"].as_str(), row["scheduleType"].as_str()) {
        ("child", ..) => {
            let url = copy(&row["entity_url"])?;
            new["entity_url"] = url.as_str().into();
            Some((format!("child:{}", url[1..].replacen('/', ":", 1)), new))
        }
        ("source", Some("entity"), _) => {
            let url = copy(&row["config"]["entityUrl"])?;
            new["config"]["entityUrl"] = url.as_str().into();
            new["sourceRef"] = url.as_str().into();
            Some((format!("source:entity:{url}"), new))
        }
        ("schedule", _, Some("future_send")) => {
            let (target, sender) = (copy(&row["targetUrl"]), copy(&row["senderUrl"]));
            target.or(sender)?;
            for (name, url) in [("targetUrl", target), ("senderUrl", sender)] {
                if let Some(url) = url {
                    new[name] = url.as_str().into();
                }
            }
            Some((key.to_owned(), new))
        }
        _ => None,
    }
}

fn stand_for(c: &mut Cluster, owner: usize, key: &str, row: &Json) {
    let kind = (row["kind"].as_str().unwrap_or(""), row["sourceType"].as_str().or(row["scheduleType"].as_str()));
    let (mut until, mut filtered) = (None, false);
    let source = match kind {
        ("child" | "observe", _) => Some(text(&row["entity_url"])),
        ("source", Some("entity")) => Some(text(&row["config"]["entityUrl"])),
        ("source", Some("entities")) => Some(format!("/_entities/{}", text(&row["sourceRef"]))),
        ("source", Some("cron")) => Some(chain(c, &row["config"]["expression"])),
        ("schedule", Some("cron")) => Some(chain(c, &row["expression"])),
        ("source", Some("webhook")) => {
            let subscription = &row["config"]["webhookSource"];
            until = subscription["lifetime"]["at"].as_str().and_then(Time::parse_iso);
            filtered = subscription["filterKey"].is_string();
            Some(text(&row["config"]["streamUrl"]))
        }
        ("schedule", Some("future_send")) if row["status"] == "pending" => {
            scheduled(c, owner, key, row);
            None
        }
        _ => None,
    };
    let Some(source) = source else { return };
    chains::is_observed(c, &source);
    let plain = kind == ("schedule", Some("cron"));
    let Some((condition, terms)) = wake(&row["wake"]).or(plain.then(|| (Condition::Change, Terms::default()))) else {
        return;
    };
    let condition = if filtered { Condition::Passed } else { condition };
    observes_until(c, (owner, source), condition, key.to_owned(), terms, until);
    c.heard.insert("a copy observes".to_owned());
}

fn scheduled(c: &mut Cluster, owner: usize, key: &str, row: &Json) {
    let id = if key == "schedule:s" { "s" } else { "t" };
    let entity = c.entities.iter().position(|e| row["targetUrl"] == e.url).expect("it is there");
    let at = row["fireAt"].as_str().and_then(Time::parse_iso).expect("a time");
    let (due, number) = (at.max(c.world.now), row["payload"].as_u64().expect("a number"));
    c.delayed.push(Delayed { asked: due, due, entity, number, waits: false, of: Some((owner, id)) });
    c.heard.insert("a copy schedules".to_owned());
}

fn chain(c: &Cluster, expression: &Json) -> String {
    c.chains.iter().find(|chain| *expression == chain.expression).expect("a chain that there is").path.clone()
}

/// A wake as a manifest words it.
fn wake(wake: &Json) -> Option<(Condition, Terms)> {
    if *wake == "runFinished" {
        return Some((Condition::RunFinished, Terms::default()));
    }
    let millis = |name: &str| wake[name].as_i64().map(Span::millis);
    let terms = Terms { debounce: millis("debounceMs"), timeout: millis("timeoutMs"), one_shot: false };
    wake.as_object()?;
    let known = ["inbox", "note", "run", "tags", "manifest", "members", "cron_tick", "pg_sync_change", "webhook_event"];
    let condition = match wake["collections"][0].as_str() {
        None => Condition::Change,
        Some(kind) => Condition::Named(known.into_iter().find(|known| *known == kind)?),
    };
    Some((condition, terms))
}

/// A copy has the files that its manifest names, where they are still the files that were meant.
pub(super) fn files(c: &mut Cluster, source: usize, copy: usize, events: &[Json]) {
    for (key, row) in manifest(events) {
        let Some(name) = key.strip_prefix("attachment:") else { continue };
        let known = c.files.iter().find(|file| file.entity == source && file.id == name);
        let Some(file) = known.filter(|file| file.bytes.is_some()) else { continue };
        let id = file.id;
        let same = |bytes: &String| format!("{:x}", Sha256::digest(bytes)) == row["sha256"].as_str().unwrap_or("");
        let bytes = file.bytes.clone().filter(same);
        c.files.push(File { entity: copy, id, bytes });
        c.heard.insert("a copy has a file".to_owned());
    }
}
