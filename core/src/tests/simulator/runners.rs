//! Runners: they read their wake stream and claim by what they have read, at once or much later. One that dies forgets
//! everything, and reads its stream from the start when it returns.

use serde_json::{Value as Json, json};

use super::super::world::Got;
use super::cluster::{Cluster, Work, offset, text};
use super::host::Op;
use super::model::{Current, Target};
use crate::limits::LEASE;

/// It reads what is new to it.
pub(super) fn reads(c: &mut Cluster) -> Option<Op> {
    let runner = living(c)?;
    Some(read(c, runner))
}

pub(super) fn read(c: &Cluster, runner: usize) -> Op {
    let it = &c.runners[runner];
    let path = format!("/runners/{}/wake?offset={}", it.id, it.offset);
    Op::ask(format!("{} reads", it.id), ("GET", &path), &[], &Json::Null, move |c, got| {
        assert_eq!(got.status, 200, "{}", got.body);
        let events = got.json();
        let it = &mut c.runners[runner];
        it.events.extend(events.as_array().expect("a list").iter().cloned());
        got.header("stream-next-offset").clone_into(&mut it.offset);
    })
}

/// It claims by an event that it has read, mostly a fresh one.
pub(super) fn claims(c: &mut Cluster) -> Option<Op> {
    let runner = living(c)?;
    let at = c.dice.recent(c.runners[runner].events.len())?;
    let event = c.runners[runner].events[at].clone();
    Some(claim(c, runner, event))
}

pub(super) fn claim(c: &Cluster, runner: usize, event: Json) -> Op {
    let id = &c.runners[runner].id;
    let url = format!("/{}", event["stream"].as_str().and_then(|s| s.strip_suffix("/main")).expect("a main stream"));
    let entity = c.entities.iter().position(|e| e.url == url).expect("somebody's");
    let what = format!("{id} claims {url} by generation {}", event["generation"]);
    let path = format!("/_electric/runners/{id}/claim");
    Op::ask(what, ("POST", &path), &[], &event.clone(), move |c, got| claimed(c, runner, entity, &event, got))
}

fn claimed(c: &mut Cluster, runner: usize, entity: usize, event: &Json, got: &Got) {
    let now = c.world.now;
    let (enabled, it) = (c.runners[runner].enabled, &mut c.entities[entity]);
    assert_eq!(it.target, Target::Runner(runner), "another's");
    let hook = got.json();
    match (got.status, got.code().as_str()) {
        _ if !enabled => assert_eq!((got.status, got.code()), (409, "NOT_RUNNING".to_owned())),
        _ if it.is_held() => assert_eq!((got.status, got.code()), (409, "ALREADY_CLAIMED".to_owned())),
        _ if it.dispatches() && it.locked.is_some() => {
            assert_eq!((got.status, got.code()), (409, "FORK_IN_PROGRESS".to_owned()));
        }
        (409, "NO_PENDING_WORK") => it.current = None,
        (200, _) if hook["done"] == true => assert!(!it.dispatches(), "there was something to do"),
        (200, _) => {
            assert!(it.dispatches(), "a claim of an entity that is {}", it.status.as_str());
            let (wake, generation) = (text(&hook["wakeId"]), hook["epoch"].as_i64().expect("a number"));
            assert!(generation > it.generation, "a generation that there was");
            it.generation = generation;
            it.current =
                Some(Current { wake: wake.clone(), generation, attempt: 0, sent: now, lease: Some(now + LEASE) });
            it.claims.push((generation, now));
            it.run();
            c.works.push(Work {
                entity,
                wake,
                generation,
                token: text(&hook["claimToken"]),
                name: text(&event["subscription_id"]),
                told: offset(&hook["streams"][0]["offset"]),
                writes: Vec::new(),
            });
        }
        _ => panic!("{} {}", got.status, got.body),
    }
}

pub(super) fn reports(c: &mut Cluster) -> Option<Op> {
    let runner = living(c)?;
    let it = &c.runners[runner];
    let path = format!("/_electric/runners/{}/heartbeat", it.id);
    let body = json!({ "wake_stream_offset": it.offset });
    Some(Op::ask(format!("{} is well", it.id), ("POST", &path), &[], &body, |_, got| assert_eq!(got.status, 200)))
}

/// It is enabled when it was not, and the other way round.
pub(super) fn switches(c: &mut Cluster) -> Option<Op> {
    let runner = c.dice.below(c.runners.len());
    let enabled = !c.runners[runner].enabled;
    Some(switch(c, runner, enabled))
}

pub(super) fn switch(c: &Cluster, runner: usize, enabled: bool) -> Op {
    let verb = if enabled { "enable" } else { "disable" };
    let path = format!("/_electric/runners/{}/{verb}", c.runners[runner].id);
    Op::ask(format!("{verb} {}", c.runners[runner].id), ("POST", &path), &[], &Json::Null, move |c, got| {
        assert_eq!(got.status, 200, "{}", got.body);
        c.runners[runner].enabled = enabled;
    })
}

/// It registers again, and is enabled by that.
pub(super) fn registers_again(c: &mut Cluster) -> Option<Op> {
    let runner = living(c)?;
    let id = c.runners[runner].id.clone();
    let body = json!({ "id": id, "label": "again" });
    Some(Op::ask(format!("{id} registers"), ("POST", "/_electric/runners"), &[], &body, move |c, got| {
        assert_eq!(got.status, 201, "{}", got.body);
        c.runners[runner].enabled = true;
    }))
}

/// It dies, or returns.
pub(super) fn dies_or_returns(c: &mut Cluster) {
    let runner = c.dice.below(c.runners.len());
    let it = &mut c.runners[runner];
    it.alive = !it.alive;
    it.events.clear();
    "-1".clone_into(&mut it.offset);
    let line = format!("{} {}", it.id, if it.alive { "returns" } else { "dies" });
    c.note(line);
}

fn living(c: &mut Cluster) -> Option<usize> {
    let living: Vec<usize> = (0..c.runners.len()).filter(|r| c.runners[*r].alive).collect();
    c.dice.pick(&living)
}
