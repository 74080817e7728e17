//! Timers run by themselves, when they are due: one that panics stops no other, and a restart stops none.

use std::time::{Duration, Instant};

use hyper::Method;
use reveille::Server;

use crate::client::{Client, eventually, world};

async fn arm(client: &Client, body: &str) {
    let json = [("content-type", "application/json")];
    let answer = client.request(Method::POST, "/_reveille/dev/timer", &json, body).await;
    assert!(answer.is_ok(), "{answer:?}");
}

async fn figure(client: &Client, name: &str) -> f64 {
    let text = client.get("/metrics").await.text;
    text.lines().find_map(|line| line.strip_prefix(&format!("reveille_{name} "))).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timer_runs_when_it_is_due() {
    let world = world().await;
    let start = Instant::now();
    arm(&world.client, r#"{"in_ms":300}"#).await;
    arm(&world.client, r#"{"in_ms":3600000}"#).await;
    eventually("the timer runs", async || figure(&world.client, "timers_total").await == 1.0).await;
    assert!(start.elapsed() >= Duration::from_millis(300), "it ran after {:?}", start.elapsed());
    let lag = figure(&world.client, "timer_lag_seconds_sum").await;
    assert!(lag < 1.0, "it ran {lag} s late");
    world.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timer_that_panics_stops_no_other() {
    let world = world().await;
    arm(&world.client, r#"{"in_ms":50,"panic":true}"#).await;
    for _ in 0..3 {
        arm(&world.client, r#"{"in_ms":100}"#).await;
    }
    eventually("all have run", async || figure(&world.client, "timers_total").await >= 4.0).await;
    assert!(figure(&world.client, "timer_failures_total").await >= 1.0);
    assert_eq!(world.client.get("/_electric/health").await.status, 200);
    world.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timer_that_falls_due_while_the_server_is_down_runs_at_its_start() {
    let world = world().await;
    arm(&world.client, r#"{"in_ms":200}"#).await;
    world.server.shutdown().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let again = Server::dev().port(0).data_dir(world.directory.path()).start().await.unwrap();
    let client = Client::new(again.url());
    eventually("the timer runs", async || figure(&client, "timers_total").await == 1.0).await;
    again.shutdown().await;
}

/// A backlog runs in ticks that let requests in between.
#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_of_timers_is_worked_off() {
    let world = world().await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..300 {
        let client = world.client.clone();
        tasks.spawn(async move { arm(&client, r#"{"in_ms":300}"#).await });
    }
    tasks.join_all().await;
    eventually("all have run", async || figure(&world.client, "timers_total").await == 300.0).await;
    world.server.shutdown().await;
}
