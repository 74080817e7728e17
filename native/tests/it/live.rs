//! Live reads: what is appended arrives at once, and who leaves is forgotten.

use std::time::Duration;

use crate::client::{Raw, World, eventually, world};

fn follow(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n\r\n")
}

async fn live_readers(world: &World, count: usize) {
    let line = format!("reveille_live_readers {count}\n");
    eventually(&line, async || world.client.get("/metrics").await.text.contains(&line)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_stream_carries_what_is_appended() {
    let world = world().await;
    world.client.make("/news").await;
    world.client.append("/news", "first").await;
    let mut raw = Raw::open(&world.server, &follow("/news?offset=-1&live=sse")).await;
    let head = raw.until("data:first").await;
    assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("text/event-stream"), "{head}");
    assert!(!head.to_lowercase().contains("content-length"), "{head}");
    for line in ["second", "third", "fourth"] {
        world.client.append("/news", line).await;
        raw.until(&format!("data:{line}")).await;
    }
    world.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_poll_answers_as_soon_as_something_comes() {
    let world = world().await;
    world.client.make("/poll").await;
    let tail = world.client.append("/poll", "old").await.headers["stream-next-offset"].to_str().unwrap().to_owned();
    let path = format!("/poll?offset={tail}&live=long-poll");
    let poll = tokio::spawn({
        let client = world.client.clone();
        async move { client.get(&path).await }
    });
    live_readers(&world, 1).await;
    world.client.append("/poll", "new").await;
    let answer = tokio::time::timeout(Duration::from_secs(5), poll).await.unwrap().unwrap();
    assert_eq!((answer.status, answer.text.as_str()), (200, "new\n"));
    live_readers(&world, 0).await;
    world.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_leaves_is_forgotten() {
    let world = world().await;
    world.client.make("/left").await;
    let mut readers = Vec::new();
    for path in ["/left?offset=now&live=sse", "/left?offset=now&live=long-poll"] {
        readers.push(Raw::open(&world.server, &follow(path)).await);
    }
    live_readers(&world, 2).await;
    drop(readers);
    live_readers(&world, 0).await;
    world.server.shutdown().await;
}

/// A mailbox holds a few notifications; a reader that was not asked for its bytes for longer reads the store instead.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_misses_nothing() {
    let world = world().await;
    world.client.make("/busy").await;
    let mut raw = Raw::open(&world.server, &follow("/busy?offset=-1&live=sse")).await;
    raw.until("event: control").await;
    let last = 2000;
    for number in 0..=last {
        assert!(world.client.append("/busy", &format!("line-{number}-{}", "y".repeat(2000))).await.is_ok());
    }
    let all = raw.until(&format!("data:line-{last}-")).await;
    let mut at = 0;
    for number in 0..=last {
        let line = format!("line-{number}-");
        at += all[at..].find(&line).unwrap_or_else(|| panic!("{line} is missing or out of order"));
    }
    world.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shutting_down_ends_live_reads() {
    let world = world().await;
    world.client.make("/end").await;
    let mut events = Raw::open(&world.server, &follow("/end?offset=now&live=sse")).await;
    let mut poll = Raw::open(&world.server, &follow("/end?offset=now&live=long-poll")).await;
    live_readers(&world, 2).await;
    let stopped = tokio::time::timeout(Duration::from_secs(5), world.server.shutdown());
    let (stopped, answer, ()) = tokio::join!(stopped, poll.until("\r\n\r\n"), events.closed());
    assert!(stopped.is_ok(), "live reads held the server up");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
}
