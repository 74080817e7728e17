//! Lists and shapes of very many entities: a page, a snapshot, and one change that reaches very many live readers.

use std::time::{Duration, Instant};

use hyper::Method;
use reveille_tests::Result;
use reveille_tests::client::{Answer, Ask, Connection};
use reveille_tests::machine::{self, quantile};
use reveille_tests::progress::Progress;
use reveille_tests::report::Unit;
use reveille_tests::server::Server;
use serde_json::{Value as Json, json};

use crate::register::register;
use crate::report::{Figure, Report};
use crate::throughput::spawn;
use crate::{Setting, load};

/// Spawns many entities, as the system and as a user, and reads them in every way.
pub(crate) async fn measure(setting: &Setting, report: &mut Report) -> Result<()> {
    let data = setting.place.directory()?;
    let server = Server::start(&setting.place, data.path()).await?;
    let count = setting.entities;
    let progress = Progress::new();
    progress.say(&format!("{count} entities"));
    register(&server, "mute", None).await?;
    load::all(&server, 64, count, spawn("mute", "e".to_owned())).await?;
    progress.say("reading them");
    let mut connection = server.connect().await?;
    let figure = |name: &str, value: f64, unit| {
        Figure::new(format!("{name}, {count} entities"), value, unit).load(machine::load())
    };

    let mut pages = Vec::new();
    for _ in 0..20 {
        let start = Instant::now();
        connection.expect(Ask::get("/_electric/entities?limit=100")).await?;
        pages.push(start.elapsed());
    }
    report.figure(figure("a page of 100 of the list, p50", quantile(&mut pages, 0.5).as_secs_f64(), Unit::Seconds));

    let before = server.resident()?;
    let start = Instant::now();
    let (place, bytes, pieces) = snapshot(&mut connection).await?;
    let took = start.elapsed();
    report.figure(figure("a snapshot of a shape", took.as_secs_f64(), Unit::Seconds));
    report.figure(figure("its size", bytes as f64, Unit::Bytes));
    report.figure(figure("its longest piece", pieces.as_secs_f64(), Unit::Seconds));
    let grown = server.resident()?.saturating_sub(before);
    report.figure(figure("memory that it took", grown as f64, Unit::Bytes));

    let before = server.resident()?;
    let mut told = reach(&server, &mut connection, &place).await?;
    for (q, name) in [(0.5, "p50"), (1.0, "the last")] {
        let name = format!("one change until {READERS} live readers have it, {name}");
        report.figure(figure(&name, quantile(&mut told, q).as_secs_f64(), Unit::Seconds));
    }
    let grown = server.resident()?.saturating_sub(before);
    report.figure(figure(&format!("memory that {READERS} live readers took"), grown as f64, Unit::Bytes));
    server.stop().await
}

/// Reads a shape whole: where a live question goes on from, how many bytes it was, and how long its longest piece took.
async fn snapshot(connection: &mut Connection) -> Result<(String, usize, Duration)> {
    let (mut place, mut bytes, mut longest) = ("offset=-1".to_owned(), 0, Duration::ZERO);
    loop {
        let start = Instant::now();
        let answer = connection.expect(Ask::get(format!("{SHAPE}&{place}"))).await?;
        longest = longest.max(start.elapsed());
        bytes += answer.body.len();
        place = next(&answer);
        if answer.headers.contains_key("electric-up-to-date") {
            return Ok((place, bytes, longest));
        }
    }
}

fn next(answer: &Answer) -> String {
    format!("offset={}&handle={}", answer.header("electric-offset"), answer.header("electric-handle"))
}

/// How long after a change each of many live readers has it.
async fn reach(server: &Server, connection: &mut Connection, place: &str) -> Result<Vec<Duration>> {
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let mut reader = server.connect().await?;
        let live = Ask::new(Method::GET, format!("{SHAPE}&{place}&live=true&cursor="), &Json::Null);
        readers.push(tokio::spawn(async move {
            let answer = reader.expect(live).await?;
            Ok::<_, reveille_tests::Failure>((Instant::now(), answer))
        }));
    }
    waiting(connection, READERS).await?;
    let start = Instant::now();
    connection.expect(Ask::post("/_electric/entities/mute/e0/tags/k", &json!({ "value": "v" }))).await?;
    let mut told = Vec::new();
    for reader in readers {
        let (at, answer) = reader.await??;
        if answer.json()?.as_array().is_none_or(|messages| messages.len() != 2) {
            return Err(answer.unexpected("a live reader").into());
        }
        told.push(at.saturating_duration_since(start));
    }
    Ok(told)
}

/// Waits until so many live readers wait.
async fn waiting(connection: &mut Connection, count: usize) -> Result<()> {
    let all = format!("reveille_live_readers {count}");
    loop {
        let answer = connection.expect(Ask::get("/metrics")).await?;
        if String::from_utf8_lossy(&answer.body).lines().any(|line| line == all) {
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
}

const SHAPE: &str = "/_electric/electric/v1/shape?table=entities";
const READERS: usize = 1000;
