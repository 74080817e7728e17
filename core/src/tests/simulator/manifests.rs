//! Manifests that agents write themselves, under their claim: what they observe, what they schedule, and that they no longer
//! do.

use serde_json::{Value as Json, json};

use super::agents::some_token;
use super::chains;
use super::cluster::Cluster;
use super::host::Op;
use super::model::{Author, DELAY, Delayed};
use super::people::{observes, some, team};
use super::registrations::{Change, Condition, Terms};
use crate::Span;

/// A row, and what it stands for.
struct Row {
    key: String,
    /// None: it is deleted.
    value: Option<Json>,
    wake: Option<(String, Condition, Terms)>,
    /// The chain that it names.
    ticks: Option<String>,
    send: Option<Delayed>,
}

/// An agent writes a row of its entity's manifest under one of the write tokens that it ever had.
pub(super) fn writes(c: &mut Cluster) -> Option<Op> {
    let (work, at) = some_token(c)?;
    let (owner, token) = (c.works[work].entity, c.works[work].writes[at].clone());
    let row = some_row(c, owner)?;
    let operation = if row.value.is_some() { c.dice.pick(&["insert", "update", "upsert"])? } else { "delete" };
    let mut event = json!({ "type": "manifest", "key": row.key, "headers": { "operation": operation } });
    if let Some(value) = &row.value {
        event["value"] = value.clone();
    }
    let (url, path) = (c.entities[owner].url.clone(), c.entities[owner].path());
    let what = format!("{url} writes {event} under generation {}", c.works[work].generation);
    let headers = [("authorization", &*token), ("content-type", "application/json")];
    Some(Op::ask(what, ("POST", &path), &headers, &json!([event]), move |c, got| {
        if !c.works[work].writes_with(at, c) {
            assert_eq!(got.status, 401, "a write token that is over: {}", got.body);
            return;
        }
        assert_eq!(got.status, 204, "{}", got.body);
        c.changed(&url, Author::Agent(owner), &[Change::of("manifest", &row.key)]);
        stand(c, owner, row);
    }))
}

/// From now on a row stands for this, and for nothing else.
fn stand(c: &mut Cluster, owner: usize, row: Row) {
    let Row { key, wake, ticks, send, .. } = row;
    if let Some(chain) = ticks {
        chains::is_observed(c, &chain);
    }
    match wake {
        Some((source, condition, terms)) => {
            observes(c, owner, source, condition, key.clone(), terms);
            c.heard.insert("an agent observes".to_owned());
        }
        None => c.registrations.retain(|r| r.subscriber != owner || r.key != key),
    }
    c.delayed.retain(|d| d.of.is_none_or(|(of, id)| of != owner || format!("schedule:{id}") != key));
    if let Some(send) = send {
        let due = send.due.max(c.world.now);
        c.delayed.push(Delayed { asked: due, due, ..send });
        c.heard.insert("an agent schedules".to_owned());
    }
}

fn some_row(c: &mut Cluster, owner: usize) -> Option<Row> {
    let id = c.dice.pick(&["s", "t"])?;
    let key = if c.dice.percent(60) { format!("schedule:{id}") } else { format!("observes:{id}") };
    let row = Row { key, value: None, wake: None, ticks: None, send: None };
    if c.dice.percent(15) {
        return Some(row);
    }
    if row.key.starts_with("schedule:") && c.dice.percent(60) {
        return send(c, owner, id, row);
    }
    match c.dice.below(4) {
        0 => ticks(c, row),
        1 => members(c, row),
        _ => another(c, owner, row),
    }
}

/// It is to send a message.
fn send(c: &mut Cluster, owner: usize, id: &'static str, row: Row) -> Option<Row> {
    let (entity, number) = (some(c)?, c.number());
    let due = c.world.now + Span::millis(c.dice.between(0, DELAY.as_millis()));
    let value = json!({
        "key": row.key, "kind": "schedule", "id": id, "scheduleType": "future_send", "fireAt": due.iso(), "status": "pending",
        "targetUrl": c.entities[entity].url, "producerId": format!("p{number}"), "payload": number,
    });
    let send = Delayed { asked: due, due, entity, number, waits: false, of: Some((owner, id)) };
    Some(Row { value: Some(value), send: Some(send), ..row })
}

/// It observes a chain, or is to be told at its ticks, or only names it.
fn ticks(c: &mut Cluster, row: Row) -> Option<Row> {
    let at = c.dice.below(c.chains.len());
    let (expression, path) = (c.chains[at].expression, c.chains[at].path.clone());
    let (wake, wanted) = some_wake(c, path.clone(), &[Condition::Change, Condition::Named("cron_tick")])?;
    let (mut value, schedules) = match row.key.starts_with("schedule:") {
        true => (json!({ "kind": "schedule", "scheduleType": "cron", "expression": expression }), true),
        false => (json!({ "kind": "source", "sourceType": "cron", "config": { "expression": expression } }), false),
    };
    if c.dice.percent(70) {
        value["wake"] = wake;
        return Some(Row { value: Some(value), wake: Some(wanted), ticks: Some(path), ..row });
    }
    // A schedule is one without saying so; what is only named is observed by nobody.
    let plain = schedules.then(|| (path.clone(), Condition::Change, Terms::default()));
    Some(Row { value: Some(value), wake: plain, ticks: Some(path), ..row })
}

/// It observes a team.
fn members(c: &mut Cluster, row: Row) -> Option<Row> {
    let path = team(c)?;
    let reference = path.strip_prefix("/_entities/")?.to_owned();
    let (wake, wanted) = some_wake(c, path, &[Condition::Named("members"), Condition::Change])?;
    let value = json!({ "kind": "source", "sourceType": "entities", "sourceRef": reference, "wake": wake });
    Some(Row { value: Some(value), wake: Some(wanted), ..row })
}

/// It observes another entity: a child, or one that it knows.
fn another(c: &mut Cluster, owner: usize, row: Row) -> Option<Row> {
    // Mostly one of its children, if it has any: a fork has copies of both.
    let children: Vec<usize> = (0..c.entities.len()).filter(|e| c.entities[*e].parent == Some(owner)).collect();
    let child = if c.dice.percent(60) { c.dice.pick(&children) } else { None };
    let entity = child.or_else(|| some(c))?;
    let url = c.entities[entity].url.clone();
    let conditions =
        [Condition::RunFinished, Condition::Change, Condition::Named("note"), Condition::Named("manifest")];
    let (wake, wanted) = some_wake(c, url.clone(), &conditions)?;
    let value = match c.dice.below(3) {
        0 => json!({ "kind": "child", "entity_url": url, "wake": wake }),
        1 => json!({ "kind": "observe", "entity_url": url, "wake": wake }),
        _ => json!({ "kind": "source", "sourceType": "entity", "config": { "entityUrl": url }, "wake": wake }),
    };
    Some(Row { value: Some(value), wake: Some(wanted), ..row })
}

/// A wake as a manifest words it.
fn some_wake(c: &mut Cluster, source: String, conditions: &[Condition]) -> Option<(Json, (String, Condition, Terms))> {
    let condition = c.dice.pick(conditions)?;
    let mut wake = condition.json();
    if condition == Condition::RunFinished {
        return Some((wake, (source, condition, Terms::default())));
    }
    let terms = Terms { one_shot: false, ..Terms::some(c) };
    terms.write(&mut wake);
    Some((wake, (source, condition, terms)))
}
