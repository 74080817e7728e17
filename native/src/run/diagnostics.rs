//! How the runner is, told to the server every 30 seconds and after each change.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reveille::reveille_core::Time;
use serde_json::{Value as Json, json};

use super::work::End;
use crate::client::Client;
use crate::client::tail::Told;

/// What is told. What a heartbeat finds out is written by its task, so it is shared.
pub(super) struct Diagnostics {
    client: Client,
    path: String,
    known: Arc<Mutex<Json>>,
    offset: String,
}

impl Diagnostics {
    pub(super) fn new(client: Client, runner: String) -> Self {
        let known = json!({
            "status": "connecting", "started_at": now(), "stream_connected": false, "stream_connected_since": null,
            "reconnect_count": 0, "last_error": null, "last_error_at": null, "last_heartbeat_at": null,
            "last_heartbeat_ok": false, "last_claim_at": null, "last_claim_result": null, "last_dispatch_at": null,
            "events_received": 0, "claims_succeeded": 0, "claims_skipped": 0, "claims_failed": 0,
        });
        let path = format!("/_electric/runners/{runner}/heartbeat");
        Self { client, path, known: Arc::new(Mutex::new(known)), offset: "-1".to_owned() }
    }

    /// Takes news of the wake stream. Says whether the server should hear of it at once.
    pub(super) fn hear(&mut self, told: &Told) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let connected = known["stream_connected"] == true;
        match told {
            Told::Online if !connected => {
                known["status"] = "streaming".into();
                known["stream_connected"] = true.into();
                known["stream_connected_since"] = now();
                true
            }
            Told::Offline(failure) => {
                let first = connected || known["last_error"].is_null();
                known["status"] = "reconnecting".into();
                known["stream_connected"] = false.into();
                known["last_error"] = failure.to_string().into();
                known["last_error_at"] = now();
                count(&mut known, "reconnect_count");
                first
            }
            Told::Wake(_) => {
                count(&mut known, "events_received");
                false
            }
            Told::At(offset) => {
                self.offset.clone_from(offset);
                false
            }
            Told::Online | Told::Unknown | Told::Refused(_) => false,
        }
    }

    /// Takes the end of a claim.
    pub(super) fn claimed(&mut self, end: &End) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (result, counter) = match end {
            End::NoWork => ("no_work", "claims_skipped"),
            End::Worked => ("claimed", "claims_succeeded"),
            End::Failed => ("error", "claims_failed"),
        };
        known["last_claim_result"] = result.into();
        known["last_claim_at"] = now();
        if matches!(end, End::Worked) {
            known["last_dispatch_at"] = now();
        }
        count(&mut known, counter);
    }

    /// Sends a heartbeat, without waiting for its answer.
    pub(super) fn beat(&self) {
        let (client, path, known) = (self.client.clone(), self.path.clone(), Arc::clone(&self.known));
        let body = self.body(3 * BEAT);
        tokio::spawn(async move {
            let ok = client.post(&path, &body).await.is_ok();
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            known["last_heartbeat_ok"] = ok.into();
            known["last_heartbeat_at"] = now();
        });
    }

    /// Says goodbye: the runner is not to be expected.
    pub(super) async fn stopped(&self) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)["status"] = "stopped".into();
        let _ = tokio::time::timeout(Duration::from_secs(1), self.client.post(&self.path, &self.body(Duration::ZERO)))
            .await;
    }

    fn body(&self, lease: Duration) -> Json {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        json!({ "lease_ms": lease.as_millis() as u64, "wake_stream_offset": self.offset, "diagnostics": known })
    }
}

fn count(known: &mut Json, name: &str) {
    known[name] = (known[name].as_u64().unwrap_or(0) + 1).into();
}

fn now() -> Json {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)).iso().into()
}

/// How often.
pub(super) const BEAT: Duration = Duration::from_secs(30);
