//! The demo: what a newcomer sees, and what is there when the process is killed in the middle of it.

use std::path::Path;

use hyper::Method;
use serde_json::{Value as Json, json};

use crate::client::Client;
use crate::process::Process;

/// A demo that has said where its server is.
async fn start(directory: &Path) -> (Process, Client) {
    let mut demo = Process::start(&["demo", "--port", "0", "--data-dir", directory.to_str().unwrap()]);
    let ready = demo.until("ready", |line| line["ready"].is_string()).await;
    let client = Client::new(ready["ready"].as_str().unwrap());
    (demo, client)
}

async fn rows(client: &Client, entity: &str) -> Vec<Json> {
    let answer = client.get(&format!("{entity}/main")).await;
    serde_json::from_str(&answer.text).unwrap()
}

/// How many runs of an entity have finished.
async fn finished(client: &Client, entity: &str) -> usize {
    let done = |row: &&Json| row["type"] == "run" && row["value"]["status"] == "completed";
    rows(client, entity).await.iter().filter(done).count()
}

#[tokio::test]
async fn a_morning_is_told_as_it_happens() {
    let directory = tempfile::tempdir().unwrap();
    let (mut demo, client) = start(directory.path()).await;
    let end = demo.until("finished", |line| line["event"] == "finished").await;
    assert_eq!(
        (&end["entity"], &end["answer"]),
        (&json!("/planner/morning-1"), &json!("The coffee is brewed. The bread is toasted. The paper is here."))
    );
    let woken: Vec<String> = demo
        .events("woke")
        .iter()
        .map(|line| format!("{} {} {}", line["by"], line["entity"], line["why"]).replace("/morning-1", ""))
        .collect();
    for (wake, times) in [
        (r#""webhook" "/planner" ["the message \"Good morning!\""]"#, 1),
        (r#""runner" "/worker-coffee" ["its first message"]"#, 1),
        (r#""runner" "/worker-coffee" ["its timer of 1000 ms"]"#, 1),
        (r#""webhook" "/planner" ["/worker-coffee finished"]"#, 1),
        (r#""runner" "/worker-paper" ["its timer of 2200 ms"]"#, 1),
    ] {
        assert_eq!(woken.iter().filter(|line| *line == wake).count(), times, "{wake}: {woken:#?}");
    }
    assert!(demo.events("woke").iter().all(|line| line["after_ms"].as_u64().is_some_and(|ms| ms < 5000)));
    assert_eq!(demo.events("answered").len(), 3);
    assert_eq!(finished(&client, "/planner/morning-1").await, 1);

    // What it says to try next works.
    let summary = demo.until("summary", |line| line["event"] == "summary").await;
    let send = summary["try"][0].as_str().unwrap();
    let (url, body) = send.strip_prefix("curl -X POST ").and_then(|rest| rest.split_once(" -d ")).unwrap();
    let sent = Client::new(url).request(Method::POST, "", &[], body.trim_matches('\'')).await;
    assert!(sent.text.contains("txid"), "{send}: {}", sent.text);
    let woken = demo.event("woke", "/planner/morning-1").await;
    assert_eq!(woken["why"], json!(["the message \"Is it ready?\""]));

    // The planner believes nobody but the server.
    let planner = client.get("/_electric/entities/planner/morning-1").await;
    let planner: Json = serde_json::from_str(&planner.text).unwrap();
    let url = planner["dispatch_policy"]["targets"][0]["url"].as_str().unwrap();
    let stranger = Client::new(url).request(Method::POST, "", &[], "{}").await;
    assert_eq!(stranger.status, 401, "{}", stranger.text);

    demo.signal("-INT");
    assert!(demo.end().await.success());
    let (mut demo, _) = start(directory.path()).await;
    let next = demo.event("woke", "/planner/morning-2").await;
    assert_eq!(next["why"], json!(["the message \"Good morning!\""]), "a fresh one after one that finished");
}

#[tokio::test]
async fn a_demo_that_was_killed_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let (mut demo, _) = start(directory.path()).await;
    // Most likely nothing is claimed now; what is claimed goes on when its lease ends.
    let mut asleep = 0;
    while asleep < 4 {
        demo.until("everybody sleeps", |line| line["event"] == "sleeps").await;
        asleep += 1;
    }
    demo.kill();

    let (mut demo, client) = start(directory.path()).await;
    demo.event("goes_on", "/planner/morning-1").await;
    demo.event("finished", "/planner/morning-1").await;
    for entity in
        ["/planner/morning-1", "/worker/morning-1-coffee", "/worker/morning-1-bread", "/worker/morning-1-paper"]
    {
        assert_eq!(finished(&client, entity).await, 1, "{entity} has finished once");
    }
    let text: Vec<String> = rows(&client, "/planner/morning-1")
        .await
        .iter()
        .filter_map(|row| row["value"]["delta"].as_str().map(str::to_owned))
        .collect();
    for said in ["coffee is brewed", "bread is toasted", "paper is here"] {
        assert_eq!(text.iter().filter(|delta| delta.contains(said)).count(), 1, "{said}: {text:?}");
    }
}
