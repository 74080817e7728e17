//! Webhook sources: entities subscribe to what a host takes in by webhooks, through a filter or without, for a while or
//! for good; and webhooks come.

use serde_json::{Value as Json, json};

use super::super::world::Got;
use super::cluster::Cluster;
use super::host::Op;
use super::model::Author;
use super::people::{observes_until, some};
use super::registrations::{Change, Condition, Terms};
use crate::observe::webhook_sources::Catalogue;
use crate::{Span, Time};

/// The streams of the two repositories of the one source.
const REPOSITORIES: [(&str, &str); 2] = [("x", "/_webhooks/gh/x"), ("y", "/_webhooks/gh/y")];
const IDS: [&str; 2] = ["p", "q"];

/// What there is to subscribe to.
pub(super) fn catalogue() -> Catalogue {
    let filter = json!({ "key": "pushes", "label": "l", "condition": { "type": "object", "required": ["push"] } });
    let bucket = json!({
        "key": "repo", "label": "l", "pathTemplate": ":repo", "filters": [filter],
        "paramsSchema": { "type": "object", "required": ["repo"] },
    });
    let source = json!({
        "webhookKey": "github", "sourceType": "webhook", "endpointKey": "gh", "status": "active", "label": "l",
        "agentVisible": true, "buckets": [bucket], "revision": 1,
    });
    json!([source]).to_string().parse().expect("a catalogue")
}

pub(super) fn found(c: &mut Cluster) {
    for (_, path) in REPOSITORIES {
        c.world.ask("PUT", path, &[("content-type", "application/json")], &Json::Null);
    }
}

/// An entity subscribes, in the place of the subscription that had the same id.
pub(super) fn subscribes(c: &mut Cluster) -> Option<Op> {
    let (owner, id) = (some(c)?, c.dice.pick(&IDS)?);
    let (repository, stream) = c.dice.pick(&REPOSITORIES)?;
    let mut body = json!({ "webhookKey": "github", "bucketKey": "repo", "params": { "repo": repository } });
    let filtered = c.dice.percent(50);
    if filtered {
        body["filterKey"] = json!("pushes");
    }
    let until = c.dice.percent(50).then(|| c.world.now + Span::millis(c.dice.between(1, 90_000)));
    if let Some(until) = until {
        body["lifetime"] = json!({ "kind": "expires_at", "at": until.iso() });
    }
    let what = format!("{} subscribes {id}: {body}", c.entities[owner].url);
    let path = format!("/_electric/entities{}/webhook-source-subscriptions/{id}", c.entities[owner].url);
    Some(Op::ask(what, ("PUT", &path), &[], &body, move |c, got| {
        if is_over(c, owner, got) {
            return;
        }
        assert_eq!(got.status, 200, "{}", got.body);
        let condition = if filtered { Condition::Passed } else { Condition::Named("webhook_event") };
        written(c, owner, id);
        observes_until(c, (owner, stream.to_owned()), condition, key(id), Terms::default(), until);
        c.heard.insert("a webhook source is observed".to_owned());
    }))
}

pub(super) fn unsubscribes(c: &mut Cluster) -> Option<Op> {
    let (owner, id) = (some(c)?, c.dice.pick(&IDS)?);
    let what = format!("{} no longer subscribes {id}", c.entities[owner].url);
    let path = format!("/_electric/entities{}/webhook-source-subscriptions/{id}", c.entities[owner].url);
    Some(Op::ask(what, ("DELETE", &path), &[], &Json::Null, move |c, got| {
        if is_over(c, owner, got) {
            return;
        }
        assert_eq!(got.status, 200, "{}", got.body);
        written(c, owner, id);
        c.registrations.retain(|r| r.subscriber != owner || r.key != key(id));
    }))
}

/// Webhooks come: pushes and others.
pub(super) fn comes(c: &mut Cluster) -> Option<Op> {
    let (_, stream) = c.dice.pick(&REPOSITORIES)?;
    let events: Vec<(String, bool)> =
        (0..c.dice.between(1, 3)).map(|_| (format!("w{}", c.number()), c.dice.percent(50))).collect();
    let event = |(key, push): &(String, bool)| {
        let value = if *push { json!({ "push": 1 }) } else { json!({ "issue": 1 }) };
        json!({ "type": "webhook_event", "key": key, "value": value, "headers": { "operation": "insert" } })
    };
    let body: Json = events.iter().map(event).collect();
    let headers = [("content-type", "application/json")];
    Some(Op::ask(format!("{stream} takes {body}"), ("POST", stream), &headers, &body, move |c, got| {
        assert_eq!(got.status, 204, "{}", got.body);
        let change = |(key, push): &(String, bool)| Change { passes: *push, ..Change::of("webhook_event", key) };
        let changes: Vec<Change> = events.iter().map(change).collect();
        c.changed(stream, Author::Outside, &changes);
    }))
}

/// The first subscription that ends by itself, and when.
pub(super) fn next(c: &Cluster) -> Option<(Time, usize)> {
    let lapses = c.registrations.iter().enumerate().filter_map(|(at, r)| Some((r.lapses?, at)));
    lapses.min()
}

/// It ends, and its row goes.
pub(super) fn lapse(c: &mut Cluster) {
    let Some((_, at)) = next(c) else { return };
    let it = c.registrations.remove(at);
    let url = c.entities[it.subscriber].url.clone();
    c.changed(&url, Author::Server, &[Change::of("manifest", &it.key)]);
    c.heard.insert("a subscription lapses".to_owned());
}

fn is_over(c: &Cluster, owner: usize, got: &Got) -> bool {
    let over = c.entities[owner].is_over();
    assert!(!over || (got.status, got.code()) == (409, "NOT_RUNNING".to_owned()), "{}", got.body);
    over
}

fn written(c: &mut Cluster, owner: usize, id: &str) {
    let url = c.entities[owner].url.clone();
    c.changed(&url, Author::Server, &[Change::of("manifest", &key(id))]);
}

fn key(id: &str) -> String {
    format!("webhook-source:{id}")
}
