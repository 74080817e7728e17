//! Requests and responses as plain values, the same for every host.

use std::borrow::Cow;

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use serde::Serialize;

use crate::tenant::Principal;

/// A request whose body has been read and whose caller is known: what a host hands the engine after
/// [`admit`](fn@super::admit).
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path as it came: still percent-encoded, dot segments resolved, without the query.
    pub path: String,
    /// The query without `?`; empty when there is none.
    pub query: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body, at most as long as [`Admission::limit`](super::Admission::limit).
    pub body: Vec<u8>,
    /// Who calls; `None` only on routes that need no principal.
    pub by: Option<Principal>,
    /// Where the caller reached the server, such as `http://127.0.0.1:4437`. Used for the URLs in answers and
    /// deliveries unless the configuration fixes a public URL.
    pub origin: Option<String>,
}

impl Request {
    /// A header as text, trimmed; `None` when it is absent, blank or not text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let value = self.headers.get(name)?.to_str().ok()?.trim();
        (!value.is_empty()).then_some(value)
    }

    /// The query's parameters, decoded, in order.
    pub(crate) fn query_pairs(&self) -> Vec<(Cow<'_, str>, Cow<'_, str>)> {
        let pairs = self.query.split('&').filter(|pair| !pair.is_empty());
        let decoded = pairs.filter_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(key)?, decode(value).unwrap_or(Cow::Borrowed(value))))
        });
        decoded.collect()
    }

    /// The decoded values of the query parameter `name`, in order.
    pub fn query_all(&self, name: &str) -> Vec<Cow<'_, str>> {
        self.query
            .split('&')
            .filter_map(|pair| {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                (decode(key)? == name).then(|| decode(value).unwrap_or(Cow::Borrowed(value)))
            })
            .collect()
    }

    /// The first value of the query parameter `name`.
    pub fn query_one(&self, name: &str) -> Option<Cow<'_, str>> {
        self.query_all(name).into_iter().next()
    }

    /// The token of a claim: `electric-claim-token`, else `authorization` with an optional `Bearer ` removed.
    pub fn claim_token(&self) -> Option<&str> {
        self.header("electric-claim-token").or_else(|| {
            let value = self.header("authorization")?;
            match value.split_at_checked(7) {
                Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer ") => Some(token.trim()),
                _ => Some(value),
            }
        })
    }
}

/// A percent-encoded query component as text (`+` is a space); `None` when the encoding is not UTF-8.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    if text.contains('+') {
        let spaced = text.replace('+', " ");
        return percent_encoding::percent_decode_str(&spaced).decode_utf8().ok().map(|t| Cow::Owned(t.into_owned()));
    }
    percent_encoding::percent_decode_str(text).decode_utf8().ok()
}

/// A whole response.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers, without `content-length` (the host adds what its transport needs).
    pub headers: HeaderMap,
    /// The body; always empty for 204, 205 and 304.
    pub body: Vec<u8>,
}

impl Response {
    /// A response without body.
    #[must_use]
    pub fn empty(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: Vec::new() }
    }

    /// A JSON response.
    #[must_use]
    pub fn json(status: StatusCode, value: &impl Serialize) -> Self {
        let body = serde_json::to_vec(value).expect("our own values have string keys and serialise");
        Self { body, ..Self::empty(status) }.with("content-type", "application/json; charset=utf-8")
    }

    /// A plain text response, as the stream protocol's errors are.
    #[must_use]
    pub fn text(status: StatusCode, text: impl Into<String>) -> Self {
        Self { body: text.into().into_bytes(), ..Self::empty(status) }.with("content-type", "text/plain; charset=utf-8")
    }

    /// The same with a header set. A value that no header can carry is left out.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl AsRef<str>) -> Self {
        self.set(name, value);
        self
    }

    /// Names the last of a page of a list behind which there may be more, as `after` takes it.
    pub(crate) fn paged(self, last: Option<&str>) -> Self {
        match last {
            Some(last) => self.with("reveille-next", last),
            None => self,
        }
    }

    /// Sets a header. A value that no header can carry is left out.
    pub fn set(&mut self, name: &'static str, value: impl AsRef<str>) {
        if let Ok(value) = HeaderValue::from_str(value.as_ref()) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
    }
}
