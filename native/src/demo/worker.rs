//! The workers' runner: it follows its wake stream, claims, and works. It needs no address of its own.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value as Json, json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::cause::Cause;
use super::timeline::{Timeline, What};
use super::work::{Act, decide};
use crate::client::tail::{Announcement, Told, tail};
use crate::client::wake::{Wake, ack, consumed, fresh};
use crate::client::{Client, Failure};

/// The runner of all workers.
#[derive(Debug)]
pub(super) struct Worker {
    client: Client,
    timeline: Timeline,
    runner: &'static str,
}

impl Worker {
    pub(super) fn new(client: Client, timeline: Timeline, runner: &'static str) -> Arc<Self> {
        Arc::new(Self { client, timeline, runner })
    }

    /// Takes wakes until told to leave; then ends what it began.
    pub(super) async fn serve(self: Arc<Self>, mut leaving: watch::Receiver<bool>) {
        let (tell, mut told) = mpsc::channel(64);
        let tailing = tokio::spawn(tail(self.client.clone(), self.runner.to_owned(), tell));
        let mut wakes = JoinSet::new();
        let mut beat = tokio::time::interval(BEAT);
        loop {
            tokio::select! {
                Some(told) = told.recv() => if let Told::Wake(announcement) = told {
                    let worker = Arc::clone(&self);
                    wakes.spawn(async move { worker.wake(announcement).await });
                },
                Some(_) = wakes.join_next() => {}
                _ = beat.tick() => self.beat(),
                _ = leaving.wait_for(|leaving| *leaving) => break,
            }
        }
        tailing.abort();
        wakes.join_all().await;
    }

    /// Says that the runner lives. The next one comes soon enough if this one is lost.
    fn beat(&self) {
        let (client, path) = (self.client.clone(), format!("/_electric/runners/{}/heartbeat", self.runner));
        let diagnostics = json!({ "status": "streaming", "stream_connected": true, "last_heartbeat_ok": true });
        let body = json!({ "lease_ms": 3 * BEAT.as_millis() as u64, "diagnostics": diagnostics });
        tokio::spawn(async move { client.post(&path, &body).await.map(|_| ()) });
    }

    async fn wake(&self, announcement: Announcement) {
        let path = format!("/_electric/runners/{}/claim", self.runner);
        let claimed = match self.client.post(&path, &announcement.event).await {
            Ok(answer) if answer.json()["wakeId"].is_string() => answer.json(),
            // Somebody else has it, or it is done, or the entity does not run; whatever stays pending is announced again.
            _ => return,
        };
        let entity = claimed["entity"]["url"].as_str().unwrap_or("?").to_owned();
        match self.work(&entity, claimed, announcement.at).await {
            Ok(()) | Err(Failure::Refused { status: 401 | 409, .. }) => {}
            Err(failure) => self.timeline.tell(&entity, What::Trouble { text: failure.to_string() }),
        }
    }

    /// One wake, from claim to done.
    async fn work(&self, entity: &str, claimed: Json, at: SystemTime) -> Result<(), Failure> {
        let mut wake = Wake::claim(&self.client, claimed).await?;
        let read = wake.read("-1").await?;
        let fresh = fresh(&read.rows);
        if !fresh.is_empty() {
            self.timeline.tell_at(at, entity, What::Woke { cause: Cause::of(&fresh), by: "runner" });
        }
        let mut rows = Vec::new();
        for act in decide(&read.rows, &fresh, now_ms()) {
            match act {
                Act::Sleep { message, write, after_ms } => {
                    // First the timer, then the row that says so: an agent that dies in between sets it twice, not never.
                    let text = format!("sets a timer of {after_ms} ms, and sleeps");
                    self.timeline.tell(entity, What::Did { text, wrote: None });
                    wake.call_as_agent(&format!("/_electric/entities{entity}/send"), message).await?;
                    rows.extend(write);
                }
                Act::Answer { write, say } => {
                    rows.extend(write);
                    self.timeline.tell(entity, What::Did { text: format!("answers \"{say}\""), wrote: Some(say) });
                }
            }
        }
        let mut end = read.end.clone();
        if !fresh.is_empty() {
            rows.push(ack(&read.end));
            end = wake.append(&rows.iter().map(Json::to_string).collect::<Vec<_>>()).await?;
        }
        let after = wake.read(&read.end).await?;
        wake.done(Some(consumed(&after.rows, &read.end, &end))).await?;
        self.timeline.tell(entity, What::Sleeps);
        Ok(())
    }
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

const BEAT: Duration = Duration::from_secs(30);
