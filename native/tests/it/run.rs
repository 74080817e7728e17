//! `reveille run`: a program as an agent, when all goes well and when it does not.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use hyper::Method;
use reveille::Server;
use reveille::reveille_core::Virtual;
use reveille::reveille_core::tenant::{ApiKeys, Authentication};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::client::{Answer, Client, World, eventually, world, world_over};
use crate::process::Process;

/// A directory with the program `agent` in it.
fn agent(script: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("agent");
    std::fs::write(&path, format!("#!/bin/sh\ncd {}\n{script}\n", directory.path().display())).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    directory
}

/// Runs the program for `worker` entities.
async fn run(server: &str, directory: &Path, more: &[&str]) -> Process {
    let program = directory.join("agent");
    let args = [&["run", "--type", "worker", "--server", server], more, &["--", program.to_str().unwrap()]].concat();
    let mut run = Process::start(&args);
    run.until("online", |line| line["event"] == "online").await;
    run
}

impl Client {
    async fn spawn(&self, entity: &str, body: &Json) -> Answer {
        let answer = self.request(Method::PUT, &format!("/_electric/entities{entity}"), &[], &body.to_string()).await;
        assert!(answer.is_ok(), "{answer:?}");
        answer
    }

    async fn send(&self, entity: &str, payload: Json) {
        let body = json!({ "payload": payload }).to_string();
        let answer = self.request(Method::POST, &format!("/_electric/entities{entity}/send"), &[], &body).await;
        assert!(answer.is_ok(), "{answer:?}");
    }

    async fn rows(&self, path: &str) -> Vec<Json> {
        serde_json::from_str(&self.get(path).await.text).unwrap()
    }

    async fn status(&self, entity: &str) -> Json {
        let answer = self.get(&format!("/_electric/entities{entity}")).await;
        serde_json::from_str::<Json>(&answer.text).unwrap()["status"].take()
    }

    /// What an entity has answered, run by run.
    async fn answers(&self, entity: &str) -> Vec<(String, String)> {
        let rows = self.rows(&format!("{entity}/main")).await;
        let ended = rows.iter().filter(|row| row["type"] == "run" && row["headers"]["operation"] == "update");
        let text = |run: &Json| {
            let deltas = rows.iter().filter(|row| row["type"] == "text_delta" && row["value"]["run_id"] == *run);
            deltas.filter_map(|row| row["value"]["delta"].as_str()).collect::<String>()
        };
        ended.map(|row| (row["value"]["status"].as_str().unwrap().to_owned(), text(&row["key"]))).collect()
    }

    /// Moves the virtual clock.
    async fn pass(&self, ms: u64) {
        let body = json!({ "advance_ms": ms }).to_string();
        let answer = self.request(Method::POST, "/_reveille/dev/clock", &[], &body).await;
        assert!(answer.is_ok(), "{answer:?}");
    }
}

/// A server whose clock only the test moves.
async fn timeless() -> World {
    world_over(|server| server.virtual_time(Virtual::default()), |driver| driver).await
}

fn completed(text: &str) -> (String, String) {
    ("completed".to_owned(), text.to_owned())
}

