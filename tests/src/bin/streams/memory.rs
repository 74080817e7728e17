//! Memory and disk that a stream takes which nobody uses, and memory that a reader takes which waits.

use std::ops::Range;
use std::sync::Arc;

use reveille_tests::Result;
use reveille_tests::report::Unit;
use tokio::task::JoinSet;

use crate::Setting;
use crate::message::{Appends, create, path};
use crate::pair::{Pair, Side};
use crate::report::{Aim, Compared, Report};
use crate::tail::Tail;

/// Measures by how much both servers grow, once.
pub(crate) async fn measure(setting: &Setting, report: &mut Report) -> Result<()> {
    of_streams(setting, report).await?;
    of_readers(setting, report).await
}

async fn of_streams(setting: &Setting, report: &mut Report) -> Result<()> {
    let pair = Pair::start(&setting.place).await?;
    pair.round(0, async |side, _| make(side, 0..WARM_UP).await).await?;
    let few = pair.stop().await?;

    let count = setting.streams;
    let pair = Pair::start(&setting.place).await?;
    let resident = pair.round(0, async |side, _| {
        setting.progress.say(&format!("memory: {count} streams, {}", side.name()));
        by_streams(side, count).await
    });
    report.figure(bytes(format!("resident an idle stream, {count} of them"), Aim::AtMost(2e3), resident.await?));
    let many = pair.stop().await?;
    let disk = [0, 1].map(|i| (many[i] as f64 - few[i] as f64) / count as f64);
    report.figure(bytes(format!("on disk a stream, {count} of them"), Aim::None, disk));
    Ok(())
}

async fn of_readers(setting: &Setting, report: &mut Report) -> Result<()> {
    let pair = Pair::start(&setting.place).await?;
    let readers = pair.round(0, async |side, _| {
        setting.progress.say(&format!("memory: {} readers, {}", READERS[1], side.name()));
        by_readers(side).await
    });
    let readers = readers.await?;
    for (i, count) in READERS.into_iter().enumerate() {
        let resident = readers.map(|grown| grown[i]);
        report.figure(bytes(format!("resident an idle reader, {count} of them"), Aim::None, resident));
    }
    pair.stop().await.map(drop)
}

/// By how much the server's memory grows for each stream.
async fn by_streams(side: &Side, count: u64) -> Result<f64> {
    make(side, 0..WARM_UP).await?;
    let before = side.resident().await?;
    make(side, WARM_UP..WARM_UP + count).await?;
    Ok((side.resident().await? - before) / count as f64)
}

/// By how much the server's memory grows for each reader, for each number of them.
async fn by_readers(side: &Side) -> Result<[f64; 2]> {
    make(side, 0..1).await?;
    let before = side.resident().await?;
    let mut tails = Vec::new();
    let mut grown = [0.0; 2];
    for (grown, count) in grown.iter_mut().zip(READERS) {
        tails.extend(Tail::open_all(side, &path(PREFIX, 0), count - tails.len()).await?);
        *grown = (side.resident().await? - before) / count as f64;
    }
    Ok(grown)
}

/// Makes streams with one message each. On the published server that is one after the other: it closes the file of
/// one stream to open that of the next, and an append that is under way there may fail then, with 404.
async fn make(side: &Side, numbers: Range<u64>) -> Result<()> {
    let mut tasks = JoinSet::new();
    let end = numbers.end;
    let next = Arc::new(std::sync::Mutex::new(numbers));
    for _ in 0..if side.ours { CONNECTIONS } else { 1 } {
        let (mut wire, mut appends) = (side.connect().await?, Appends::new(PREFIX, end, 1));
        let next = Arc::clone(&next);
        tasks.spawn(async move {
            let mut body = Vec::new();
            while let Some(n) = next.lock().ok().and_then(|mut next| next.next()) {
                wire.ask(&create(&path(PREFIX, n)), &mut body).await?;
                wire.ask(appends.request(n), &mut body).await?;
            }
            Result::Ok(())
        });
    }
    while let Some(made) = tasks.join_next().await {
        made??;
    }
    Ok(())
}

fn bytes(name: String, aim: Aim, grown: [f64; 2]) -> Compared {
    Compared::new(name, Unit::Bytes, aim, [grown])
}

const PREFIX: &str = "m";
/// How many streams are made before the memory is looked at for the first time.
const WARM_UP: u64 = 500;
const CONNECTIONS: u64 = 16;
/// How many readers wait.
const READERS: [usize; 2] = [1000, 4000];
