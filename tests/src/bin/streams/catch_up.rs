//! Reads of a whole stream: just after it was written, and when its server has had time to put it in order.

use std::time::Instant;

use reveille_tests::Result;
use reveille_tests::report::Unit;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::Setting;
use crate::load::{catch_up, expect_all, fill};
use crate::message::{MESSAGE, numbers, path};
use crate::pair::{Pair, Side};
use crate::report::{Aim, Compared, Report};

/// Measures both servers, with one reader and with some.
///
/// What Reveille reads fresh is a new stream in each round. The published server keeps a stream as it was written, so
/// there one stream does for all rounds.
pub(crate) async fn measure(setting: &Setting, report: &mut Report) -> Result<()> {
    let pair = Pair::start(&setting.place).await?;
    let fresh = pair.rounds(setting.rounds, async |side, round| {
        if side.ours || round == 0 {
            setting.progress.say(&format!("catch-up: {} fills stream {}", side.name(), round + 1));
            fill(side, &prefix(side, round), setting.messages, setting.batch).await?;
        }
        setting.progress.say(&format!("catch-up, fresh: round {}, {}", round + 1, side.name()));
        read(setting, side, round).await
    });
    compare(setting, report, "fresh", 8.0, fresh.await?);

    setting.progress.say(&format!("catch-up: waits {} s for the streams to be sealed", setting.seal.as_secs()));
    sleep(setting.seal).await;
    let sealed = pair.rounds(setting.rounds, async |side, round| {
        setting.progress.say(&format!("catch-up, sealed: round {}, {}", round + 1, side.name()));
        read(setting, side, round).await
    });
    compare(setting, report, "sealed", 30.0, sealed.await?);
    let posts = if setting.batch == 1 { "one a POST".to_owned() } else { format!("{} a POST", setting.batch) };
    report.notes.push(format!(
        "catch-up: {:.0} MB in messages of {MESSAGE} bytes, {posts} to both servers; sealed: read again {} s after",
        (setting.messages * MESSAGE as u64) as f64 / 1e6,
        setting.seal.as_secs(),
    ));
    pair.stop().await.map(drop)
}

/// Bytes a second for each number of readers.
async fn read(setting: &Setting, side: &Side, round: u64) -> Result<[f64; 2]> {
    let path = path(&prefix(side, round), 0);
    let [alone, together] = READERS;
    Ok([read_by(setting, side, &path, alone).await?, read_by(setting, side, &path, together).await?])
}

async fn read_by(setting: &Setting, side: &Side, path: &str, readers: usize) -> Result<f64> {
    let mut ready = Vec::new();
    for _ in 0..readers {
        // Touched before, so that the time in which the system finds memory is not measured.
        let room = vec![1; setting.messages as usize * (MESSAGE + 2)];
        ready.push((side.connect().await?, path.to_owned(), room));
    }
    let mut tasks = JoinSet::new();
    let start = Instant::now();
    for (mut wire, path, mut pages) in ready {
        tasks.spawn(async move { catch_up(&mut wire, &path, &mut pages).await.map(|()| pages) });
    }
    let mut all = Vec::new();
    while let Some(read) = tasks.join_next().await {
        all.push(read??);
    }
    let took = start.elapsed().as_secs_f64();
    for pages in &all {
        expect_all(numbers(pages)?, setting.messages)?;
    }
    Ok(all.iter().map(Vec::len).sum::<usize>() as f64 / took)
}

fn compare(setting: &Setting, report: &mut Report, when: &str, aim: f64, rounds: Vec<[[f64; 2]; 2]>) {
    for (i, readers) in READERS.into_iter().enumerate() {
        let plural = if readers == 1 { "" } else { "s" };
        let name = format!("catch-up of {} messages, {when}, {readers} reader{plural}", setting.messages);
        let rates = rounds.iter().map(|round| round.map(|rates| rates[i]));
        report.figure(Compared::new(name, Unit::BytesPerSecond, Aim::Times(aim), rates));
    }
}

fn prefix(side: &Side, round: u64) -> String {
    format!("c{}", if side.ours { round } else { 0 })
}

/// How many read at a time.
const READERS: [usize; 2] = [1, 4];
