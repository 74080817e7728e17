//! What goes wrong by itself: time, crashes, commits that fail, endpoints that say nothing.

use super::super::world::World;
use super::agents::{Answers, answer};
use super::cluster::Cluster;
use super::host::Op;
use super::{shapes, steps};
use crate::{Command, Span};

pub(super) fn a_moment_passes(c: &mut Cluster) {
    let span = Span::millis(c.dice.between(1, 3_000));
    c.pass(span);
}

pub(super) fn time_passes(c: &mut Cluster) {
    let span = Span::millis(c.dice.between(3_000, 40_000));
    c.pass(span);
}

pub(super) fn an_hour_passes(c: &mut Cluster) {
    let span = Span::secs(c.dice.between(60, 3_600));
    c.pass(span);
}

/// The host is late: time passes, and nothing that falls due is run.
pub(super) fn the_host_is_late(c: &mut Cluster) {
    let span = Span::millis(c.dice.between(1, 60_000));
    c.note(format!("{} ms pass unseen", span.as_millis()));
    c.world.now = c.world.now + span;
}

/// The host catches up, in the midst of other things.
pub(super) fn ticks(_: &mut Cluster) -> Option<Op> {
    Some(Op::of("tick", Command::Tick { budget: 1_000 }, Cluster::lapse))
}

/// The engine goes down and is opened on what it had committed. What was on its way is lost.
pub(super) fn crash(c: &mut Cluster) {
    c.note("the server goes down, and comes back".to_owned());
    let world = std::mem::replace(&mut c.world, World::new());
    c.world = world.restart();
    shapes::crash(c);
    c.waiting.clear();
    c.lost.append(&mut c.flights);
    c.lost.append(&mut c.hung);
    c.failed_commits = 0;
}

/// The server is down for long, and catches up.
pub(super) fn downtime(c: &mut Cluster) {
    let span = Span::secs(c.dice.between(60, 7_200));
    c.note(format!("the server is down for {} s", span.as_millis() / 1_000));
    c.world.now = c.world.now + span;
    crash(c);
    let tick = ticks(c);
    c.run(tick.into_iter().collect());
}

/// The engine traps, some time before its host notices, and the next one begins carefully.
pub(super) fn trap(c: &mut Cluster) {
    the_host_is_late(c);
    crash(c);
    c.tick_carefully();
}

/// An answer comes a second time, or to a server that is not the one that asked. Nothing follows from it.
pub(super) fn a_lost_answer_comes(c: &mut Cluster) -> Option<Op> {
    let flight = c.dice.recent(c.lost.len()).map(|at| c.lost.remove(at))?;
    let op = answer(c, flight, Answers::Done);
    Some(op.without_effect())
}

/// An endpoint takes a webhook and says nothing, until faults end or for ever.
pub(super) fn hangs(c: &mut Cluster) {
    if let Some(at) = c.dice.recent(c.flights.len()) {
        let flight = c.flights.remove(at);
        c.note(format!("{} hangs", flight.id));
        c.hung.push(flight);
    }
}

/// Several who know nothing of each other come at once.
pub(super) fn together(c: &mut Cluster) {
    let ops = several(c);
    c.run(ops);
}

/// The same, and the disk is full.
pub(super) fn in_vain(c: &mut Cluster) {
    let ops = several(c);
    if !ops.is_empty() {
        c.run_in_vain(ops);
    }
}

/// The disk fills in the midst of those who wait for an answer: whoever had run is refused, and the others run.
pub(super) fn the_disk_is_full(c: &mut Cluster) {
    let (asked, others): (Vec<_>, Vec<_>) = several(c).into_iter().partition(Op::is_request);
    c.run(others);
    let statement = c.dice.pick(&["INSERT INTO entry", "UPDATE subscription", "INSERT INTO timer", "UPDATE entity"]);
    *c.world.engine.sql().fail_on.borrow_mut() = statement;
    c.full = true;
    c.run(asked);
    if c.world.engine.sql().fail_on.borrow_mut().take().is_none() {
        c.failed_commits += 1;
    }
    c.full = false;
}

/// The host's clock steps back.
pub(super) fn the_clock_steps_back(c: &mut Cluster) {
    if let Some(op) = steps::some_op(c) {
        let span = Span::millis(c.dice.between(1, 60_000));
        c.note(format!("the clock steps back by {} ms", span.as_millis()));
        c.world.now = c.world.now - span;
        c.run(vec![op]);
    }
}

fn several(c: &mut Cluster) -> Vec<Op> {
    (0..c.dice.between(2, 6)).filter_map(|_| steps::some_op(c)).collect()
}
