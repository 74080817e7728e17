//! From an append to those who listen: to one, and to all of many.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use reveille_tests::Result;
use reveille_tests::machine::quantile;
use reveille_tests::report::Unit;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use crate::Setting;
use crate::message::{Appends, mark, path};
use crate::pair::{Pair, Side};
use crate::report::{Aim, Compared, Report};
use crate::tail::Tail;

/// Measures both servers.
pub(crate) async fn measure(setting: &Setting, report: &mut Report) -> Result<()> {
    let pair = Pair::start(&setting.place).await?;
    let tails = pair.rounds(setting.rounds, async |side, round| {
        setting.progress.say(&format!("latency, one reader: round {}, {}", round + 1, side.name()));
        one(side, &format!("l{round}"), setting.samples).await
    });
    let tails = tails.await?;
    for (i, name) in ["p50", "p99"].into_iter().enumerate() {
        let rounds = tails.iter().map(|round| round.map(|took| took[i].as_secs_f64()));
        report.figure(Compared::new(format!("append to receipt, {name}"), Unit::Seconds, Aim::None, rounds));
    }
    let fans = pair.rounds(setting.rounds, async |side, round| {
        setting.progress.say(&format!("latency, {READERS} readers: round {}, {}", round + 1, side.name()));
        all(side, &format!("f{round}"), setting.fans).await
    });
    let fans = fans.await?;
    let rounds = fans.iter().map(|round| round.map(|took| took.as_secs_f64()));
    let name = format!("append to its receipt by all of {READERS} readers, p50");
    report.figure(Compared::new(name, Unit::Seconds, Aim::None, rounds));
    pair.stop().await.map(drop)
}

/// One reader: the median, and the 99th percentile.
async fn one(side: &Side, prefix: &str, samples: u64) -> Result<[Duration; 2]> {
    side.create(&path(prefix, 0)).await?;
    let (mut tail, mut writer) = (Tail::open(side, &path(prefix, 0)).await?, side.connect().await?);
    let (mut appends, mut body) = (Appends::new(prefix, 1, 1), Vec::new());
    let mut took = Vec::new();
    for n in 0..samples + WARM_UP {
        let start = Instant::now();
        let receipt = async { tail.until(&mark(n)).await.map(|()| start.elapsed()) };
        let (received, appended) = tokio::join!(receipt, writer.ask(appends.request(n), &mut body));
        appended?;
        if n >= WARM_UP {
            took.push(received?);
        }
    }
    Ok([quantile(&mut took, 0.5), quantile(&mut took, 0.99)])
}

/// Many readers: the median time until the last one has it.
async fn all(side: &Side, prefix: &str, count: u64) -> Result<Duration> {
    side.create(&path(prefix, 0)).await?;
    let (told, mut complete) = unbounded_channel();
    let arrived = Arc::<[AtomicUsize]>::from_iter((0..count).map(|_| AtomicUsize::new(0)));
    let mut readers = JoinSet::new();
    for tail in Tail::open_all(side, &path(prefix, 0), READERS).await? {
        readers.spawn(listen(tail, Arc::clone(&arrived), told.clone()));
    }
    let (mut writer, mut appends, mut body) = (side.connect().await?, Appends::new(prefix, 1, 1), Vec::new());
    let mut took = Vec::new();
    for n in 0..count {
        let start = Instant::now();
        writer.ask(appends.request(n), &mut body).await?;
        let end = tokio::select! {
            end = complete.recv() => end.ok_or("all readers have ended")?,
            Some(ended) = readers.join_next(), if n + 1 < count => return Err(format!("a reader ended: {ended:?}").into()),
        };
        took.push(end - start);
    }
    Ok(quantile(&mut took, 0.5))
}

/// Receives one message after the other; the last of all readers to do so tells when that was.
async fn listen(mut tail: Tail, arrived: Arc<[AtomicUsize]>, told: UnboundedSender<Instant>) -> Result<()> {
    for (n, arrived) in arrived.iter().enumerate() {
        tail.until(&mark(n as u64)).await?;
        if arrived.fetch_add(1, Relaxed) + 1 == READERS {
            let _ = told.send(Instant::now());
        }
    }
    Ok(())
}

const READERS: usize = 1000;
const WARM_UP: u64 = 20;
