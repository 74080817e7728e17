//! Bodies that never end, come too slowly or are too large get their 408 or 413 and hold nobody up.

use std::time::{Duration, Instant};

use crate::client::{Raw, World, eventually, world_over};

async fn impatient() -> World {
    world_over(|server| server.body_silence(Duration::from_millis(300)), |driver| driver).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stops_coming_is_answered_408() {
    let world = impatient().await;
    world.client.make("/slow").await;
    let start = Instant::now();
    let head = "POST /slow HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\ncontent-length: 100\r\n\r\nonly this";
    let mut raw = Raw::open(&world.server, head).await;
    let answer = raw.until("\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(start.elapsed() < Duration::from_secs(3), "it took {:?}", start.elapsed());
    raw.closed().await;
}

/// Readers that asked for much and took nothing kept it in the server's memory for as long as they liked.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_takes_nothing_is_let_go() {
    let world = world_over(|server| server.write_stall(Duration::from_millis(300)), |driver| driver).await;
    world.client.make("/much").await;
    for _ in 0..3 {
        assert!(world.client.append("/much", &"x".repeat(7 << 20)).await.is_ok());
    }
    let head = "GET /much?offset=-1&live=sse HTTP/1.1\r\nhost: x\r\n\r\n";
    let stalled = [Raw::open(&world.server, head).await, Raw::open(&world.server, head).await];
    let readers = async || world.client.get("/metrics").await.text;
    eventually("they read", async || readers().await.contains("reveille_live_readers 2")).await;
    eventually("they are let go", async || readers().await.contains("reveille_live_readers 0")).await;
    drop(stalled);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_drips_for_ever_is_answered_408() {
    let world = impatient().await;
    world.client.make("/drip").await;
    let start = Instant::now();
    let head = "POST /drip HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut raw = Raw::open(&world.server, head).await;
    for _ in 0..40 {
        raw.send("1\r\nx\r\n").await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let answer = raw.until("\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(start.elapsed() < Duration::from_secs(5), "it took {:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_says_it_is_too_large_is_not_read() {
    let world = impatient().await;
    let head = "POST /_electric/wake HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99999999\r\n\r\n";
    let mut raw = Raw::open(&world.server, head).await;
    let answer = raw.until("\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_turns_out_too_large_is_answered_413_while_it_still_comes() {
    let world = impatient().await;
    let head = "POST /_electric/wake HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut raw = Raw::open(&world.server, head).await;
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    for _ in 0..40 {
        raw.send(&chunk).await;
    }
    raw.send("0\r\n\r\n").await;
    let answer = raw.until("\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert_eq!(world.client.get("/_electric/health").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_expectation_is_not_told_to_go_on() {
    let world = impatient().await;
    let head = "POST /_electric/wake HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 99999999\r\n\r\n";
    let answer = Raw::open(&world.server, head).await.until("\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_not_http_is_answered_400() {
    let world = impatient().await;
    let head = "POST /x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nnot a chunk\r\n";
    let answer = Raw::open(&world.server, head).await.until("\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}
