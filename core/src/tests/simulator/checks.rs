//! What must hold at every moment, whatever has happened.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::chains;
use super::cluster::{Cluster, text};
use super::members;
use super::model::{Row, Target};
use super::shapes;
use super::watchers;
use super::{files, kinds, notes, rights, tables};
use crate::Time;
use crate::entity::Status;

/// An entity as the database has it, with the subscription that dispatches it.
pub(super) struct Found {
    pub(super) entity: usize,
    pub(super) status: Status,
    /// Of its subscription, while it is linked to one.
    pub(super) dispatch: Option<Dispatch>,
}

pub(super) struct Dispatch {
    pub(super) generation: i64,
    pub(super) wake: Option<String>,
    held: bool,
    acked: i64,
    tail: i64,
    /// Whether the timer that it believes in is there.
    armed: bool,
    /// It waits for its turn, which then comes.
    slowed: Option<Time>,
    /// It was given up.
    dead: bool,
}

impl Found {
    pub(super) fn is_pending(&self) -> bool {
        self.dispatch.as_ref().is_some_and(|d| d.acked < d.tail)
    }

    pub(super) fn is_held(&self) -> bool {
        self.dispatch.as_ref().is_some_and(|d| d.held)
    }

    /// Where its dispatch stands, in a word.
    pub(super) fn stands(&self) -> &'static str {
        match &self.dispatch {
            None => "none",
            Some(Dispatch { dead: true, .. }) => "dead",
            Some(Dispatch { held: true, .. }) => "claimed",
            Some(Dispatch { wake: Some(_), .. }) => "outstanding",
            Some(_) if self.is_pending() => "pending",
            Some(_) => "idle",
        }
    }
}

/// What holds after every step.
pub(super) fn check(c: &mut Cluster) {
    let found = find(c);
    let mut seen = BTreeSet::new();
    let locked = c.world.engine.sql().number("SELECT count(*) FROM lock");
    let want = c.entities.iter().filter(|e| e.locked.is_some()).count();
    assert_eq!(usize::try_from(locked), Ok(want), "entities that are locked");
    for row in &found {
        assert!(seen.insert(row.entity), "{} is dispatched twice", c.entities[row.entity].url);
        check_entity(c, row);
    }
    assert_eq!(seen.len(), c.entities.len(), "every entity is there");
    watchers::check(c);
    chains::check(c);
    rights::check(c);
    let counts = c.world.engine.counts();
    assert_eq!((counts.panics, counts.timer_failures), (0, 0));
    assert_eq!(counts.failed_commits, c.failed_commits);
}