#[tokio::test]
async fn a_script_is_an_agent_and_its_parent_hears_the_answer() {
    let World { server, client, .. } = world().await;
    let parent = json!({ "name": "parent", "description": "waits" }).to_string();
    assert!(client.request(Method::POST, "/_electric/entity-types", &[], &parent).await.is_ok());
    let note = r#"{"type":"note","key":"n","value":{"n":12345678901234567890123},"headers":{"operation":"insert"}}"#;
    let script = format!("cat > wake.json\necho \"You said: $REVEILLE_MESSAGE\"\necho '{note}'\necho and more");
    let agent = agent(&script);
    let mut run = run(server.url(), agent.path(), &[]).await;
    client.spawn("/parent/p", &json!({})).await;
    let wake = json!({ "subscriberUrl": "/parent/p", "condition": "runFinished" });
    client.spawn("/worker/a", &json!({ "parent": "/parent/p", "initialMessage": "hello", "wake": wake })).await;
    let ended = run.event("completed", "/worker/a").await;
    assert_eq!(ended["lines"], 3);
    assert_eq!(client.status("/worker/a").await, "idle");

    let rows = client.rows("/worker/a/main").await;
    let kinds: Vec<&str> = rows.iter().filter_map(|row| row["type"].as_str()).collect();
    let want = "entity_created inbox run text text_delta note text_delta text run ack";
    assert_eq!(kinds.join(" "), want);
    assert_eq!(client.answers("/worker/a").await, [completed("You said: hello\nand more")]);
    assert!(client.get("/worker/a/main").await.text.contains("12345678901234567890123"), "appended as it is");
    let heard = client.rows("/parent/p/main").await.pop().unwrap();
    let child = json!({ "url": "/worker/a", "type": "worker", "run_status": "completed", "response": "You said: hello\nand more" });
    assert_eq!(heard["value"]["finished_child"], child);

    let given: Json = serde_json::from_slice(&std::fs::read(agent.path().join("wake.json")).unwrap()).unwrap();
    assert_eq!((&given["entity"]["url"], &given["epoch"]), (&json!("/worker/a"), &json!(1)));
    assert_eq!(given["events"][0]["value"]["payload"], "hello");
    assert!(!given.to_string().contains("oken"), "no secrets on standard input: {given}");

    run.signal("-TERM");
    assert!(run.end().await.success());
    let health = client.get("/_electric/runners/runner-worker/health").await.text;
    assert!(health.contains("\"claims_succeeded\":1") && health.contains("\"status\":\"stopped\""), "{health}");
}

#[tokio::test]
async fn an_exit_status_is_a_failed_run() {
    let World { server, client, .. } = world().await;
    let agent = agent("echo half an answer; echo the disk is full >&2; exit 3");
    let mut run = run(server.url(), agent.path(), &[]).await;
    client.spawn("/worker/a", &json!({ "initialMessage": "hello" })).await;
    let failed = run.event("failed", "/worker/a").await;
    assert_eq!(failed["error"], "exit status: 3: the disk is full");
    assert_eq!(client.answers("/worker/a").await, [("failed".to_owned(), "half an answer".to_owned())]);
    let rows = client.rows("/worker/a/main").await;
    let error = rows.iter().find(|row| row["type"] == "error").unwrap();
    assert_eq!(error["value"]["message"], "exit status: 3: the disk is full");
    assert_eq!(client.status("/worker/a").await, "idle", "and the message is not delivered again");
}

#[tokio::test]
async fn what_comes_while_it_runs_is_the_next_wake() {
    let World { server, client, .. } = world().await;
    let agent =
        agent("cat >> wakes; touch running; while [ ! -e go ]; do sleep 0.02; done; echo \"$REVEILLE_MESSAGE\"");
    let mut run = run(server.url(), agent.path(), &[]).await;
    client.spawn("/worker/a", &json!({ "initialMessage": "one" })).await;
    eventually("it runs", async || agent.path().join("running").exists()).await;
    client.send("/worker/a", json!("two")).await;
    client.send("/worker/a", json!({ "three": 3 })).await;
    std::fs::write(agent.path().join("go"), "").unwrap();
    run.event("completed", "/worker/a").await;
    run.event("completed", "/worker/a").await;
    assert_eq!(client.answers("/worker/a").await, [completed("one"), completed("{\"three\":3}")]);
    let wakes = std::fs::read_to_string(agent.path().join("wakes")).unwrap();
    let payloads = |line: &str| {
        let wake: Json = serde_json::from_str(line).unwrap();
        wake["events"].as_array().unwrap().iter().map(|e| e["value"]["payload"].clone()).collect::<Vec<_>>()
    };
    let payloads: Vec<Vec<Json>> = wakes.lines().map(payloads).collect();
    assert_eq!(payloads, [vec![json!("one")], vec![json!("two"), json!({ "three": 3 })]], "each once");
}

