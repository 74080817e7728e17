//! What a host decides for an engine: how callers are believed, what time is, how much may be in flight.

use std::str::FromStr;

use crate::dispatch::Budget;
use crate::egress;
use crate::entropy::Entropy;
use crate::http::{RESERVED, is_encoded};
use crate::limits::{FAN_OUT, WAKES_A_MINUTE};
use crate::observe::webhook_sources::Catalogue;
use crate::permission::Authorise;
use crate::tenant::Authentication;
use crate::time::{Span, Time};

/// The configuration of one engine. It never changes while the engine lives.
#[derive(Clone, Debug)]
pub struct Config {
    /// How callers are authenticated.
    pub auth: Authentication,
    /// Who has the last word on who may do what, besides owners and grants.
    pub authorise: Option<Authorise>,
    /// The URL under which clients and agents reach this server, without a trailing slash. When absent, the origin of
    /// the last request is remembered and used.
    pub public_url: Option<String>,
    /// Where clients may have the server call.
    pub egress: egress::Policy,
    /// A clock that only `POST /_reveille/dev/clock` moves; for tests.
    pub virtual_time: Option<Virtual>,
    /// How many `Fetch` effects may be in flight at once: 6 on a Durable Object, more where nothing limits it.
    pub fetches: usize,
    /// Where streams are served, of a [`StreamRoot`]: nothing for `/`, where they stand beside the control plane; a path
    /// such as `/v1/stream` for a server that has only streams, under it.
    pub stream_root: String,
    /// How many wakes an entity may begin before it is slowed down.
    pub wakes: Budget,
    /// How many registrations an append is evaluated against in its own transaction, and in each that follows, and how many
    /// matches are told there; and how many entities a grant reaches so. 64 on a Durable Object.
    pub fan_out: usize,
    /// What may come by webhooks from elsewhere, when the host takes any in.
    pub webhook_sources: Option<Catalogue>,
    /// How long a long-poll waits before it answers 204.
    pub long_poll: Span,
    /// How long an SSE connection lives before the client is asked to come back.
    pub sse: Span,
}

/// The path under which streams are served. It is read from a path as a URL has it, with or without a slash at its end,
/// which every host's URL parser leaves as it is; the server's own prefixes are not for streams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamRoot(String);

/// The text is no path for streams.
#[derive(Clone, Debug, thiserror::Error)]
#[error("`{path}` {why}")]
pub struct NotAStreamRoot {
    path: String,
    why: &'static str,
}

impl FromStr for StreamRoot {
    type Err = NotAStreamRoot;

    fn from_str(path: &str) -> Result<Self, NotAStreamRoot> {
        let root = path.strip_suffix('/').unwrap_or(path);
        let under =
            |prefix: &str| root.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let is_dots = |segment: &str| matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
        let why = if !path.starts_with('/') {
            "is not a path: it begins with `/`, as in `/v1/stream`"
        } else if root.contains(['?', '#']) {
            "has a query or a fragment; only a path can be the root of streams"
        } else if !root.bytes().all(is_plain) || !is_encoded(root) {
            "is not percent-encoded as a URL's path is"
        } else if root.split('/').skip(1).any(str::is_empty) {
            "has an empty segment"
        } else if root.split('/').any(is_dots) {
            "has a segment `.` or `..`"
        } else if RESERVED.into_iter().any(under) {
            "belongs to the server itself; streams need a path of their own"
        } else {
            return Ok(Self(root.to_owned()));
        };
        Err(NotAStreamRoot { path: path.to_owned(), why })
    }
}

impl From<StreamRoot> for String {
    fn from(root: StreamRoot) -> Self {
        root.0
    }
}

/// Whether a URL's path may hold a byte as it is, or as part of an escape.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@%".contains(&byte)
}

/// Virtual time: a start, and a seed that replaces the host's entropy.
#[derive(Clone, Debug)]
pub struct Virtual {
    /// When a fresh database begins.
    pub start: Time,
    /// The seed of every id.
    pub seed: [u8; 32],
}

impl Virtual {
    pub(crate) fn entropy(&self) -> Entropy {
        Entropy::new(self.seed)
    }
}

impl Default for Virtual {
    fn default() -> Self {
        Self { start: Time::from_millis(1_800_000_000_000), seed: *b"reveille reveille reveille reve!" }
    }
}

impl Config {
    /// A development server: open, everyone is who they say, the plain default is `system:dev-local`.
    #[must_use]
    pub fn dev() -> Self {
        Self {
            auth: Authentication::Dev,
            authorise: None,
            public_url: None,
            egress: egress::Policy::dev(),
            virtual_time: None,
            fetches: 64,
            stream_root: String::new(),
            wakes: Budget::a_minute(WAKES_A_MINUTE),
            fan_out: FAN_OUT,
            webhook_sources: None,
            long_poll: Span::secs(30),
            sse: Span::secs(60),
        }
    }

    /// A production server that believes callers as `auth` says.
    #[must_use]
    pub fn serve(auth: Authentication) -> Self {
        Self { auth, egress: egress::Policy::serve(), ..Self::dev() }
    }

    /// How many of the fetches in flight may ask for shapes: such a question waits for changes, and what is delivered must
    /// not wait for it.
    pub(crate) fn shapes_at_once(&self) -> usize {
        (self.fetches / 2).max(1)
    }

    /// Whether this is a development server, whose `/_reveille/dev` routes exist.
    #[must_use]
    pub fn is_dev(&self) -> bool {
        matches!(self.auth, Authentication::Dev)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_root_of_streams_is_a_path() {
        for (path, root) in [
            ("/", ""),
            ("/v1/stream", "/v1/stream"),
            ("/v1/stream/", "/v1/stream"),
            ("/a%2Fb/c:d@e", "/a%2Fb/c:d@e"),
            ("/.well-known", "/.well-known"),
            ("/...", "/..."),
            ("/_electrical", "/_electrical"),
            ("/v1/_electric", "/v1/_electric"),
        ] {
            assert_eq!(path.parse::<StreamRoot>().map(String::from).expect(path), root);
        }
        for (path, why) in [
            ("", "is not a path"),
            ("v1", "is not a path"),
            ("http://x/v1", "is not a path"),
            ("//", "empty segment"),
            ("//v1", "empty segment"),
            ("/v1//stream", "empty segment"),
            ("/v1//", "empty segment"),
            ("/.", "segment `.`"),
            ("/v1/..", "segment `.`"),
            ("/v1/%2E./x", "segment `.`"),
            ("/v1?x", "query"),
            ("/v1#x", "query"),
            ("/v1%", "percent-encoded"),
            ("/v1%2", "percent-encoded"),
            ("/%zz", "percent-encoded"),
            ("/a b", "percent-encoded"),
            ("/a\\b", "percent-encoded"),
            ("/é", "percent-encoded"),
            ("/{x}", "percent-encoded"),
            ("/_electric", "belongs to the server"),
            ("/_electric/shared-state", "belongs to the server"),
            ("/_reveille/", "belongs to the server"),
            ("/__ds/x", "belongs to the server"),
        ] {
            let error = path.parse::<StreamRoot>().expect_err(path).to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
