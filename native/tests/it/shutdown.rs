//! Shutting down answers what was accepted, and what was answered is there at the next start.

use std::sync::Arc;
use std::time::Duration;

use reveille::Server;

use crate::broken::{Broken, Switch};
use crate::client::{Client, world_over};
use crate::crowd::{appends, assert_honest};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_is_answered_and_kept() {
    let switch = Arc::new(Switch::default());
    let inside = Arc::clone(&switch);
    let world = world_over(|server| server, move |driver| Broken::new(driver, &inside)).await;
    let client = world.client.clone();
    client.make("/last").await;
    switch.shut();
    let crowd = tokio::spawn(async move { appends(&client, "/last", 0..100, "words").await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let address = world.server.address();
    let stopping = tokio::spawn(world.server.shutdown());
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "it still accepts connections");
    switch.open();
    let fates = crowd.await.unwrap();
    assert!(fates.iter().all(|(_, answer)| answer.is_ok()), "something accepted was not answered");
    tokio::time::timeout(Duration::from_secs(10), stopping).await.unwrap().unwrap();

    let log = std::fs::metadata(world.directory.path().join("reveille.sqlite-wal")).map_or(0, |log| log.len());
    assert_eq!(log, 0, "the log was folded into the database");
    let again = Server::dev().port(0).data_dir(world.directory.path()).start().await.unwrap();
    assert_honest(&Client::new(again.url()), "/last", &fates).await;
    again.shutdown().await;
}
