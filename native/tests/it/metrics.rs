//! `/metrics`: what everyone will need, for those who may see it.

use hyper::Method;
use reveille::Server;
use reveille_core::tenant::{ApiKeys, Authentication};

use crate::client::{Client, world, world_over};

#[tokio::test(flavor = "multi_thread")]
async fn the_figures_are_there() {
    let world = world().await;
    world.client.make("/counted").await;
    let text = world.client.get("/metrics").await.text;
    for name in [
        "batch_commands_count",
        "batch_seconds_sum",
        "commit_seconds_count",
        "queue_depth",
        "timer_lag_seconds_count",
        "log_bytes",
        "deliveries_in_flight",
        "live_readers",
        "wakes_slowed_total",
        "wakes_suppressed_total",
        "panics_total",
        "failed_commits_total",
    ] {
        let line = text.lines().find(|line| line.starts_with(&format!("reveille_{name} ")));
        assert!(line.is_some(), "no {name} in\n{text}");
    }
    let commits = text.lines().find_map(|line| line.strip_prefix("reveille_commit_seconds_count ")).unwrap();
    assert!(commits.parse::<u64>().unwrap() >= 2, "{commits}");
    world.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_production_server_shows_them_to_its_callers_only() {
    let directory = tempfile::tempdir().unwrap();
    let auth = Authentication::ApiKeys(ApiKeys::parse("s3cret service:monitor").unwrap());
    let server = Server::serve(auth).port(0).data_dir(directory.path()).start().await.unwrap();
    let client = Client::new(server.url());
    assert_eq!(client.get("/metrics").await.status, 401);
    let known = client.request(Method::GET, "/metrics", &[("authorization", "Bearer s3cret")], "").await;
    assert_eq!(known.status, 200);
    assert!(known.text.contains("reveille_connections "), "{}", known.text);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_of_their_own_shows_them_to_whoever_reaches_it() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let world = world_over(|server| server.metrics_addr(free), |driver| driver).await;
    let apart = Client::new(&format!("http://{free}"));
    assert!(apart.get("/metrics").await.text.contains("reveille_queue_depth 0\n"));
    assert_eq!(apart.get("/_electric/health").await.status, 404);
    assert!(!world.client.get("/metrics").await.text.contains("reveille_queue_depth"));
    world.server.shutdown().await;
}
