//! Forks: an entity comes to be a second time, with all that is below it or with what it had said at some place. What it has
//! said is what was said there; what its manifest stands for, it stands for again; and from then on it lives by itself.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::super::world::Got;
use super::cluster::{Cluster, text};
use super::host::Op;
use super::members::Tags;
use super::people::{self, some};
use super::registrations::{Condition, Registration, Terms};
use super::rows;
use crate::entity::Status;
use crate::{Span, Ticket, Time};

/// A fork that was asked for.
#[derive(Clone)]
pub(super) struct Fork {
    pub(super) ticket: u64,
    source: usize,
    place: Place,
    id: Option<String>,
    parent: Option<usize>,
    waits: bool,
    message: Option<u64>,
    team: Option<&'static str>,
    /// When it is given up.
    pub(super) deadline: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Head,
    LatestRun,
    /// After so many events.
    At(usize),
}

/// Somebody asks for a fork, mostly of what can be forked.
pub(super) fn asks(c: &mut Cluster) -> Option<Op> {
    if c.entities.len() >= MOST {
        return None;
    }
    let alone = |e: &usize| c.entities[*e].parent.is_none() && !c.entities[*e].is_over();
    let roots: Vec<usize> = (0..c.entities.len()).filter(alone).collect();
    let source = if c.dice.percent(90) { c.dice.pick(&roots)? } else { some(c)? };
    let url = c.entities[source].url.clone();
    let place = match c.dice.below(10) {
        0..5 => Place::Head,
        5..7 => Place::LatestRun,
        _ => {
            let events = c.read(&format!("{url}/main")).json().as_array().map_or(1, Vec::len);
            Place::At(1 + c.dice.below(events))
        }
    };
    let parent = if c.dice.percent(25) { some(c) } else { None };
    let wait = c.dice.pick(&[0, 5_000, 60_000, 120_000])?;
    let mut fork = Fork {
        ticket: TICKETS + c.number(),
        source,
        place,
        id: c.dice.percent(50).then(|| format!("f{}", c.number())),
        parent,
        waits: parent.is_some() && c.dice.percent(70),
        message: if c.dice.percent(40) { Some(c.number()) } else { None },
        team: c.dice.pick(&[None, None, Some("x"), Some("y")])?,
        deadline: c.world.now + Span::millis(wait),
    };
    if fork.id.is_some() && c.dice.percent(10) {
        fork.id = url.rsplit('/').next().map(str::to_owned);
    }
    let mut body = json!({ "waitTimeoutMs": wait });
    match place {
        Place::Head => {}
        Place::LatestRun => body["anchor"] = json!("latest_completed_run"),
        Place::At(events) => body["fork_pointer"] = json!({ "offset": null, "sub_offset": events }),
    }
    if let Some(id) = &fork.id {
        body["instance_id"] = json!(id);
    }
    if let Some(parent) = parent {
        let parent = &c.entities[parent].url;
        body["parent"] = json!(parent);
        if fork.waits {
            let key = fork.key();
            body["wake"] = json!({ "subscriberUrl": parent, "condition": "runFinished", "manifestKey": key });
        }
    }
    if let Some(number) = fork.message {
        body["initialMessage"] = json!(number);
    }
    if let Some(team) = fork.team {
        body["tags"] = json!({ "team": team });
    }
    let (what, path) = (format!("fork {url} {body}"), format!("/_electric/entities{url}/fork"));
    let ticket = Ticket(fork.ticket);
    Some(Op::ask_for(ticket, what, ("POST", &path), &body, move |c, got| match got {
        Some(got) => answered(c, &fork, &got, false),
        None => {
            let (members, moving) = (members_now(c, &fork), fork.moving());
            let waits = members.iter().skip(moving).any(|e| is_busy(c, *e)) || fork.place != Place::Head;
            assert!(waits, "a fork of {} waits for nobody", c.entities[fork.source].url);
            c.waiting.push(fork);
            c.heard.insert("a fork waits".to_owned());
        }
    }))
}

