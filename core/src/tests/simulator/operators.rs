//! Those who run the server: they take back what was given up, and lock an entity as a fork does that reads it.

use serde_json::{Value as Json, json};

use super::cluster::Cluster;
use super::host::Op;
use super::people::some;
use crate::Span;

/// An entity is locked for a while, or for longer than it was, or not as long.
pub(super) fn locks(c: &mut Cluster) -> Option<Op> {
    let entity = some(c)?;
    let span = Span::millis(c.dice.between(1, 90_000));
    Some(lock(c, entity, span))
}

/// A lock is taken away before it ends, or there is none.
pub(super) fn unlocks(c: &mut Cluster) -> Option<Op> {
    let locked: Vec<usize> = (0..c.entities.len()).filter(|e| c.entities[*e].locked.is_some()).collect();
    let entity = c.dice.pick(&locked).or_else(|| some(c))?;
    Some(lock(c, entity, Span::ZERO))
}

fn lock(c: &Cluster, entity: usize, span: Span) -> Op {
    let body = json!({ "entity": c.entities[entity].url, "ms": span.as_millis() });
    Op::ask(format!("lock {body}"), ("POST", "/_reveille/dev/lock"), &[], &body, move |c, got| {
        assert_eq!(got.status, 204, "{}", got.body);
        let until = c.world.now + span;
        let it = &mut c.entities[entity];
        it.locked = (span > Span::ZERO).then_some(until);
        let (locked, now) = (it.locked.is_some(), c.world.now);
        for sent in c.delayed.iter_mut().filter(|sent| sent.entity == entity) {
            // Whatever lock it waited for is another now, or none.
            sent.due = if locked { sent.asked } else { sent.asked.max(now) };
        }
        let it = &mut c.entities[entity];
        if it.locked.is_some() && !it.is_held() {
            it.current = None;
        }
        if !locked {
            c.land(entity);
        }
    })
}

/// What was given up is taken back, or was not.
pub(super) fn revives(c: &mut Cluster) -> Option<Op> {
    let dead: Vec<usize> = (0..c.entities.len()).filter(|e| c.entities[*e].dead).collect();
    let entity = if c.dice.percent(80) { c.dice.pick(&dead) } else { None }.or_else(|| some(c))?;
    let url = c.entities[entity].url.clone();
    let path = format!("/_reveille/entities{url}/revive");
    Some(Op::ask(format!("revive {url}"), ("POST", &path), &[], &Json::Null, move |c, got| {
        let it = &mut c.entities[entity];
        if !it.dead {
            assert_eq!((got.status, got.code()), (409, "NOT_DEAD".to_owned()), "{}", got.body);
            return;
        }
        assert_eq!(got.status, 200, "{}", got.body);
        it.dead = false;
        let (state, admits) = (got.json()["state"].clone(), it.admits());
        assert!(state == "pending" || (admits && state == "outstanding"), "{} when it admits: {admits}", got.body);
    }))
}

pub(super) fn revives_all(c: &mut Cluster) -> Option<Op> {
    Some(revive_all(c))
}

pub(super) fn revive_all(_: &Cluster) -> Op {
    Op::ask("revive all", ("POST", "/_reveille/dead-letters/revive"), &[], &Json::Null, |c, got| {
        let dead = c.entities.iter_mut().filter(|e| e.dead);
        let revived = dead.map(|it| it.dead = false).count();
        assert_eq!((got.status, got.json()), (200, json!({ "revived": revived, "next": null })));
    })
}
