//! From a send to the webhook's arrival, beside the time of one disk sync.

use std::time::{Duration, Instant};

use reveille_tests::Result;
use reveille_tests::client::Ask;
use reveille_tests::machine::{self, quantile};
use reveille_tests::report::Unit;
use reveille_tests::server::Server;
use serde_json::json;

use crate::Setting;
use crate::disk::Disk;
use crate::receiver::{Agent, Receiver};
use crate::register::register;
use crate::report::{Figure, Report};

/// One send at a time, and one disk sync beside each, so that both see the same machine.
pub(crate) async fn measure(setting: &Setting, report: &mut Report) -> Result<()> {
    let data = setting.place.directory()?;
    let server = Server::start(&setting.place, data.path()).await?;
    let mut receiver = Receiver::start().await?;
    let mut disk = Disk::open(data.path())?;
    let mut connection = server.connect().await?;
    register(&server, "agent", Some(&receiver.url(Agent::Told))).await?;
    for n in 0..ENTITIES {
        connection.expect(Ask::put(format!("/_electric/entities/agent/{n}"), &json!({}))).await?;
    }
    let ask = Ask::post("", &json!({ "payload": { "text": "How many words has chapter one?" } }));
    let mut samples: [Vec<Duration>; 4] = Default::default();
    for n in 0..setting.samples + WARM_UP {
        let ask = Ask { path: format!("/_electric/entities/agent/{}/send", n % ENTITIES), ..ask.clone() };
        let start = Instant::now();
        connection.expect(ask).await?;
        let answered = start.elapsed();
        let arrived = receiver.next().await?.at.saturating_duration_since(start);
        // The outcome of the webhook is a commit of its own: it is no part of the next sample.
        tokio::time::sleep(PAUSE).await;
        let sample = [arrived, answered, disk.append()?, disk.overwrite()?];
        if n >= WARM_UP {
            samples.iter_mut().zip(sample).for_each(|(all, one)| all.push(one));
        }
    }
    let load = machine::load();
    for (q, name, reference) in [(0.5, "p50", 0.012), (0.99, "p99", 0.027)] {
        let [arrived, answered, append, overwrite] = samples.each_mut().map(|all| quantile(all, q).as_secs_f64());
        let figure = |what: &str, value| Figure::new(format!("{what}, {name}"), value, Unit::Seconds).load(load);
        report.figure(figure("send to webhook", arrived).reference(reference).aim(Some(append + 0.002)));
        report.figure(figure("send to answer", answered));
        report.figure(figure("disk sync, 4 KB appended", append));
        report.figure(figure("disk sync, 4 KB overwritten", overwrite));
    }
    server.stop().await
}

const ENTITIES: usize = 100;
const WARM_UP: usize = 50;
const PAUSE: Duration = Duration::from_millis(8);
