//! The disk fills up, a commit fails: no acknowledged command is missing, no refused one is present, and the engine goes
//! on once there is space again. A batch is all or nothing towards the disk (design, section 5).

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use crate::broken::{Broken, Switch};
use crate::client::{World, world_over};
use crate::crowd::{appends, assert_honest};

async fn broken(switch: &Arc<Switch>) -> World {
    let switch = Arc::clone(switch);
    world_over(|server| server, move |driver| Broken::new(driver, &switch)).await
}

/// Lets `crowd` gather behind the gate, so that it runs as few batches.
async fn together<T>(switch: &Switch, crowd: impl Future<Output = T>) -> T {
    switch.shut();
    let open = async {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        switch.open();
    };
    tokio::join!(crowd, open).0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_and_loses_nothing() {
    let switch = Arc::new(Switch::default());
    let inside = Arc::clone(&switch);
    let world = world_over(|server| server, move |driver| Broken::cramped(driver, &inside, 150)).await;
    let client = &world.client;
    client.make("/full").await;
    let mut fates = Vec::new();
    for round in 0..6 {
        fates.extend(appends(client, "/full", round * 40..(round + 1) * 40, &"x".repeat(4000)).await);
    }
    let refused: Vec<_> = fates.iter().filter(|(_, answer)| !answer.is_ok()).collect();
    assert!(fates[0].1.is_ok() && !refused.is_empty(), "{} of {} refused", refused.len(), fates.len());
    for (_, answer) in refused {
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.headers.contains_key("retry-after"));
    }
    assert_honest(client, "/full", &fates).await;

    switch.space.store(true, SeqCst);
    fates.extend(appends(client, "/full", 1000..1010, "after").await);
    assert!(fates.iter().rev().take(10).all(|(_, answer)| answer.is_ok()));
    assert_honest(client, "/full", &fates).await;
    world.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_fails_fails_its_whole_batch_and_no_other() {
    let switch = Arc::new(Switch::default());
    let world = broken(&switch).await;
    let client = &world.client;
    client.make("/commit").await;
    let mut fates = appends(client, "/commit", 0..20, "before").await;
    switch.fail_commit.store(true, SeqCst);
    let failed = together(&switch, appends(client, "/commit", 20..60, "during")).await;
    assert!(failed.iter().any(|(_, answer)| answer.status == 503), "the commit did not fail");
    fates.extend(failed);
    fates.extend(appends(client, "/commit", 60..80, "after").await);
    assert!(fates.iter().rev().take(20).all(|(_, answer)| answer.is_ok()));
    assert_honest(client, "/commit", &fates).await;
    world.server.shutdown().await;
}

/// The failure of one command ends the transaction of all that ran before it; those after it run in a new one.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_ends_in_the_middle_of_a_batch_takes_its_commands_with_it() {
    let switch = Arc::new(Switch::default());
    let world = broken(&switch).await;
    let client = &world.client;
    client.make("/middle").await;
    *switch.poison.lock().unwrap() = Some("13 poison".to_owned());
    let fates = together(&switch, appends(client, "/middle", 0..40, "poison")).await;
    *switch.poison.lock().unwrap() = None;
    let refused = fates.iter().filter(|(_, answer)| answer.status == 503).count();
    assert!((1..40).contains(&refused), "{refused} of 40 refused");
    assert!(fates.iter().any(|(line, answer)| line == "13 poison" && answer.status == 503));
    assert_honest(client, "/middle", &fates).await;
    world.server.shutdown().await;
}
