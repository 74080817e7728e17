//! `POST /_electric/runners/{id}/heartbeat`: a runner lives, and says how it is.

use http::StatusCode;
use serde_json::{Map, Value as Json};

use super::{Runtime, View, own};
use crate::engine::Done;
use crate::http::{Body, Call, Error, Refusal, Response};
use crate::store::Tx;
use crate::time::{Span, Time};

/// Extends the runner's liveness lease and keeps its diagnostics.
pub(crate) fn heartbeat(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let tx = call.store;
    let body = Body::of(call.request)?;
    let mut runner = own(call, tx)?;
    let lease = body.millis("lease_ms").map_or(LIVENESS, |ms| Span::millis(ms.min(LONGEST.as_millis())));
    let until = body.text("liveness_lease_expires_at");
    let offset = body.text("wake_stream_offset").or(body.text("wakeStreamOffset"));
    let given = body.object("diagnostics").and_then(|raw| body.value("diagnostics", raw));
    body.check()?;
    let until = until.map(|text| parse_time(&text)).transpose()?.unwrap_or(tx.now + lease);
    let diagnostics = given.as_ref().and_then(sanitise);
    runner.last_seen_at = Some(tx.now);
    runner.lease_until = Some(until);
    runner.wake_offset = offset.clone().or(runner.wake_offset);
    if let Some(diagnostics) = &diagnostics {
        runner.diagnostics = Some(diagnostics.to_string());
    }
    tx.write_runner(&runner)?;
    let mut view = View::of(&runner);
    view.runtime = Runtime {
        last_seen_at: Some(tx.now.iso()),
        liveness_lease_expires_at: Some(until.iso()),
        wake_stream_offset: offset,
        diagnostics,
    };
    Ok(Response::json(StatusCode::OK, &view).into())
}

/// Keeps the diagnostics that are known and have the right shape (wake specification, section 6.3); `None` when nothing
/// remains.
pub(super) fn sanitise(given: &Json) -> Option<Json> {
    let given = given.as_object()?;
    let mut kept = Map::new();
    for (names, fits) in ACCEPTED {
        for name in names {
            if let Some(value) = given.get(*name).filter(|v| fits(v)) {
                kept.insert((*name).to_owned(), value.clone());
            }
        }
    }
    (!kept.is_empty()).then_some(Json::Object(kept))
}

type Fits = fn(&Json) -> bool;

const ACCEPTED: [(&[&str], Fits); 5] = [
    (&["status"], |v| {
        v.as_str().is_some_and(|s| {
            ["stopped", "starting", "connecting", "streaming", "reconnecting", "stopping"].contains(&s)
        })
    }),
    (&["stream_connected", "last_heartbeat_ok"], Json::is_boolean),
    (&["last_claim_result"], |v| {
        v.is_null() || v.as_str().is_some_and(|s| ["claimed", "no_work", "error"].contains(&s))
    }),
    (
        &[
            "started_at",
            "stream_connected_since",
            "last_error",
            "last_error_at",
            "last_heartbeat_at",
            "last_claim_at",
            "last_dispatch_at",
        ],
        |v| v.is_null() || v.as_str().is_some_and(|s| s.len() <= 2000),
    ),
    (&["reconnect_count", "events_received", "claims_succeeded", "claims_skipped", "claims_failed"], |v| {
        v.as_f64().is_some_and(|n| n.is_finite() && n >= 0.0)
    }),
];

fn parse_time(text: &str) -> Result<Time, Refusal> {
    let refuse =
        || Refusal::new(StatusCode::BAD_REQUEST, "INVALID_REQUEST", format!("`{text}` is not an ISO 8601 timestamp"));
    Time::parse_iso(text).ok_or_else(refuse)
}

const LIVENESS: Span = Span::secs(30);
const LONGEST: Span = Span::secs(86_400);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn only_known_diagnostics_of_the_right_shape_are_kept() {
        let given = json!({ "status": "streaming", "stream_connected": "yes", "last_error": null, "reconnect_count": -1, "events_received": 3, "evil": 1 });
        assert_eq!(sanitise(&given), Some(json!({ "status": "streaming", "last_error": null, "events_received": 3 })));
        assert_eq!(sanitise(&json!({ "evil": 1 })), None);
        assert_eq!(sanitise(&json!([])), None);
    }
}
