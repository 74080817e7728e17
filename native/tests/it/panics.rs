//! A command that panics is answered 500 and harms no other, not even in its own batch.

use std::sync::Arc;
use std::time::Duration;

use hyper::Method;

use crate::broken::{Broken, Switch};
use crate::client::world_over;
use crate::crowd::{appends, assert_honest};

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_among_appends_harms_none_of_them() {
    let switch = Arc::new(Switch::default());
    let inside = Arc::clone(&switch);
    let world = world_over(|server| server, move |driver| Broken::new(driver, &inside)).await;
    let client = &world.client;
    client.make("/calm").await;

    switch.shut();
    let panics = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        client.request(Method::POST, "/_reveille/dev/panic", &[], "").await
    };
    let open = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        switch.open();
    };
    let (fates, panicked, late, ()) =
        tokio::join!(appends(client, "/calm", 0..50, "early"), panics, appends(client, "/calm", 50..100, "late"), open);
    assert_eq!(panicked.status, 500, "{panicked:?}");
    let fates: Vec<_> = fates.into_iter().chain(late).collect();
    assert!(fates.iter().all(|(_, answer)| answer.is_ok()));
    assert_honest(client, "/calm", &fates).await;
    let metrics = client.get("/metrics").await.text;
    assert!(metrics.contains("reveille_panics_total 1\n"), "{metrics}");
    world.server.shutdown().await;
}
