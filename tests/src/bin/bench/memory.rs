//! Time to the first healthy answer, resident memory, and bytes on disk: on an empty store, and with many entities.

use std::time::Duration;

use reveille_tests::Result;
use reveille_tests::machine::{self, on_disk, quantile};
use reveille_tests::report::Unit;
use reveille_tests::server::Server;
use tempfile::TempDir;

use crate::register::register;
use crate::report::{Figure, Report};
use crate::throughput::spawn;
use crate::{Setting, load};

/// Starts on new stores, fills one, starts on that.
pub(crate) async fn measure(setting: &Setting, report: &mut Report) -> Result<()> {
    let mut starts = Vec::new();
    for _ in 0..setting.starts {
        let data = setting.place.directory()?;
        let server = Server::start(&setting.place, data.path()).await?;
        starts.push(server.healthy_after);
        server.stop().await?;
    }
    healthy(report, "healthy, empty store", &mut starts, Some(1.2), None);

    let data = setting.place.directory()?;
    let server = Server::start(&setting.place, data.path()).await?;
    tokio::time::sleep(REST).await;
    let idle = server.resident()? as f64;
    report.figure(bytes("resident, idle", idle).reference(174e6).aim(Some(40e6)));
    // Nobody sends to these entities, so nobody listens there.
    register(&server, "agent", Some("http://127.0.0.1:9/")).await?;
    let server = restarted(setting, server, &data).await?;
    let (small, empty) = (server.resident()? as f64, on_disk(data.path())? as f64);
    load::all(&server, 16, ENTITIES, spawn("agent", "e".to_owned())).await?;
    tokio::time::sleep(REST).await;
    let full = server.resident()? as f64;
    report.figure(bytes("resident, after spawning 10,000 entities", full));
    report.figure(bytes("resident an entity, caches included", (full - small) / ENTITIES as f64).reference(24e3));

    let mut crashed = Vec::new();
    let mut server = server;
    for _ in 0..setting.starts {
        server.crash().await?;
        server = Server::start(&setting.place, data.path()).await?;
        crashed.push(server.healthy_after);
    }
    server.stop().await?;
    report.figure(bytes("on disk an entity", (on_disk(data.path())? as f64 - empty) / ENTITIES as f64));
    let mut stopped = Vec::new();
    let mut resident = 0;
    for _ in 0..setting.starts {
        let server = Server::start(&setting.place, data.path()).await?;
        stopped.push(server.healthy_after);
        tokio::time::sleep(REST).await;
        resident = server.resident()?;
        server.stop().await?;
    }
    report.figure(bytes("resident, started with 10,000 entities", resident as f64));
    healthy(report, "healthy, 10,000 entities", &mut stopped, Some(14.0), Some(0.1));
    healthy(report, "healthy, 10,000 entities, after kill -9", &mut crashed, Some(14.0), Some(0.1));
    Ok(())
}

async fn restarted(setting: &Setting, server: Server, data: &TempDir) -> Result<Server> {
    server.stop().await?;
    let server = Server::start(&setting.place, data.path()).await?;
    tokio::time::sleep(REST).await;
    Ok(server)
}

/// The median of some starts.
fn healthy(report: &mut Report, name: &str, starts: &mut [Duration], reference: Option<f64>, aim: Option<f64>) {
    let median = quantile(starts, 0.5).as_secs_f64();
    let mut figure = Figure::new(name.to_owned(), median, Unit::Seconds).load(machine::load()).aim(aim);
    figure.reference = reference;
    report.figure(figure);
}

fn bytes(name: &str, value: f64) -> Figure {
    Figure::new(name.to_owned(), value, Unit::Bytes).load(machine::load())
}

const ENTITIES: u64 = 10_000;
/// How long after a start or a load memory is looked at.
const REST: Duration = Duration::from_secs(1);
