//! The end: waits until nothing moves any more, and asks the server what it thinks is left.

use std::time::{Duration, Instant};

use reveille_tests::Result;
use reveille_tests::client::Ask;
use serde_json::Value as Json;
use tokio::time::sleep;

use crate::fleet::Fleet;
use crate::name::Runner;

/// Waits until every message is acknowledged and nothing is left; not for ever. Says how long that took.
pub(crate) async fn quiet(fleet: &Fleet) -> Result<Duration> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        let waiting = fleet.ledger().waiting();
        if waiting == 0 && left(fleet).await?.is_empty() {
            break;
        }
        sleep(PAUSE).await;
    }
    Ok(start.elapsed())
}

/// What the server has left to do: entities that run, claims that are held, wakes that wait.
pub(crate) async fn left(fleet: &Fleet) -> Result<Vec<String>> {
    let mut left = Vec::new();
    let mut connection = fleet.server.connect().await?;
    let running = connection.expect(Ask::get("/_electric/entities?status=running")).await?.json()?;
    for entity in running.as_array().ok_or("a list of entities is no array")? {
        left.push(format!("{} is running", entity["url"].as_str().unwrap_or("?")));
    }
    for runner in (0..fleet.size.runners).map(Runner) {
        let ask = Ask::get(format!("/_electric/runners/{}/health", runner.id())).by(&runner.principal());
        let health = connection.expect(ask).await?.json()?;
        for at in
            ["/claims/active_count", "/dispatch/entities_with_outstanding_wake", "/dispatch/entities_with_pending_work"]
        {
            let count = health.pointer(at).and_then(Json::as_u64).ok_or_else(|| format!("no `{at}` in {health}"))?;
            if count > 0 {
                left.push(format!("{}: `{at}` is {count}", runner.id()));
            }
        }
    }
    Ok(left)
}

/// How long to wait: longer than a lease, and than the last that is said too late.
const PATIENCE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(500);
