//! The door: asked before the first byte of a body. May this request be read, by whom, and how much of it?

use http::{HeaderMap, Method, StatusCode};

use super::route::{is_under, route};
use super::{Refusal, Response, dress};
use crate::config::Config;
use crate::limits::{APPEND, ATTACHMENT, ATTACHMENT_FIELDS, BODY, PATH};
use crate::tenant::{Principal, authenticate};

/// What a host may do with a request.
#[derive(Clone, Debug)]
pub struct Admission {
    /// Who calls; `None` only where nobody needs to be known.
    pub by: Option<Principal>,
    /// The most bytes of body to read.
    pub limit: usize,
}

/// Decides about a request by its head.
///
/// # Errors
/// The whole answer: 204 to `OPTIONS`, 401, 413 by `content-length`, 400 to a path that nothing can have.
pub fn admit(config: &Config, method: &Method, path: &str, headers: &HeaderMap) -> Result<Admission, Response> {
    judge(config, method, path, headers).map_err(|mut response| {
        dress(&mut response, path);
        response
    })
}

fn judge(config: &Config, method: &Method, path: &str, headers: &HeaderMap) -> Result<Admission, Response> {
    if method == Method::OPTIONS {
        return Err(Response::empty(StatusCode::NO_CONTENT));
    }
    if path.len() > PATH || !path.starts_with('/') || !is_encoded(path) {
        return Err(refuse(
            config,
            path,
            StatusCode::BAD_REQUEST,
            "the path is too long or not percent-encoded as a URL's path is",
        ));
    }
    let found = route(config, method, path);
    let by = match authenticate(&config.auth, headers) {
        Ok(by) => Some(by),
        Err(_) if found.open => None,
        Err(refusal) => return Err(refusal.response()),
    };
    let limit = limit(config, path);
    let length = headers.get("content-length").and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
    if length.is_some_and(|length| length > limit as u64) {
        return Err(too_large(config, path));
    }
    Ok(Admission { by, limit })
}

/// 413: the body is longer than its route takes.
#[must_use]
pub fn too_large(config: &Config, path: &str) -> Response {
    let message = if is_upload(config, path) {
        format!("Attachment exceeds maximum size of {ATTACHMENT} bytes")
    } else {
        format!("the body is larger than {} bytes", limit(config, path))
    };
    finished(path, refuse(config, path, StatusCode::PAYLOAD_TOO_LARGE, &message))
}

/// 408: the body did not arrive in time.
#[must_use]
pub fn too_slow(config: &Config, path: &str) -> Response {
    finished(path, refuse(config, path, StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time"))
}

fn limit(config: &Config, path: &str) -> usize {
    match () {
        () if is_upload(config, path) => ATTACHMENT + ATTACHMENT_FIELDS,
        () if is_control(config, path) => BODY,
        () => APPEND,
    }
}

/// Whether files are sent there: to the attachments of an entity.
fn is_upload(config: &Config, path: &str) -> bool {
    let entity = path.trim_end_matches('/').strip_suffix("/attachments").unwrap_or("");
    let below = entity.strip_prefix("/_electric/entities/").filter(|_| config.stream_root.is_empty());
    below
        .and_then(|below| below.split_once('/'))
        .is_some_and(|(kind, id)| !kind.is_empty() && !id.is_empty() && !id.contains('/'))
}

fn finished(path: &str, mut response: Response) -> Response {
    dress(&mut response, path);
    response
}

fn refuse(config: &Config, path: &str, status: StatusCode, message: &str) -> Response {
    let control = is_control(config, path);
    if control { Refusal::new(status, "INVALID_REQUEST", message) } else { Refusal::plain(status, message) }.response()
}

/// Whether a path belongs to the control plane, whose errors are envelopes and whose bodies are small.
fn is_control(config: &Config, path: &str) -> bool {
    let Some(below) = path.strip_prefix(&config.stream_root) else { return true };
    let shared_state = below.starts_with("/_electric/shared-state/");
    is_under(below, "/__ds")
        || config.stream_root.is_empty()
            && (is_under(below, "/_electric") || is_under(below, "/_reveille"))
            && !shared_state
}

/// The prefixes of the server's own routes.
pub(crate) const RESERVED: [&str; 3] = ["/_electric", "/_reveille", "/__ds"];

/// Whether every `%` begins an escape.
pub(crate) fn is_encoded(path: &str) -> bool {
    let bytes = path.as_bytes();
    bytes
        .iter()
        .enumerate()
        .all(|(i, b)| *b != b'%' || bytes.get(i + 1..i + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::{ApiKeys, Authentication};

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn who_is_let_in_and_how_much_is_read() {
        let serve = Config::serve(Authentication::ApiKeys(ApiKeys::parse("k user:a").expect("parses")));
        let ask = |method: Method, path: &str, length: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("content-length", length.parse().expect("a value"));
            admit(&serve, &method, path, &headers).map(|a| a.limit).map_err(|r| r.status.as_u16())
        };
        assert_eq!(ask(Method::GET, "/_electric/health", "0"), Ok(BODY));
        assert_eq!(ask(Method::GET, "/__ds/jwks.json", "0"), Ok(BODY));
        assert_eq!(ask(Method::POST, "/_electric/wake-callbacks/w_1", "0"), Ok(BODY));
        assert_eq!(ask(Method::OPTIONS, "/anything", "0"), Err(204));
        assert_eq!(ask(Method::GET, "/_electric/entities", "0"), Err(401));
        assert_eq!(ask(Method::GET, "/a/b/main", "0"), Err(401));
        assert_eq!(ask(Method::POST, "/_electric/wake-callbacks/w_1", "99999999"), Err(413));
        assert_eq!(ask(Method::POST, "/_electric/wake-callbacks/%zz", "0"), Err(400));
    }

    #[test]
    fn only_uploads_may_be_as_large_as_a_file() {
        let root = Config { stream_root: "/v1".to_owned(), ..Config::dev() };
        let most = ATTACHMENT + ATTACHMENT_FIELDS;
        for (path, control, streams) in [
            ("/_electric/entities/t/e/attachments", most, BODY),
            ("/_electric/entities/t/e/attachments//", most, BODY),
            ("/_electric/entities/t/e/attachments/a", BODY, BODY),
            ("/_electric/entities/t/attachments", BODY, BODY),
            ("/_electric/entities//e/attachments", BODY, BODY),
            ("/_electric/entities/t/e/x/attachments", BODY, BODY),
            ("/t/e/attachments", APPEND, BODY),
            ("/v1/_electric/entities/t/e/attachments", APPEND, APPEND),
        ] {
            assert_eq!((limit(&Config::dev(), path), limit(&root, path)), (control, streams), "{path}");
        }
        let said = String::from_utf8(too_large(&Config::dev(), "/_electric/entities/t/e/attachments").body);
        assert!(said.expect("text").contains("Attachment exceeds maximum size of 26214400 bytes"));
    }
}