fn check_entity(c: &mut Cluster, row: &Found) {
    let (budget, now, deep) = (c.world.engine.config().wakes, c.world.now, c.deep);
    let it = &mut c.entities[row.entity];
    let url = &it.url;
    assert_eq!(row.status, it.status, "the status of {url}");
    let Some(dispatch) = &row.dispatch else {
        assert!(it.is_over(), "{url} is {} and nobody dispatches it", it.status.as_str());
        return;
    };
    assert!(!it.is_over(), "{url} has ended and is dispatched");
    assert!(dispatch.generation >= it.generation, "the generation of {url} has fallen");
    assert_eq!(dispatch.held, it.is_held(), "whether {url} is claimed");
    if let Some(current) = &it.current {
        assert_eq!(dispatch.wake.as_ref(), Some(&current.wake), "the wake in flight for {url}");
        assert_eq!(dispatch.generation, current.generation, "the generation of {url}");
    }
    assert!(row.status != Status::Running || dispatch.held, "{url} is running and nobody holds its claim");
    assert!(row.status != Status::Stopping || dispatch.held, "{url} is stopping and nobody holds its claim");
    assert!(dispatch.acked >= it.acked, "what was acknowledged of {url} has moved back");
    if it.acked == 0 {
        // Where it was linked: what its birth wrote is no cause of a wake.
        it.said = it.said.max(dispatch.acked);
    }
    it.acked = dispatch.acked;
    assert!(dispatch.acked <= it.said, "more of {url} is acknowledged than anybody has seen");
    let waits = dispatch.acked < dispatch.tail && it.admits();
    let (woken, slowed) = (dispatch.wake.is_some(), dispatch.slowed.is_some());
    assert!(!waits || woken || slowed || it.dead, "something is pending for {url}, and no wake is in flight");
    assert!(dispatch.armed || !(woken || slowed), "the wake of {url} has no timer");
    assert!(!(woken && slowed), "{url} is woken, and waits for its turn");
    assert_eq!(dispatch.dead, it.dead, "whether {url} was given up");
    assert!(!it.dead || !(woken || slowed), "the wake of {url} was given up and is in flight");
    assert!(!it.dead || dispatch.acked < dispatch.tail, "nothing was given up of {url}");
    assert!(!it.dead || dispatch.generation == it.generation, "{url} was woken after it was given up");
    assert!(dispatch.held || !woken || it.admits(), "{url} is {} and woken", row.status.as_str());
    let must_wait = it.allowance.see(budget, dispatch.generation, now).expect("no more wakes than its budget has");
    let early = dispatch.slowed.is_some_and(|turn| turn > now) && !deep;
    if early {
        c.heard.insert("over its budget".to_owned());
    }
    assert!(!early || must_wait, "{url} waits for its turn, and has not had as many wakes as it may");
}

/// What holds, and takes longer to see: every stream has what it must have, and each once.
pub(super) fn check_streams(c: &mut Cluster) {
    for entity in 0..c.entities.len() {
        check_stream(c, entity);
    }
    for runner in 0..c.runners.len() {
        check_wake_stream(c, runner);
    }
    chains::check_streams(c);
    shapes::check(c);
    files::check(c);
    kinds::check(c);
    notes::check(c);
    tables::check(c);
    rights::check_seen(c);
    if c.dice.percent(50) {
        members::check(c);
    }
}

fn check_stream(c: &mut Cluster, entity: usize) {
    let url = c.entities[entity].url.clone();
    let shown = text(&c.read(&format!("/_electric/entities{url}")).json()["status"]);
    assert_eq!(shown, c.entities[entity].status.as_str(), "the status of {url}");
    let events = c.read(&format!("{url}/main")).json();
    let of = |kind: &'static str| of_kind(&events, kind);
    let it = &c.entities[entity];
    let sent = of("inbox").filter(|e| e["headers"]["operation"] == "insert");
    let edited = of("inbox").filter(|e| e["headers"]["operation"] != "insert").map(|e| e["value"]["payload"].clone());
    assert_eq!(edited.collect::<Vec<_>>(), it.edits, "how messages of {url} were edited");
    let mut inbox: Vec<u64> = sent.map(|e| e["value"]["payload"].as_u64().expect("a number")).collect();
    let mut want = it.inbox.clone();
    inbox.sort_unstable();
    want.sort_unstable();
    assert_eq!(inbox, want, "the messages of {url}");
    let mut notes: Vec<String> = of("note").chain(of("run")).map(|e| text(&e["key"])).collect();
    let mut want = it.notes.clone();
    notes.sort_unstable();
    notes.dedup();
    want.sort_unstable();
    assert_eq!(notes, want, "what agents wrote to {url}");
    let keys: BTreeSet<String> = of("wake").map(|e| text(&e["key"])).collect();
    assert_eq!(keys.len(), of("wake").count(), "wake rows of {url} are doubled");
    let (mut missing, mut more) = (it.wakes.clone(), Vec::new());
    for found in of("wake").map(wake_row) {
        match missing.iter().position(|owed| *owed == found) {
            Some(at) => drop(missing.swap_remove(at)),
            None => more.push(found),
        }
    }
    for perhaps in &it.perhaps {
        if let Some(at) = more.iter().position(|found| found == perhaps) {
            more.swap_remove(at);
        }
    }
    assert!(more.is_empty(), "wake rows of {url} that nobody is owed: {more:?}, missing: {missing:?}");
    // Those that come too deep wait for their turn; they may still wait when their entity ends.
    assert!(missing.is_empty() || c.is_slowed() || !it.accepts(), "wake rows that {url} is owed: {missing:?}");
}