#[tokio::test]
async fn a_lost_lease_kills_the_program() {
    let World { server, client, .. } = timeless().await;
    let agent = agent(
        "if [ -e first ]; then echo second; exit; fi\ntouch first; while true; do echo tick; sleep 0.05; done & wait",
    );
    let mut run = run(server.url(), agent.path(), &[]).await;
    client.spawn("/worker/a", &json!({ "initialMessage": "hello" })).await;
    run.event("started", "/worker/a").await;
    client.pass(31_000).await;
    run.event("lost", "/worker/a").await;
    run.event("completed", "/worker/a").await;
    let answers = client.answers("/worker/a").await;
    assert_eq!(answers, [completed("second")], "the first run was left open");
    let processes = std::process::Command::new("sh").args(["-c", "ps -eo args"]).output().unwrap();
    let path = agent.path().join("agent").display().to_string();
    let left =
        String::from_utf8_lossy(&processes.stdout).lines().any(|l| l.starts_with("/bin/sh") && l.contains(&path));
    assert!(!left, "what the program started is dead");
}

#[tokio::test]
async fn work_of_a_runner_that_died_is_done_by_the_next() {
    let World { server, client, .. } = timeless().await;
    let agent = agent("if [ -e first ]; then echo second; exit; fi\ntouch first; sleep 30");
    let mut dead = run(server.url(), agent.path(), &[]).await;
    client.spawn("/worker/a", &json!({ "initialMessage": "hello" })).await;
    eventually("it runs", async || agent.path().join("first").exists()).await;
    dead.event("started", "/worker/a").await;
    dead.kill();
    let mut run = run(server.url(), agent.path(), &[]).await;
    client.pass(31_000).await;
    run.event("completed", "/worker/a").await;
    assert_eq!(client.answers("/worker/a").await, [completed("second")]);
}

#[tokio::test]
async fn a_server_that_restarts_is_waited_for() {
    let data = tempfile::tempdir().unwrap();
    let start = |port: &str| Process::start(&["dev", "--port", port, "--data-dir", data.path().to_str().unwrap()]);
    let mut server = start("0");
    let ready = server.until("ready", |line| line["ready"].is_string()).await;
    let url = ready["ready"].as_str().unwrap().to_owned();
    let client = Client::new(&url);
    let agent = agent("echo one; touch running; while [ ! -e go ]; do sleep 0.02; done; echo two; echo three");
    let mut run = run(&url, agent.path(), &[]).await;
    client.spawn("/worker/a", &json!({ "initialMessage": "hello" })).await;
    eventually("it runs", async || agent.path().join("running").exists()).await;
    server.kill();
    std::fs::write(agent.path().join("go"), "").unwrap();
    run.until("offline", |line| line["event"] == "offline").await;
    let mut server = start(url.rsplit(':').next().unwrap());
    server.until("ready", |line| line["ready"].is_string()).await;
    run.event("completed", "/worker/a").await;
    assert_eq!(client.answers("/worker/a").await, [completed("one\ntwo\nthree")], "nothing is missing, nothing twice");
    client.send("/worker/a", json!("again")).await;
    run.event("completed", "/worker/a").await;
}

#[tokio::test]
async fn a_signal_lets_programs_finish_and_a_second_gives_their_work_back() {
    let World { server, client, .. } = world().await;
    let agent = agent("touch running; while [ ! -e go ]; do sleep 0.02; done; echo done");
    let go = agent.path().join("go");
    let mut patient = run(server.url(), agent.path(), &[]).await;
    client.spawn("/worker/a", &json!({ "initialMessage": "hello" })).await;
    eventually("it runs", async || agent.path().join("running").exists()).await;
    patient.signal("-INT");
    patient.until("stopping", |line| line["event"] == "stopping" && line["busy"] == 1).await;
    std::fs::write(&go, "").unwrap();
    patient.event("completed", "/worker/a").await;
    assert!(patient.end().await.success());

    std::fs::remove_file(&go).unwrap();
    std::fs::remove_file(agent.path().join("running")).unwrap();
    let mut hasty = run(server.url(), agent.path(), &[]).await;
    client.send("/worker/a", json!("again")).await;
    eventually("it runs", async || agent.path().join("running").exists()).await;
    hasty.signal("-TERM");
    hasty.until("stopping", |line| line["event"] == "stopping").await;
    hasty.signal("-TERM");
    hasty.event("released", "/worker/a").await;
    assert!(hasty.end().await.success());
    assert_eq!(client.status("/worker/a").await, "idle");
    std::fs::write(&go, "").unwrap();
    let mut next = run(server.url(), agent.path(), &[]).await;
    next.event("completed", "/worker/a").await;
    assert_eq!(client.answers("/worker/a").await.len(), 2, "no lease had to be waited for");
}