/// A fork was answered, at once or after it had waited.
pub(super) fn answered(c: &mut Cluster, fork: &Fork, got: &Got, waited: bool) {
    let url = c.entities[fork.source].url.clone();
    let members = members_now(c, fork);
    let moving = &members[fork.moving().min(members.len())..];
    if waited {
        c.note(format!("the fork of {url} is answered: {} {}", got.status, got.code()));
    }
    match (got.status, got.code().as_str()) {
        (201, _) => forked(c, fork, got, waited),
        (409, "NOT_RUNNING") => {
            let over = |e: &usize| c.entities[*e].is_over();
            let childless = fork.parent.is_some_and(|parent| !c.entities[parent].accepts());
            let ended = childless || over(&fork.source) || moving.iter().any(over);
            assert!(ended, "nothing of {url} has ended: {}", got.body);
            c.heard.insert("a fork is refused".to_owned());
        }
        (409, "FORK_WAIT_TIMEOUT") => {
            assert!(fork.deadline <= c.world.now, "a fork of {url} was given up too early");
            assert!(waited || fork.place != Place::Head || moving.iter().any(|e| is_busy(c, *e)), "{}", got.body);
            c.heard.insert("a fork has waited too long".to_owned());
        }
        (409, "DUPLICATE_URL") => {
            let taken = format!("/{}/{}", url.split('/').nth(1).unwrap_or(""), fork.id.as_deref().unwrap_or(""));
            assert!(c.entities.iter().any(|e| e.url == taken), "{taken} is free: {}", got.body);
        }
        (409, "LIMIT_EXCEEDED") => c.heard.insert("a fork is too large".to_owned()),
        (400, _) => {
            let below = c.entities[fork.source].parent.is_some();
            assert!(below || fork.place == Place::LatestRun, "{}", got.body);
        }
        _ => panic!("{} {}", got.status, got.body),
    }
}

fn forked(c: &mut Cluster, fork: &Fork, got: &Got, waited: bool) {
    let source = fork.source;
    let said = c.read(&format!("{}/main", c.entities[source].url)).json();
    let answer = got.json();
    let urls: Vec<String> = answer["entities"].as_array().expect("a list").iter().map(|e| text(&e["url"])).collect();
    let root = text(&answer["root"]["url"]);
    let (prefix, _) = split(c, source, &root);
    let events = said.as_array().expect("a list");
    match fork.place {
        Place::Head => {}
        Place::At(count) => assert_eq!(prefix.len(), count, "a fork of {} at another place", c.entities[source].url),
        Place::LatestRun => {
            let done = |e: &Json| e["type"] == "run" && e["value"]["status"] == "completed";
            assert!(prefix.last().is_some_and(done), "a fork that does not end with a run");
            let later = events[prefix.len()..].iter().any(done);
            assert!(!later || waited || c.together, "a fork of a run that is not the latest");
        }
    }
    let members = match fork.place {
        Place::Head => members_now(c, fork),
        _ => chosen(c, source, &prefix),
    };
    assert_eq!(urls.len(), members.len(), "how many were copied of {}", c.entities[source].url);
    let busy = members[fork.moving()..].iter().any(|e| is_busy(c, *e));
    assert!(!busy || c.together, "a fork of {} while somebody was at work", c.entities[source].url);
    let copies: BTreeMap<usize, usize> = members.iter().copied().zip(c.entities.len()..).collect();
    let names: BTreeMap<String, String> =
        members.iter().zip(&urls).map(|(e, copy)| (c.entities[*e].url.clone(), copy.clone())).collect();
    for (n, (member, url)) in members.iter().zip(&urls).enumerate() {
        copy(c, fork, &copies, (*member, n == 0), url, waited);
    }
    for member in &members {
        rows::stand(c, *member, copies[member], &names);
    }
    let first = copies[&source];
    if let Some(parent) = fork.parent.filter(|_| fork.waits) {
        let registration = (parent, root);
        Registration::new(registration, Condition::RunFinished, fork.key(), Terms::default(), c.world.now)
            .put(&mut c.registrations);
    }
    if let Some(number) = fork.message {
        c.arrive(first, number, false);
    }
    c.heard.insert(format!("a fork: {}", fork.place.name()));
    if waited {
        c.heard.insert("a fork has waited".to_owned());
    }
    if members.len() > 1 {
        c.heard.insert("a fork of a family".to_owned());
    }
}

