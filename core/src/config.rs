//! What a host decides for an engine: how callers are believed, what time is, how much may be in flight.

use crate::egress;
use crate::entropy::Entropy;
use crate::tenant::Authentication;
use crate::time::{Span, Time};

/// The configuration of one engine. It never changes while the engine lives.
#[derive(Clone, Debug)]
pub struct Config {
    /// How callers are authenticated.
    pub auth: Authentication,
    /// The URL under which clients and agents reach this server, without a trailing slash. When absent, the origin of
    /// the last request is remembered and used.
    pub public_url: Option<String>,
    /// Where clients may have the server call.
    pub egress: egress::Policy,
    /// A clock that only `POST /_reveille/dev/clock` moves; for tests.
    pub virtual_time: Option<Virtual>,
    /// How many `Fetch` effects may be in flight at once: 6 on a Durable Object, more where nothing limits it.
    pub fetches: usize,
    /// How long a long-poll waits before it answers 204.
    pub long_poll: Span,
    /// How long an SSE connection lives before the client is asked to come back.
    pub sse: Span,
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
            public_url: None,
            egress: egress::Policy::dev(),
            virtual_time: None,
            fetches: 64,
            long_poll: Span::secs(30),
            sse: Span::secs(60),
        }
    }

    /// A production server that believes callers as `auth` says.
    #[must_use]
    pub fn serve(auth: Authentication) -> Self {
        Self { auth, egress: egress::Policy::serve(), ..Self::dev() }
    }

    /// Whether this is a development server, whose `/_reveille/dev` routes exist.
    #[must_use]
    pub fn is_dev(&self) -> bool {
        matches!(self.auth, Authentication::Dev)
    }
}
