//! What registrations cost: those on other sources, which an append must not feel; and very many on one source, of whom
//! each is told, while everybody else goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use hyper::Method;
use reveille_tests::Result;
use reveille_tests::client::{Ask, Connection};
use reveille_tests::machine::{self, quantile};
use reveille_tests::progress::Progress;
use reveille_tests::report::Unit;
use reveille_tests::server::Server;
use serde_json::{Value as Json, json};

use crate::Setting;
use crate::disk::Disk;
use crate::load;
use crate::register::register;
use crate::report::{Figure, Report};

/// An append to a source that one entity observes in vain, beside more and more registrations on others.
pub(crate) async fn beside(setting: &Setting, report: &mut Report) -> Result<()> {
    let data = setting.place.directory()?;
    let server = Server::start(&setting.place, data.path()).await?;
    let progress = Progress::new();
    let mut connection = server.connect().await?;
    register(&server, "mute", None).await?;
    connection.expect(Ask::put("/_electric/entities/mute/it", &json!({}))).await?;
    connection.expect(Ask::put("/source", &json!([]))).await?;
    connection.expect(observe("it", "/source", "other", "key")).await?;
    let mut there = 0;
    for (count, command) in BESIDE {
        if count > setting.most_beside {
            break;
        }
        progress.say(&format!("{} registrations", count - there));
        spawn(&server, there / HELD..count / HELD).await?;
        let first = there;
        let ask = move |n: u64| {
            let n = first + n;
            observe(&(n / HELD).to_string(), &format!("/elsewhere/{n}"), "other", &n.to_string())
        };
        load::all(&server, CONNECTIONS, count - there, Arc::new(ask)).await?;
        there = count;
        let mut took = Vec::new();
        for n in 0..WARM_UP + setting.samples {
            let append = append(n as u64, "note");
            let start = Instant::now();
            let answer = connection.expect(append).await?;
            match n {
                0 => report.costs.push(answer.cost(command)?),
                WARM_UP.. => took.push(start.elapsed()),
                _ => {}
            }
        }
        let load = machine::load();
        for (q, quantile_name) in [(0.5, "p50"), (0.99, "p99")] {
            let name = format!("{command}, {quantile_name}");
            report.figure(Figure::new(name, quantile(&mut took, q).as_secs_f64(), Unit::Seconds).load(load));
        }
    }
    server.stop().await
}

/// One append that very many observe: until the last is told, and what everybody else waits meanwhile.
pub(crate) async fn told(setting: &Setting, report: &mut Report) -> Result<()> {
    for count in SUBSCRIBERS {
        let data = setting.place.directory()?;
        let server = Server::start(&setting.place, data.path()).await?;
        let mut disk = Disk::open(data.path())?;
        let mut connection = server.connect().await?;
        register(&server, "mute", None).await?;
        spawn(&server, 0..count).await?;
        connection.expect(Ask::put("/_electric/entities/mute/busy", &json!({}))).await?;
        connection.expect(Ask::put("/source", &json!([]))).await?;
        let ask = |n: u64| observe(&n.to_string(), "/source", "note", "key");
        load::all(&server, CONNECTIONS, count, Arc::new(ask)).await?;
        // Told in the order of their registrations, so this one is the last.
        connection.expect(Ask::put("/_electric/entities/mute/last", &json!({}))).await?;
        connection.expect(observe("last", "/source", "note", "key")).await?;
        let tail = tail(&mut connection).await?;
        let before = server.resident()?;
        let over = Arc::new(AtomicBool::new(false));
        let others = tokio::spawn(others(server.connect().await?, Arc::clone(&over)));
        tokio::time::sleep(Duration::from_millis(200)).await;
        let start = Instant::now();
        connection.expect(append(0, "note")).await?;
        let answered = start.elapsed();
        while self::tail(&mut connection).await? == tail {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let all = start.elapsed();
        over.store(true, Relaxed);
        let mut waited = others.await??;
        let grown = server.resident()?.saturating_sub(before);
        let mut syncs = (0..SYNCS).map(|_| disk.append()).collect::<Result<Vec<_>>>()?;
        let aim = 0.025 + quantile(&mut syncs, 0.99).as_secs_f64();
        let load = machine::load();
        let figure = |what: &str, value: f64, unit| Figure::new(format!("{what}, {count} subscribers"), value, unit);
        report.figure(figure("append to answer", answered.as_secs_f64(), Unit::Seconds).load(load));
        report.figure(figure("append until all are told", all.as_secs_f64(), Unit::Seconds).load(load));
        let p99 = quantile(&mut waited, 0.99).as_secs_f64();
        report.figure(figure("everyone else's send meanwhile, p99", p99, Unit::Seconds).load(load).aim(Some(aim)));
        report.figure(figure("memory that this took", grown as f64, Unit::Bytes));
        server.stop().await?;
    }
    Ok(())
}

/// Sends to an entity that observes nothing, one after the other; how long each took.
async fn others(mut connection: Connection, over: Arc<AtomicBool>) -> Result<Vec<Duration>> {
    let send = Ask::post("/_electric/entities/mute/busy/send", &json!({ "payload": 1 }));
    let mut took = Vec::new();
    while !over.load(Relaxed) {
        let start = Instant::now();
        connection.expect(send.clone()).await?;
        took.push(start.elapsed());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(took)
}

/// Where the stream of the last subscriber ends.
async fn tail(connection: &mut Connection) -> Result<String> {
    let ask = Ask::new(Method::HEAD, "/mute/last/main", &Json::Null);
    Ok(connection.expect(ask).await?.header("stream-next-offset").to_owned())
}

async fn spawn(server: &Server, which: std::ops::Range<u64>) -> Result<()> {
    let first = which.start;
    let ask = move |n: u64| Ask::put(format!("/_electric/entities/mute/{}", first + n), &json!({}));
    load::all(server, CONNECTIONS, which.end - first, Arc::new(ask)).await
}

fn observe(subscriber: &str, source: &str, collection: &str, key: &str) -> Ask {
    let condition = json!({ "on": "change", "collections": [collection] });
    let subscriber = format!("/mute/{subscriber}");
    let body = json!({ "subscriberUrl": subscriber, "sourceUrl": source, "condition": condition, "manifestKey": key });
    Ask::post("/_electric/wake", &body)
}

fn append(n: u64, kind: &str) -> Ask {
    let event =
        json!({ "type": kind, "key": n.to_string(), "value": { "n": n }, "headers": { "operation": "insert" } });
    Ask::post("/source", &json!([event]))
}

/// How many registrations there are on other sources, and what an append is called beside them.
const BESIDE: [(u64, &str); 4] = [
    (0, "append, no other registration"),
    (100, "append, 100 other registrations"),
    (10_000, "append, 10,000 other registrations"),
    (1_000_000, "append, 1,000,000 other registrations"),
];
/// How many registrations one entity holds.
const HELD: u64 = 100;
const SUBSCRIBERS: [u64; 3] = [100, 1_000, 10_000];
const CONNECTIONS: usize = 64;
const WARM_UP: usize = 50;
const SYNCS: usize = 100;