/// What is copied comes to be, with what it has said.
fn copy(
    c: &mut Cluster,
    fork: &Fork,
    copies: &BTreeMap<usize, usize>,
    (member, is_root): (usize, bool),
    url: &str,
    waited: bool,
) {
    let (prefix, _) = split(c, member, url);
    let source = c.entities[member].url.clone();
    let said = c.read(&format!("{source}/main")).json();
    let mut both = prefix.iter().zip(said.as_array().expect("a list"));
    let differ = both.find(|(has, said)| bare(has) != bare(said));
    assert_eq!(differ, None, "what {url} has from {source}");
    let kind = |url: &str| url.split('/').nth(1).map(str::to_owned);
    assert_eq!(kind(url), kind(&source));
    assert!(!c.entities.iter().any(|e| e.url == url), "{url} is there already");
    let asked = fork.id.as_ref().filter(|_| is_root).is_none_or(|id| url.ends_with(&format!("/{id}")));
    assert!(asked, "{url} is not called what was asked for");
    let parent = match is_root {
        true => fork.parent,
        false => c.entities[member].parent.and_then(|parent| copies.get(&parent).copied()),
    };
    let mut tags: Tags = c.entities[member].tags.clone();
    if let Some(team) = fork.team.filter(|_| is_root) {
        tags.insert("team".to_owned(), team.to_owned());
    }
    let target = c.entities[member].target;
    people::born(c, url, target, tags, parent);
    let at = c.entities.len() - 1;
    rows::remember(c, at, &prefix);
    let whole = !is_root || fork.place == Place::Head;
    let (own, old) = (&c.entities[at], &c.entities[member]);
    // What is due at the moment at which a fork has waited long enough comes before it, or after.
    if whole && !c.together && !waited {
        assert_eq!(sorted(&own.inbox), sorted(&old.inbox), "the messages that {url} has from {source}");
        assert_eq!(own.edits, old.edits, "the edits that {url} has from {source}");
    }
    rows::files(c, member, at, &prefix);
}

/// An event but for where it stands: a part of an append that was copied ends where it does.
fn bare(event: &Json) -> Json {
    let mut event = event.clone();
    event["headers"]["offset"].take();
    event
}

fn sorted(all: &[u64]) -> Vec<u64> {
    let mut all = all.to_vec();
    all.sort_unstable();
    all
}

/// What a copy's stream has from its source, and what was said when it was copied and since.
pub(super) fn split(c: &mut Cluster, source: usize, copy: &str) -> (Vec<Json>, Vec<Json>) {
    let from = c.entities[source].url.clone();
    let all = c.read(&format!("{copy}/main")).json();
    let mut all = all.as_array().expect("a list").clone();
    let at = all.iter().position(|e| e["headers"]["forkedFrom"] == from).expect("it says what it is a fork of");
    let rest = all.split_off(at);
    (all, rest)
}

/// What is copied of a fork at the end of everything, in the order in which it is.
fn members_now(c: &Cluster, fork: &Fork) -> Vec<usize> {
    descend(c, vec![fork.source], 0)
}

/// What is copied with a place: the children that the manifest names there, and what is below them.
fn chosen(c: &Cluster, root: usize, prefix: &[Json]) -> Vec<usize> {
    let rows = rows::manifest(prefix);
    let named = rows.values().filter(|row| row["kind"] == "child").filter_map(|row| row["entity_url"].as_str());
    let mut urls: Vec<&str> = named.collect();
    urls.sort_unstable();
    urls.dedup();
    let found = urls.iter().filter_map(|url| c.entities.iter().position(|e| e.url == **url));
    let all = std::iter::once(root).chain(found.filter(|e| c.entities[*e].parent == Some(root))).collect();
    descend(c, all, 1)
}

fn descend(c: &Cluster, mut all: Vec<usize>, mut next: usize) -> Vec<usize> {
    while let Some(parent) = all.get(next).copied() {
        all.extend((0..c.entities.len()).filter(|e| c.entities[*e].parent == Some(parent)));
        next += 1;
    }
    all
}

fn is_busy(c: &Cluster, entity: usize) -> bool {
    matches!(c.entities[entity].status, Status::Running | Status::Stopping)
}

impl Fork {
    fn key(&self) -> String {
        format!("fork:{}", self.ticket)
    }

    /// From which of its members on they must be idle.
    fn moving(&self) -> usize {
        usize::from(self.place != Place::Head)
    }
}

impl Place {
    fn name(self) -> &'static str {
        match self {
            Self::Head => "whole",
            Self::LatestRun => "at the latest run",
            Self::At(_) => "at a place",
        }
    }
}

/// How many entities there may be.
const MOST: usize = 60;

/// Tickets from here on are those of forks, which may wait.
pub(super) const TICKETS: u64 = 1_000_000;
