//! What may happen next. Another operation is a row here, and a function.

use super::cluster::Cluster;
use super::dice::Dice;
use super::host::Op;
use super::{
    agents, chains, faults, files, forks, handover, kinds, manifests, members, notes, operators, people, rights,
    runners, shapes, sources, tables, watchers,
};

pub(super) struct Step {
    name: &'static str,
    weight: usize,
    how: How,
}

#[derive(Clone, Copy)]
enum How {
    /// It asks the engine for something, alone or together with others; or there is nobody to ask.
    Asks(fn(&mut Cluster) -> Option<Op>),
    /// It happens.
    Happens(fn(&mut Cluster)),
}

const STEPS: [Step; 66] = [
    asks("spawn", 6, people::spawn),
    asks("send", 12, people::send),
    asks("schedule", 5, people::schedule),
    asks("tag", 3, people::tag),
    asks("go to a team", 6, members::moves),
    asks("ask for a team", 2, members::asks),
    asks("look at a team", 1, members::reads),
    asks("ask for a chain", 1, chains::asks),
    asks("schedule ticks", 4, chains::schedules),
    asks("signal", 5, people::signal),
    asks("register", 7, people::register),
    asks("unregister", 1, people::unregister),
    asks("feed", 6, people::feed),
    asks("an endpoint takes a wake", 12, agents::takes),
    asks("an endpoint is done at once", 4, agents::is_done_at_once),
    asks("an endpoint fails", 4, agents::fails),
    asks("an endpoint times out", 2, agents::times_out),
    asks("claim", 14, agents::claims),
    asks("heartbeat", 6, agents::keeps),
    asks("ack", 6, agents::acknowledges),
    asks("done", 12, agents::is_done),
    asks("append", 14, agents::appends),
    asks("write a manifest", 8, manifests::writes),
    asks("tell", 4, agents::tells),
    asks("intrude", 1, agents::intrudes),
    asks("runner reads", 8, runners::reads),
    asks("runner claims", 14, runners::claims),
    asks("runner reports", 1, runners::reports),
    asks("switch a runner", 2, runners::switches),
    asks("runner registers again", 1, runners::registers_again),
    asks("watcher claims", 3, watchers::claims),
    asks("watcher acts", 5, watchers::acts),
    asks("lock", 4, operators::locks),
    asks("unlock", 1, operators::unlocks),
    asks("revive", 2, operators::revives),
    asks("revive all", 1, operators::revives_all),
    asks("grant", 6, rights::grants),
    asks("revoke", 3, rights::revokes),
    asks("somebody looks", 3, rights::looks),
    asks("somebody sends", 4, rights::sends),
    asks("fork", 9, forks::asks),
    asks("subscribe to webhooks", 4, sources::subscribes),
    asks("unsubscribe", 1, sources::unsubscribes),
    asks("webhooks come", 6, sources::comes),
    asks("attach a file", 5, files::attaches),
    asks("delete a file", 4, files::deletes),
    asks("register a type", 2, kinds::registers),
    asks("amend a type", 2, kinds::amends),
    asks("delete a type", 1, kinds::deletes),
    asks("edit a message", 3, kinds::edits),
    asks("add a note", 4, notes::adds),
    asks("tick", 2, faults::ticks),
    asks("a lost answer", 1, faults::a_lost_answer_comes),
    asks("the shape answers", 5, shapes::answers),
    asks("the shape answers too late", 1, shapes::answers_too_late),
    happens("lend", 3, handover::lends),
    happens("the shape changes", 4, shapes::changes),
    happens("the shape rotates", 1, shapes::rotates),
    happens("a dashboard looks", 4, tables::looks),
    happens("hang", 2, faults::hangs),
    happens("runner dies or returns", 2, runners::dies_or_returns),
    happens("a moment", 10, faults::a_moment_passes),
    happens("time", 6, faults::time_passes),
    happens("an hour", 1, faults::an_hour_passes),
    happens("crash", 2, faults::crash),
    happens("trap", 1, faults::trap),
];

/// What happens besides, so that it does not happen within itself.
const BESIDES: [Step; 10] = [
    happens("together", 10, faults::together),
    happens("in vain", 2, faults::in_vain),
    happens("the disk is full", 2, faults::the_disk_is_full),
    happens("the clock steps back", 2, faults::the_clock_steps_back),
    happens("a chain reacts", 2, agents::a_chain_reacts),
    happens("a source is steady", 1, people::a_source_is_steady),
    happens("one is kept busy", 2, agents::one_is_kept_busy),
    happens("an endpoint is broken", 2, agents::an_endpoint_is_broken),
    happens("the host is late", 2, faults::the_host_is_late),
    happens("downtime", 1, faults::downtime),
];

const fn asks(name: &'static str, weight: usize, how: fn(&mut Cluster) -> Option<Op>) -> Step {
    Step { name, weight, how: How::Asks(how) }
}

const fn happens(name: &'static str, weight: usize, how: fn(&mut Cluster)) -> Step {
    Step { name, weight, how: How::Happens(how) }
}

/// How likely each step is in one run: some never come, some come often, so that runs differ more than dice do.
pub(super) fn weights(dice: &mut Dice) -> Vec<usize> {
    STEPS.iter().chain(&BESIDES).map(|step| step.weight * dice.pick(&[0, 1, 1, 1, 1, 3]).unwrap_or(1)).collect()
}

/// What may come between an append and the last of those that it concerns: where that takes several turns, nobody can say
/// who is told.
const MUDDLES: [&str; 7] =
    ["together", "in vain", "the disk is full", "the clock steps back", "the host is late", "trap", "downtime"];

/// The same where an append is told a few at a time.
pub(super) fn weights_of_a_slow_one(dice: &mut Dice) -> Vec<usize> {
    let all = weights(dice);
    let muddles = |step: &Step| MUDDLES.contains(&step.name);
    STEPS.iter().chain(&BESIDES).zip(all).map(|(step, weight)| if muddles(step) { 0 } else { weight }).collect()
}

/// The names of all steps.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    STEPS.iter().chain(&BESIDES).map(|step| step.name)
}

/// Draws a step and takes it.
pub(super) fn step(c: &mut Cluster) {
    let at = draw(c, STEPS.len() + BESIDES.len());
    let step = STEPS.get(at).unwrap_or_else(|| &BESIDES[at - STEPS.len()]);
    c.heard.insert(step.name.to_owned());
    match step.how {
        How::Happens(happens) => happens(c),
        How::Asks(asks) => {
            if let Some(op) = asks(c) {
                c.run(vec![op]);
            }
        }
    }
}

/// Some operation that can stand in a batch.
pub(super) fn some_op(c: &mut Cluster) -> Option<Op> {
    match STEPS[draw(c, STEPS.len())].how {
        How::Asks(asks) => asks(c),
        How::Happens(_) => None,
    }
}

fn draw(c: &mut Cluster, of: usize) -> usize {
    let total: usize = c.weights[..of].iter().sum();
    let mut left = c.dice.below(total);
    c.weights[..of]
        .iter()
        .position(|weight| {
            let hit = left < *weight;
            left = left.saturating_sub(*weight);
            hit
        })
        .unwrap_or(0)
}
