//! What the engine tells of itself: that nothing is broken, where each dispatch stands and why, what each went through.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::checks::{Found, find};
use super::cluster::{Cluster, text};
use crate::entity::Status;
use crate::limits::{JOURNAL_AGE, JOURNAL_DISPATCHES, JOURNAL_STEPS, JOURNAL_WAKES};

/// At any moment: nothing is broken, and an entity can be asked about.
pub(super) fn check(c: &mut Cluster) {
    nothing_is_broken(c);
    let found = find(c);
    let at = c.dice.recent(found.len());
    if let Some(row) = at.map(|at| &found[at]) {
        check_entity(c, row);
    }
}

/// The same of all entities.
pub(super) fn check_all(c: &mut Cluster) {
    nothing_is_broken(c);
    for row in &find(c) {
        check_entity(c, row);
    }
    let dead = c.read("/_reveille/dead-letters").json();
    let mut told: Vec<String> = dead["dead"].as_array().expect("a list").iter().map(|d| text(&d["entity"])).collect();
    let mut want: Vec<String> = c.entities.iter().filter(|e| e.dead).map(|e| e.url.clone()).collect();
    told.sort();
    want.sort();
    assert_eq!(told, want, "what was given up");
}

fn nothing_is_broken(c: &mut Cluster) {
    let found = c.read("/_reveille/check").json();
    let principals = c.world.engine.sql().number("SELECT count(*) FROM entity WHERE type = 'principal'");
    let all = c.entities.len() + usize::try_from(principals).expect("a number of principals");
    assert_eq!((&found["problems"], &found["checked"]), (&json!([]), &json!(all)));
}

fn check_entity(c: &mut Cluster, row: &Found) {
    check_explanation(c, row);
    check_journal(c, row);
}

fn check_explanation(c: &mut Cluster, row: &Found) {
    let url = c.entities[row.entity].url.clone();
    let got = c.read(&format!("/_reveille/entities{url}/explain"));
    assert_eq!(got.status, 200, "{}", got.body);
    let (it, told) = (&c.entities[row.entity], got.json());
    let (state, summary) = (told["dispatch"]["state"].as_str().expect("a word"), text(&told["summary"]));
    assert!(summary.starts_with(&format!("{url} ")), "{summary}");
    assert_eq!((&told["entity"], told["status"].as_str()), (&json!(url), Some(row.status.as_str())));
    assert_eq!(state, row.stands(), "{summary}");
    assert_eq!(state == "claimed", it.is_held(), "{summary}");
    assert_eq!(state == "dead", it.dead, "{summary}");
    assert!(state == "outstanding" || it.is_held() || it.current.is_none(), "{summary}");
    assert_eq!(told["pending"].is_null(), !row.is_pending(), "{summary}");
    let registrations = c.registrations.iter().filter(|r| r.subscriber == row.entity).count();
    assert_eq!(told["registrations"].as_array().map(Vec::len), Some(registrations), "{summary}");
    let why = match state {
        "none" => row.status.as_str(),
        "dead" => "was given up at",
        "claimed" => "unless a heartbeat comes",
        "outstanding" => "has something to do: ",
        "pending" if it.status == Status::Paused => "because it is paused",
        "pending" if it.locked.is_some() => "because a fork reads it",
        "pending" if c.deep => "has something to do",
        "pending" => "it has used up its budget",
        _ if it.status == Status::Paused => "is paused, and nothing waits for it",
        // All that came is done; or something is gathered that becomes a wake.
        _ => "sleeps, ",
    };
    assert!(summary.contains(why), "{summary} ({why})");
}

fn check_journal(c: &mut Cluster, row: &Found) {
    let url = c.entities[row.entity].url.clone();
    let got = c.read(&format!("/_reveille/entities{url}/journal"));
    assert_eq!(got.status, 200, "{}", got.body);
    let (it, told) = (&c.entities[row.entity], got.json());
    let steps = told["steps"].as_array().expect("a list");
    let last = row.dispatch.as_ref().map_or(i64::MAX, |d| d.generation);
    let (mut before, mut of) = ("", BTreeMap::<i64, Vec<&str>>::new());
    let mut wakes = BTreeSet::new();
    for step in steps {
        let (at, what) = (step["at"].as_str().expect("a time"), step["what"].as_str().expect("a word"));
        assert!(before <= at, "a step of {url} that came before the one before it: {step}");
        before = at;
        assert_eq!(step["entity"], url);
        let Some(generation) = step["generation"].as_i64() else {
            assert!(!["emitted", "claimed", "done", "expired"].contains(&what), "of no generation of {url}: {step}");
            continue;
        };
        assert!(generation >= 1 && generation <= last, "a generation of {url} that there never was: {step}");
        wakes.insert((generation, step["wake"].as_str()));
        of.entry(generation).or_default().push(what);
    }
    assert_eq!(wakes.len(), of.len(), "wakes of {url}: {wakes:?}");
    for work in c.works.iter().filter(|w| w.entity == row.entity && of.contains_key(&w.generation)) {
        assert!(wakes.contains(&(work.generation, Some(&work.wake))), "the wake of {url} in {}", work.generation);
    }
    for (generation, whats) in &of {
        check_dispatch(&url, *generation, whats);
    }
    let newest = of.last_key_value().map_or(0, |(generation, _)| *generation);
    let now = c.world.now;
    for (generation, at) in &it.claims {
        let remembered =
            *generation > newest - JOURNAL_DISPATCHES && now.since(*at).as_millis() < JOURNAL_AGE.as_millis();
        let told = of.get(generation).is_some_and(|whats| whats.contains(&"claimed"));
        assert!(told || !remembered, "the claim of generation {generation} of {url} is forgotten: {steps:?}");
    }
    let dispatches = usize::try_from(JOURNAL_DISPATCHES).expect("fits") + 2;
    let rows = usize::try_from(JOURNAL_WAKES).expect("fits");
    assert!(of.len() <= dispatches && steps.len() <= dispatches * JOURNAL_STEPS + 2 * rows, "too much of {url}");
    for (of, most) in [("place >= 0", JOURNAL_DISPATCHES), ("place < 0", JOURNAL_WAKES)] {
        let filed =
            format!("SELECT COALESCE(max(n), 0) FROM (SELECT count(*) n FROM journal WHERE {of} GROUP BY entity)");
        assert!(c.world.engine.sql().number(&filed) <= most, "too much is filed");
    }
}

/// What a dispatch went through is in an order in which that can be.
fn check_dispatch(url: &str, generation: i64, whats: &[&str]) {
    let first = |of: &[&str]| whats.iter().position(|what| of.contains(what));
    let times = |of: &[&str]| whats.iter().filter(|what| of.contains(what)).count();
    let ends = ["done", "released", "expired", "parked", "ended", "dead-lettered"];
    let say = || format!("generation {generation} of {url} went through {whats:?}");
    assert!(times(&["claimed"]) <= 1 && times(&ends) <= 1, "{}", say());
    let (claim, end) = (first(&["claimed"]), first(&ends));
    assert!(end.is_none() || claim < end, "{}", say());
    assert!(first(&["emitted"]).is_none_or(|emitted| claim.is_none_or(|claim| emitted < claim)), "{}", say());
    let untaken = ["expired"].iter().any(|end| whats.contains(end)) && claim.is_none();
    assert!(!untaken && (!whats.contains(&"dead-lettered") || claim.is_none()), "{}", say());
}
