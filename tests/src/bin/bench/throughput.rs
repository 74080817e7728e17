//! Spawns and sends a second.

use std::sync::Arc;
use std::time::Duration;

use reveille_tests::Result;
use reveille_tests::client::Ask;
use reveille_tests::report::Unit;
use reveille_tests::server::Server;
use serde_json::json;

use crate::Setting;
use crate::load::{self, Command, Run};
use crate::receiver::{Agent, Receiver};
use crate::register::register;
use crate::report::{Figure, Report};

/// Measures both at each number of connections, on one store that grows.
pub(crate) async fn measure(setting: &Setting, spawns: bool, sends: bool, report: &mut Report) -> Result<()> {
    let data = setting.place.directory()?;
    let server = Server::start(&setting.place, data.path()).await?;
    let receiver = Receiver::start().await?;
    register(&server, "mute", None).await?;
    register(&server, "agent", Some(&receiver.url(Agent::Done))).await?;
    for (connections, reference, aim) in SPAWNS.into_iter().filter(|_| spawns) {
        let spawn = spawn("agent", format!("s{connections}-"));
        let run = load::run(setting, &server, &receiver, "spawn", connections, spawn).await?;
        report.figure(figure("spawns", &run, reference, aim));
        report.runs.push(run);
    }
    if sends {
        for kind in ["mute", "agent"] {
            load::all(&server, 16, ENTITIES, spawn(kind, "e".to_owned())).await?;
        }
        for (connections, reference, aim) in SENDS {
            let run = load::run(setting, &server, &receiver, "send", connections, send("mute")).await?;
            report.figure(figure("sends", &run, reference, aim));
            report.runs.push(run);
        }
        for (connections, reference, aim) in SENDS {
            let run = load::run(setting, &server, &receiver, "send + wake", connections, send("agent")).await?;
            report.figure(figure("sends that wake", &run, reference, aim));
            report.runs.push(run);
            quiet(&server).await?;
        }
    }
    server.stop().await
}

/// Spawns of a type, each of a new entity.
pub(crate) fn spawn(kind: &'static str, prefix: String) -> Command {
    let body = json!({ "args": { "task": "count the words of chapter one" }, "tags": { "team": "bench" } });
    let ask = Ask::put("", &body);
    Arc::new(move |n| Ask { path: format!("/_electric/entities/{kind}/{prefix}{n}"), ..ask.clone() })
}

/// Sends, to one entity after the other.
fn send(kind: &'static str) -> Command {
    let ask = Ask::post("", &json!({ "payload": { "text": "How many words has chapter one?" } }));
    Arc::new(move |n| Ask { path: format!("/_electric/entities/{kind}/e{}/send", n % ENTITIES), ..ask.clone() })
}

/// Waits until no delivery is under way any more.
async fn quiet(server: &Server) -> Result<()> {
    let mut connection = server.connect().await?;
    for _ in 0..200 {
        let answer = connection.expect(Ask::get("/metrics")).await?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        if text.lines().any(|line| line == "reveille_deliveries_in_flight 0") {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err("webhooks are still under way after 20 s".into())
}

fn figure(what: &str, run: &Run, reference: f64, aim: Option<f64>) -> Figure {
    let each = if run.connections == 1 { "connection" } else { "connections" };
    let name = format!("{what} a second, {} {each}", run.connections);
    let figure = Figure::new(name, run.answers.a_second, Unit::PerSecond).load(run.answers.between.load);
    figure.reference(reference).aim(aim.map(|times| times * reference))
}

/// How many entities the sends go to.
const ENTITIES: u64 = 1000;
/// Connections, what the reference reaches, and how many times that is the aim.
const SPAWNS: [(usize, f64, Option<f64>); 3] = [(1, 86.0, None), (16, 203.0, Some(20.0)), (64, 225.0, Some(30.0))];
const SENDS: [(usize, f64, Option<f64>); 3] = [(1, 125.0, None), (16, 247.0, Some(20.0)), (64, 263.0, Some(30.0))];
