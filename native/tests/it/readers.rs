//! Reads run beside the writer and never wait for it.

use std::sync::Arc;
use std::time::Duration;

use crate::broken::{Broken, Switch};
use crate::client::world_over;

#[tokio::test(flavor = "multi_thread")]
async fn a_read_does_not_wait_for_the_writer() {
    let switch = Arc::new(Switch::default());
    let inside = Arc::clone(&switch);
    let world = world_over(|server| server, move |driver| Broken::new(driver, &inside)).await;
    let client = &world.client;
    client.make("/read").await;
    client.append("/read", "committed").await;
    switch.shut();
    let write = tokio::spawn({
        let client = client.clone();
        async move { client.append("/read", "held up").await }
    });
    for path in ["/read?offset=-1", "/_electric/health", "/_electric/entities"] {
        let answer = tokio::time::timeout(Duration::from_secs(5), client.get(path)).await;
        assert_eq!(answer.unwrap_or_else(|_| panic!("{path} waits")).status, 200, "{path}");
    }
    assert_eq!(client.get("/read?offset=-1").await.text, "committed\n");
    switch.open();
    assert!(write.await.unwrap().is_ok());
    assert_eq!(client.get("/read?offset=-1").await.text, "committed\nheld up\n");
    world.server.shutdown().await;
}
