//! A runner's lives: a process that tails its wake stream and works, until it dies, and after a while the next.

use std::convert::Infallible;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use reveille_tests::Result;
use serde_json::Value as Json;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::fleet::Fleet;
use crate::name::Runner;
use crate::random::Random;
use crate::tail::Tail;
use crate::work::{Hand, Stage, Work};

/// One life after the other until the fleet is done, and then whatever the dead still have to say.
pub(crate) async fn run(fleet: Arc<Fleet>, runner: Runner) -> Result<()> {
    let mut random = Random::new(fleet.seed, runner.0);
    let mut late = JoinSet::new();
    while !fleet.is_over() {
        for work in live(&fleet, runner, &mut random).await? {
            if work.stage < Stage::Done && random.per_mille(LATE) {
                let delays = random.of(&DELAYS);
                late.spawn(resume(Arc::clone(&fleet), runner, work, random.millis(delays)));
            } else {
                fleet.record(work);
            }
        }
        tokio::select! {
            () = sleep(random.millis(&AWAY)) => {}
            () = fleet.over() => {}
        }
    }
    while let Some(resumed) = late.join_next().await {
        resumed??;
    }
    Ok(())
}

/// One life. Gives what it had claimed when it died.
async fn live(fleet: &Arc<Fleet>, runner: Runner, random: &mut Random) -> Result<Vec<Work>> {
    let death = watch::Sender::new(false);
    let (mut queues, mut hands) = (Vec::new(), JoinSet::new());
    for _ in 0..HANDS {
        let (queue, events) = unbounded_channel();
        queues.push(queue);
        let hand = Hand { runner, connection: fleet.server.connect().await? };
        hands.spawn(work_off(Arc::clone(fleet), death.clone(), events, hand, random.fork()));
    }
    let died = async {
        let mut unfinished = Vec::new();
        while let Some(hand) = hands.join_next().await {
            unfinished.extend(hand??.filter(Work::is_claimed));
        }
        Ok(unfinished)
    };
    tokio::select! {
        unfinished = died => unfinished,
        Err(error) = listen(fleet, runner, &queues) => Err(error),
    }
}

/// Hands out the events as they come, in turns and now and then to all at once, for as long as anybody wants them.
async fn listen(fleet: &Fleet, runner: Runner, queues: &[UnboundedSender<Json>]) -> Result<Infallible> {
    let mut tail = Tail::open(fleet.server.address, runner).await?;
    let mut turn = 0;
    loop {
        for event in tail.next().await? {
            turn += 1;
            let one = turn % HANDS;
            let whose = if turn % TO_ALL == 0 { 0..HANDS } else { one..one + 1 };
            for queue in &queues[whose] {
                // Nobody works any more who has died.
                let _ = queue.send(event.clone());
            }
        }
    }
}

/// Works on one event after the other, until the end. Gives what it was at when death came.
async fn work_off(
    fleet: Arc<Fleet>,
    death: watch::Sender<bool>,
    mut events: UnboundedReceiver<Json>,
    mut hand: Hand,
    mut random: Random,
) -> Result<Option<Work>> {
    loop {
        let event = tokio::select! {
            biased;
            () = ended(&fleet, &death) => return Ok(None),
            Some(event) = events.recv() => event,
        };
        let mut work = Work::new(event);
        let fate = fleet.is_deadly() && random.per_mille(fleet.size.deaths);
        let fate = fate.then(|| *random.of(&Stage::ALL));
        loop {
            sleep(random.millis(&THOUGHT)).await;
            if fate == Some(work.stage) && !death.send_replace(true) {
                fleet.ledger().died(work.stage);
            }
            if *death.borrow() {
                return Ok(Some(work));
            }
            if !work.step(&mut hand).await? {
                break;
            }
        }
        fleet.record(work);
    }
}

/// Somebody who was thought to be dead goes on where it stopped.
async fn resume(fleet: Arc<Fleet>, runner: Runner, mut work: Work, delay: Duration) -> Result<()> {
    sleep(delay).await;
    let mut hand = Hand { runner, connection: fleet.server.connect().await? };
    while work.step(&mut hand).await? {}
    fleet.record(work);
    Ok(())
}

async fn ended(fleet: &Fleet, death: &watch::Sender<bool>) {
    let mut death = death.subscribe();
    tokio::select! {
        _ = death.wait_for(|dead| *dead) => {}
        () = fleet.over() => {}
    }
}

/// How many events a process works on at once.
const HANDS: usize = 2;
/// One of so many events is worked on by all of them.
const TO_ALL: usize = 10;
/// How long it thinks before each step.
const THOUGHT: Range<u64> = 0..20;
/// How long a dead runner stays away.
const AWAY: Range<u64> = 200..5000;
/// How many of a thousand of the dead were not, and go on later: within their leases, or past them.
const LATE: u64 = 500;
const DELAYS: [Range<u64>; 2] = [1000..20_000, 30_500..36_000];