#[tokio::test]
async fn a_production_server_is_called_with_a_key() {
    let keys = ApiKeys::parse("k3y user:alice").unwrap();
    let data = tempfile::tempdir().unwrap();
    let server = Server::serve(Authentication::ApiKeys(keys)).port(0).data_dir(data.path()).start().await.unwrap();
    let agent = agent("echo \"You said: $REVEILLE_MESSAGE\"");
    let key = agent.path().join("key");
    std::fs::write(&key, "k3y\n").unwrap();
    let mut run = run(server.url(), agent.path(), &["--api-key-file", key.to_str().unwrap()]).await;
    let (client, alice) = (Client::new(server.url()), ("authorization", "Bearer k3y"));
    let path = "/_electric/entities/worker/a";
    let spawned = client.request(Method::PUT, path, &[alice], "{\"initialMessage\":\"hello\"}").await;
    assert!(spawned.is_ok(), "{spawned:?}");
    run.event("completed", "/worker/a").await;
    let stream = client.request(Method::GET, "/worker/a/main", &[alice], "").await;
    assert!(stream.text.contains("You said: hello"), "{}", stream.text);

    let stranger = Process::start(&["run", "--type", "worker", "--server", server.url(), "--", "true"]);
    assert_eq!(stranger.end().await.code(), Some(1));
}

#[tokio::test]
async fn no_more_programs_run_at_once_than_was_asked_for() {
    let World { server, client, .. } = world().await;
    let agent = agent("echo + >> log; sleep 0.2; echo - >> log");
    let mut run = run(server.url(), agent.path(), &["--concurrency", "2"]).await;
    for entity in ["a", "b", "c", "d", "e"] {
        client.spawn(&format!("/worker/{entity}"), &json!({ "initialMessage": 1 })).await;
    }
    for _ in 0..5 {
        run.until("completed", |line| line["event"] == "completed").await;
    }
    let log = std::fs::read_to_string(agent.path().join("log")).unwrap();
    let mut running = 0;
    let most = log
        .lines()
        .map(|line| {
            running += if line == "+" { 1 } else { -1 };
            running
        })
        .max();
    assert_eq!(most, Some(2), "{log}");
}

#[tokio::test]
async fn mistakes_are_found_before_the_first_wake() {
    let World { server, client, .. } = world().await;
    let run = |args: &[&str]| Process::start(&[&["run", "--type", "worker", "--server", server.url()], args].concat());
    assert_eq!(run(&["--", "./no-such-program"]).end().await.code(), Some(2));
    assert_eq!(run(&["--api-key-file", "/no/such/file", "--", "true"]).end().await.code(), Some(2));
    assert_eq!(run(&["--principal", "nonsense", "--", "true"]).end().await.code(), Some(1), "the server refuses");

    let mut early = Process::start(&["run", "--type", "worker", "--server", "http://127.0.0.1:1", "--", "true"]);
    early.until("offline", |line| line["event"] == "offline").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    early.signal("-INT");
    assert!(early.end().await.success(), "it waits for a server, and for nobody when told to stop");

    let other = json!({ "name": "worker", "description": "by webhook", "serve_endpoint": "http://127.0.0.1:1/hook" });
    assert!(client.request(Method::POST, "/_electric/entity-types", &[], &other.to_string()).await.is_ok());
    let mut taken = run(&["--", "true"]);
    let ready = taken.until("ready", |line| line["event"] == "ready").await;
    assert_eq!(ready["taken_over_from"], "the webhook http://127.0.0.1:1/hook");
    client.spawn("/worker/a", &json!({ "initialMessage": 1 })).await;
    taken.event("completed", "/worker/a").await;
    let kept = client.get("/_electric/entity-types/worker").await.text;
    assert!(kept.contains("by webhook"), "{kept}");
}
