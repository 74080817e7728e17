//! `GET /_electric/runners/{id}/health`: how a runner is, and why (wake specification, section 6.5).

use http::StatusCode;
use serde_json::{Value as Json, json};

use super::heartbeat::sanitise;
use super::own;
use crate::engine::Reply;
use crate::http::{Call, Error, Response};
use crate::store::Read;
use crate::time::Time;

/// What health is judged by.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// Whether the runner may claim.
    pub enabled: bool,
    /// Until when its last heartbeat vouches for it.
    pub lease_until: Option<Time>,
    /// Whether it was ever seen.
    pub seen: bool,
    /// What it last said about itself.
    pub client: Option<&'a Json>,
}

/// Whether a runner lives.
#[must_use]
pub fn liveness(facts: &Facts<'_>, now: Time) -> &'static str {
    match facts.lease_until {
        _ if !facts.enabled => "offline",
        Some(until) if until > now => "online",
        Some(_) => "expired",
        None => "offline",
    }
}

/// `healthy`, `degraded` or `unhealthy`, and each reason in order.
#[must_use]
pub fn health(facts: &Facts<'_>, now: Time) -> (&'static str, Vec<String>) {
    let client = |name: &str| facts.client.and_then(|c| c.get(name));
    let reconnects = client("reconnect_count").and_then(Json::as_f64).unwrap_or(0.0);
    let late = facts.lease_until.map_or(0, |until| (now.since(until).as_millis() + 500) / 1000);
    let rules: [(bool, u8, String); 7] = [
        (!facts.enabled, 2, "Runner is disabled".to_owned()),
        (liveness(facts, now) == "expired", 2, format!("Heartbeat lease expired {late}s ago")),
        (facts.enabled && facts.lease_until.is_none(), 1, "Runner has never sent a heartbeat".to_owned()),
        (client("stream_connected") == Some(&Json::Bool(false)), 1, "Client reports stream disconnected".to_owned()),
        (client("last_heartbeat_ok") == Some(&Json::Bool(false)), 1, "Client reports last heartbeat failed".to_owned()),
        (reconnects > 5.0, 1, format!("Client has reconnected {reconnects} times")),
        (facts.client.is_none() && facts.seen, 1, "No client diagnostics available".to_owned()),
    ];
    let level = rules.iter().filter(|r| r.0).map(|r| r.1).max().unwrap_or(0);
    let issues = rules.into_iter().filter(|r| r.0).map(|r| r.2).collect();
    (["healthy", "degraded", "unhealthy"][usize::from(level)], issues)
}

/// The health of the runner that the path names.
pub(crate) fn show(call: &Call<'_, Read<'_>>) -> Result<Reply, Error> {
    let read = call.store;
    let runner = own(call, read)?;
    let client = runner.diagnostics.as_deref().and_then(|d| serde_json::from_str(d).ok()).as_ref().and_then(sanitise);
    let facts = Facts {
        enabled: runner.enabled,
        lease_until: runner.lease_until,
        seen: runner.last_seen_at.is_some(),
        client: client.as_ref(),
    };
    let (status, issues) = health(&facts, read.now);
    let (mut active, mut outstanding) = (Vec::new(), 0);
    for subscription in read.subscriptions_of_runner(&runner.id)? {
        let Some(wake) = subscription.wake.as_ref().filter(|w| w.held) else {
            outstanding += 1;
            continue;
        };
        let entity = read.entity_by_id(wake.trigger)?;
        let url = entity.map(|e| e.url).unwrap_or_default();
        active.push(json!({
            "consumer_id": wake.id,
            "epoch": subscription.generation,
            "entity_url": url,
            "stream_path": format!("{url}/main"),
            "claimed_at": wake.claimed_at.map(Time::iso),
            "last_heartbeat_at": wake.heartbeat_at.map(Time::iso),
            "lease_expires_at": wake.lease_until.map(Time::iso),
        }));
    }
    let body = json!({
        "runner": {
            "id": runner.id,
            "admin_status": runner.admin_status(),
            "liveness_status": liveness(&facts, read.now),
            "lease_expires_at": runner.lease_until.map(Time::iso),
            "lease_remaining_ms": runner.lease_until.map(|until| until.since(read.now)),
            "wake_stream": runner.wake_stream,
            "wake_stream_offset": runner.wake_offset,
            "last_seen_at": runner.last_seen_at.map(Time::iso),
            "created_at": runner.created_at.iso(),
        },
        "client": client,
        "claims": { "active_count": active.len(), "active": active },
        "dispatch": {
            "entities_with_active_claim": active.len(),
            "entities_with_outstanding_wake": outstanding,
            "entities_with_pending_work": read.pending_of_runner(&runner.id)?,
        },
        "health": { "status": status, "issues": issues },
    });
    Ok(Reply::Whole(Response::json(StatusCode::OK, &body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_rules_of_health() {
        let now = Time::from_millis(100_000);
        let (good, torn) =
            (json!({ "stream_connected": true }), json!({ "stream_connected": false, "reconnect_count": 9 }));
        let facts = |enabled, lease: Option<i64>, client| Facts {
            enabled,
            lease_until: lease.map(Time::from_millis),
            seen: true,
            client,
        };
        for (facts, status, issue) in [
            (facts(true, Some(110_000), Some(&good)), "healthy", ""),
            (facts(false, Some(110_000), Some(&good)), "unhealthy", "Runner is disabled"),
            (facts(true, Some(98_000), Some(&good)), "unhealthy", "Heartbeat lease expired 2s ago"),
            (facts(true, None, Some(&good)), "degraded", "Runner has never sent a heartbeat"),
            (facts(true, Some(110_000), Some(&torn)), "degraded", "Client reports stream disconnected"),
            (facts(true, Some(110_000), None), "degraded", "No client diagnostics available"),
        ] {
            let (level, issues) = health(&facts, now);
            assert_eq!((level, issues.first().map_or("", |i| i.as_str())), (status, issue));
        }
    }
}