fn of_kind<'e>(events: &'e Json, kind: &'static str) -> impl Iterator<Item = &'e Json> {
    events.as_array().expect("a list").iter().filter(move |event| event["type"] == kind)
}

pub(super) fn wake_row(event: &Json) -> Row {
    let value = &event["value"];
    let change = |change: &Json| {
        let id = match change["collection"].as_str() {
            Some("inbox") => change["payload"].to_string(),
            Some("signal") => String::new(),
            _ => text(&change["key"]),
        };
        format!("{} {id}", text(&change["collection"]))
    };
    let changes = value["changes"].as_array().expect("a list").iter().map(change).collect();
    Row { source: text(&value["source"]), timeout: value["timeout"] == true, changes }
}

/// A runner that reads its wake stream from the start is told of each wake in flight once, and of nothing that is over.
fn check_wake_stream(c: &mut Cluster, runner: usize) {
    let path = format!("/runners/{}/wake", c.runners[runner].id);
    let events = c.read(&path).json();
    let told = events.as_array().expect("a list").iter().map(|e| (text(&e["stream"]), e["generation"].as_i64()));
    let mut told: Vec<(String, Option<i64>)> = told.collect();
    let ours = |row: &&Found| c.entities[row.entity].target == Target::Runner(runner);
    let wakes = find(c).into_iter().filter(|row| ours(&row)).filter_map(|row| {
        let dispatch = row.dispatch.filter(|d| d.wake.is_some())?;
        Some((c.entities[row.entity].path()[1..].to_owned(), Some(dispatch.generation)))
    });
    let mut want: Vec<(String, Option<i64>)> = wakes.collect();
    told.sort();
    want.sort();
    assert_eq!(told, want, "what {path} tells");
}

/// What the database has of every entity.
pub(super) fn find(c: &Cluster) -> Vec<Found> {
    let rows: Json = serde_json::from_str(&c.world.engine.sql().text(ROWS)).expect("JSON");
    let rows = rows.as_array().expect("a list").iter();
    let number = |json: &Json| json.as_i64().expect("a number");
    rows.map(|row| Found {
        entity: c.entities.iter().position(|e| row[0] == e.url).expect("one that was spawned"),
        status: Status::parse(row[1].as_str().expect("a text")).expect("a status"),
        dispatch: row[2].as_i64().map(|generation| Dispatch {
            generation,
            wake: row[3].as_str().map(str::to_owned),
            held: number(&row[4]) == 1,
            acked: number(&row[5]),
            tail: number(&row[6]),
            armed: number(&row[7]) == 1,
            slowed: row[8].as_i64().map(Time::from_millis),
            dead: number(&row[9]) == 1,
        }),
    })
    .collect()
}

const ROWS: &str = "
    SELECT json_group_array(json_array(e.url, e.status, d.generation, d.wake, d.held, d.acked,
      max(COALESCE((SELECT max(n.end) FROM entry n WHERE n.stream = e.id), 0), st.base),
      EXISTS (SELECT 1 FROM timer t WHERE t.due_at = d.timer_at AND t.kind = 1 AND t.subject = d.id),
      d.slowed_until, EXISTS (SELECT 1 FROM dead_letter x WHERE x.subscription = d.id)))
    FROM entity e JOIN stream st ON st.id = e.id
    LEFT JOIN (SELECT s.*, l.stream, l.acked FROM link l JOIN subscription s ON s.id = l.subscription WHERE s.plain = 0) d
      ON d.stream = e.id WHERE e.type <> 'principal'";
