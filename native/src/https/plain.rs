//! What plain HTTP is told on a port that speaks HTTPS.

use hyper::header::{CONNECTION, HeaderValue};
use hyper::{Method, Request, StatusCode};
use reveille_core::http::{Refusal, canonical_path, dress};

use crate::answer::{Answer, whole};
use crate::respond::authority;

/// The way to HTTPS: a reader is sent there, and whoever wants something changed is told, since it may have sent secrets
/// and should know that.
pub(crate) fn elsewhere<B>(request: &Request<B>, url: &str) -> Answer {
    let base = authority(request.uri(), request.headers()).map_or_else(|| url.to_owned(), |at| format!("https://{at}"));
    let words = format!("this port speaks HTTPS: {base}");
    let mut response = Refusal::new(StatusCode::BAD_REQUEST, "HTTPS_REQUIRED", words).response();
    if [Method::GET, Method::HEAD].contains(request.method()) {
        // Not for good: the same port may speak plain HTTP tomorrow, and browsers remember.
        response.status = StatusCode::TEMPORARY_REDIRECT;
        let rest = request.uri().path_and_query().map_or("/", |rest| rest.as_str());
        response.set("location", format!("{base}{rest}"));
    }
    dress(&mut response, &canonical_path(request.uri().path()));
    let mut answer = whole(response);
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}
