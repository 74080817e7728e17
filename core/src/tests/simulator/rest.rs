//! The end of a run: faults stop, everybody is honest, and time passes until nothing is left to do.

use super::agents::{Answers, Says, answer, callback};
use super::checks::{self, Found};
use super::cluster::Cluster;
use super::model::Target;
use super::{members, operators, runners, shapes, told, watchers};
use crate::Span;

/// Comes to rest, and sees that nothing was lost on the way there.
pub(super) fn rest(c: &mut Cluster) {
    c.note("faults stop".to_owned());
    let hung = std::mem::take(&mut c.hung);
    c.flights.extend(hung);
    for runner in 0..c.runners.len() {
        if !c.runners[runner].alive {
            c.runners[runner].alive = true;
            "-1".clone_into(&mut c.runners[runner].offset);
        }
        if !c.runners[runner].enabled && c.dice.percent(70) {
            let op = runners::switch(c, runner, true);
            c.run(vec![op]);
        }
        c.runners[runner].events.clear();
    }
    c.pass(Span::ZERO);
    for _ in 0..LONGEST {
        work(c);
        checks::check(c);
        if is_quiet(c) && watchers::check(c).is_empty() {
            checks::check_streams(c);
            members::check(c);
            return told::check_all(c);
        }
        c.pass(Span::secs(60));
    }
    let late: Vec<String> = checks::find(c).iter().filter(|row| is_owed(c, row)).map(|row| url(c, row)).collect();
    panic!("it does not come to rest: {late:?}, {} messages on their way", c.delayed.len());
}

/// Everybody does what there is to do.
fn work(c: &mut Cluster) {
    if c.entities.iter().any(|e| e.dead) {
        let op = operators::revive_all(c);
        c.run(vec![op]);
    }
    for runner in 0..c.runners.len() {
        let op = runners::read(c, runner);
        c.run(vec![op]);
        for event in std::mem::take(&mut c.runners[runner].events) {
            let op = runners::claim(c, runner, event);
            c.run(vec![op]);
        }
    }
    for watcher in 0..c.watchers.len() {
        let claim = watchers::claim(c, watcher);
        c.run(claim.into_iter().collect());
        if let Some(done) = watchers::finish(c, watcher) {
            c.run(vec![done]);
        }
    }
    let all = shapes::answer(c, shapes::Says::All);
    c.run(all.into_iter().collect());
    while !c.flights.is_empty() {
        let flight = c.flights.remove(0);
        let how = c.dice.pick(&[Answers::Takes, Answers::Takes, Answers::Done]).expect("one");
        let op = answer(c, flight, how);
        c.run(vec![op]);
    }
    for work in 0..c.works.len() {
        if c.works[work].is_current(c) {
            let claim = callback(c, work, Says { claim: true, ..Says::default() });
            c.run(vec![claim]);
            let ack = Some(c.tail(c.works[work].entity));
            let done = callback(c, work, Says { ack, done: true, ..Says::default() });
            c.run(vec![done]);
        }
    }
}

fn is_quiet(c: &Cluster) -> bool {
    let owed = checks::find(c).iter().any(|row| is_owed(c, row));
    c.flights.is_empty() && c.waiting.is_empty() && c.delayed.is_empty() && !owed && !c.is_slowed() && c.shape.is_read()
}

/// Whether somebody still has to run an entity: it is held, or something is pending and somebody can be told.
fn is_owed(c: &Cluster, row: &Found) -> bool {
    let it = &c.entities[row.entity];
    let served = match it.target {
        Target::Webhook => true,
        Target::Runner(runner) => c.runners[runner].enabled,
    };
    row.is_held() || (row.is_pending() && it.dispatches() && served)
}

fn url(c: &Cluster, row: &Found) -> String {
    c.entities[row.entity].url.clone()
}

/// How many minutes that may take: the longest wait between two announcements is ten.
const LONGEST: usize = 60;
