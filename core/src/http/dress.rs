//! What every answer wears: CORS and the security headers, errors included.

use super::Response;

/// Sets the headers that every answer to a request for `path` carries (control plane, section 1.3; stream protocol,
/// section 1.2), and drops a body where the status allows none.
pub fn dress(response: &mut Response, path: &str) {
    response.set("access-control-allow-origin", "*");
    response.set("access-control-allow-methods", "GET, POST, PUT, PATCH, DELETE, OPTIONS");
    let control = path.starts_with("/_electric/") && !path.starts_with("/_electric/shared-state/");
    response.set("access-control-allow-headers", if control { CONTROL_HEADERS } else { STREAM_HEADERS });
    response.set("access-control-expose-headers", "*");
    response.set("x-content-type-options", "nosniff");
    response.set("cross-origin-resource-policy", "cross-origin");
    if matches!(response.status.as_u16(), 204 | 205 | 304) {
        response.body.clear();
    }
}

const CONTROL_HEADERS: &str = "content-type, authorization, electric-claim-token, electric-owner-entity, electric-principal, ngrok-skip-browser-warning";
const STREAM_HEADERS: &str = "content-type, authorization, electric-claim-token, electric-owner-entity, electric-principal, \
     ngrok-skip-browser-warning, stream-seq, stream-ttl, stream-expires-at, stream-closed, producer-id, producer-epoch, producer-seq, \
     stream-forked-from, stream-fork-offset, stream-fork-sub-offset, if-none-match";
