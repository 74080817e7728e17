//! Messages, at a steady rate, each to any entity, and more often to some.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reveille_tests::Result;
use reveille_tests::client::Ask;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::interval;

use crate::fleet::Fleet;
use crate::name::entity;
use crate::random::Random;

/// Sends for so long.
pub(crate) async fn send(fleet: &Arc<Fleet>, time: Duration) -> Result<()> {
    let end = Instant::now() + time;
    let mut senders = JoinSet::new();
    for n in 0..SENDERS {
        senders.spawn(sender(Arc::clone(fleet), n, end));
    }
    while let Some(sent) = senders.join_next().await {
        sent??;
    }
    Ok(())
}

async fn sender(fleet: Arc<Fleet>, n: u64, end: Instant) -> Result<()> {
    let mut random = Random::new(fleet.seed, u64::MAX - n);
    let mut connection = fleet.server.connect().await?;
    let mut beat = interval(Duration::from_secs(SENDERS) / u32::try_from(fleet.size.rate)?);
    while Instant::now() < end {
        beat.tick().await;
        let message = fleet.next_message();
        let among = if random.per_mille(CROWDED) { fleet.size.entities.div_ceil(100) } else { fleet.size.entities };
        let to = random.below(among);
        let path = format!("{}/send", entity(to));
        let sent = Instant::now();
        connection.expect(Ask::post(path, &json!({ "payload": { "n": message } }))).await?;
        fleet.ledger().sent(message, to, sent);
    }
    Ok(())
}

const SENDERS: u64 = 8;
/// How many of a thousand messages go to one entity of a hundred, so that work comes while work is done.
const CROWDED: u64 = 200;
