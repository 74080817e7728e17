//! A runner's wake stream, followed for ever: from its beginning, so that what was announced before and never claimed is
//! found again; with reconnection and backoff.

use std::time::{Duration, SystemTime};

use serde_json::Value as Json;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::sse::Events;
use super::{Client, Failure};

/// What the tail has to tell.
#[derive(Debug)]
pub(crate) enum Told {
    /// The stream is open.
    Online,
    /// It is not, and is tried again.
    Offline(Failure),
    /// A wake was announced.
    Wake(Announcement),
    /// How far the stream was read.
    At(String),
    /// The server knows no such stream: it must be told of the runner again.
    Unknown,
    /// The server will not let this caller read it. The tail has ended.
    Refused(Failure),
}

/// A wake that waits to be claimed.
#[derive(Clone, Debug)]
pub(crate) struct Announcement {
    /// The event as the server wrote it: the body of a claim.
    pub(crate) event: Json,
    /// The subscription that it is about. One claim serves all of its announcements.
    pub(crate) subscription: String,
    /// When it arrived here.
    pub(crate) at: SystemTime,
}

/// Follows the wake stream of a runner until nobody listens any more.
pub(crate) async fn tail(client: Client, runner: String, told: mpsc::Sender<Told>) {
    let (mut offset, mut backoff) = ("-1".to_owned(), FIRST);
    loop {
        let opened = Instant::now();
        let ended = follow(&client, &runner, &mut offset, &told).await;
        if opened.elapsed() > STABLE {
            backoff = FIRST;
        }
        let tell = match ended {
            // The server ends each stream after a while, and at its own end.
            Ok(()) if opened.elapsed() > STABLE => continue,
            Ok(()) => None,
            Err(Failure::Refused { status: 404, .. }) => {
                "-1".clone_into(&mut offset);
                Some(Told::Unknown)
            }
            Err(failure) if !failure.may_pass() => {
                let _ = told.send(Told::Refused(failure)).await;
                return;
            }
            Err(failure) => Some(Told::Offline(failure)),
        };
        let listening = match tell {
            Some(tell) => told.send(tell).await.is_ok(),
            None => !told.is_closed(),
        };
        if !listening {
            return;
        }
        tokio::time::sleep(backoff).await;
        backoff = (backoff * 2).min(LONGEST);
    }
}

/// One connection, until it ends.
async fn follow(client: &Client, runner: &str, offset: &mut String, told: &mpsc::Sender<Told>) -> Result<(), Failure> {
    let mut events = Events::open(client, &format!("/runners/{runner}/wake"), offset).await?;
    if told.send(Told::Online).await.is_err() {
        return Ok(());
    }
    while let Some(message) = events.next().await? {
        let at = SystemTime::now();
        let body: Json = serde_json::from_str(&message.data).unwrap_or_default();
        match message.event.as_str() {
            "data" => {
                for wake in newest(&body, at) {
                    let _ = told.send(Told::Wake(wake)).await;
                }
            }
            "control" => {
                if let Some(next) = body["streamNextOffset"].as_str() {
                    next.clone_into(offset);
                    let _ = told.send(Told::At(next.to_owned())).await;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The newest announcement of each subscription, in order: a replay of the whole stream costs one claim for each.
fn newest(events: &Json, at: SystemTime) -> Vec<Announcement> {
    let mut found: Vec<Announcement> = Vec::new();
    for event in events.as_array().into_iter().flatten().filter(|e| e["type"] == "wake") {
        let Some(subscription) = event["subscription_id"].as_str() else { continue };
        let announcement = Announcement { event: event.clone(), subscription: subscription.to_owned(), at };
        match found.iter_mut().find(|known| known.subscription == subscription) {
            Some(known) => *known = announcement,
            None => found.push(announcement),
        }
    }
    found
}

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(15);
/// A connection that held this long was a good one.
const STABLE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_replay_is_one_claim_a_subscription() {
        let events = json!([
            { "type": "wake", "subscription_id": "a", "generation": 1 },
            { "type": "wake", "subscription_id": "b", "generation": 1 },
            { "type": "other", "subscription_id": "c" },
            { "type": "wake" },
            { "type": "wake", "subscription_id": "a", "generation": 2 },
        ]);
        let found = newest(&events, SystemTime::UNIX_EPOCH);
        let found: Vec<_> = found.iter().map(|a| (a.subscription.as_str(), &a.event["generation"])).collect();
        assert_eq!(found, [("a", &json!(2)), ("b", &json!(1))]);
        assert!(newest(&json!({}), SystemTime::UNIX_EPOCH).is_empty());
    }
}
