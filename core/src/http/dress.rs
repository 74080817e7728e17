//! What every answer wears: CORS and the security headers, errors included.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS,
};

use super::Response;

/// Sets the headers that every answer to a request for `path` carries (control plane, section 1.3; stream protocol,
/// section 1.2), and drops a body where the status allows none.
pub fn dress(response: &mut Response, path: &str) {
    let control = path.starts_with("/_electric/") && !path.starts_with("/_electric/shared-state/");
    response.headers.reserve(6);
    for (name, value) in [
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PUT, PATCH, DELETE, OPTIONS"),
        (ACCESS_CONTROL_ALLOW_HEADERS, if control { CONTROL_HEADERS } else { STREAM_HEADERS }),
        (ACCESS_CONTROL_EXPOSE_HEADERS, "*"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CROSS_ORIGIN_RESOURCE_POLICY, "cross-origin"),
    ] {
        response.headers.insert(name, HeaderValue::from_static(value));
    }
    if matches!(response.status.as_u16(), 204 | 205 | 304) {
        response.body.clear();
    }
}

const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const CONTROL_HEADERS: &str = "content-type, authorization, electric-claim-token, electric-owner-entity, electric-principal, ngrok-skip-browser-warning";
const STREAM_HEADERS: &str = "content-type, authorization, electric-claim-token, electric-owner-entity, electric-principal, \
     ngrok-skip-browser-warning, stream-seq, stream-ttl, stream-expires-at, stream-closed, producer-id, producer-epoch, producer-seq, \
     stream-forked-from, stream-fork-offset, stream-fork-sub-offset, if-none-match";
