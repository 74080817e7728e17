//! What comes back of a call: an answer, or why there is none.

use std::error::Error;

use bytes::Bytes;
use hyper::header::HeaderMap;
use serde_json::Value as Json;
use thiserror::Error;

/// Why a call did not succeed.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// There was no answer: the server is away, or the network is.
    #[error("{0}")]
    Unreachable(String),
    /// The server answered that it will not.
    #[error("{message} ({status})")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The code of its error envelope; empty when there is none.
        code: String,
        /// Its words.
        message: String,
    },
}

/// A successful answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Failure {
    /// Whether the same call may succeed later: nobody answered, or the server has trouble of its own.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Refused { status, .. } => *status >= 500 && *status != 501 || matches!(status, 408 | 429),
        }
    }

    /// The HTTP status; 0 when nobody answered.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Unreachable(_) => 0,
            Self::Refused { status, .. } => *status,
        }
    }

    /// The code of the server's error envelope.
    pub(crate) fn code(&self) -> &str {
        match self {
            Self::Unreachable(_) => "",
            Self::Refused { code, .. } => code,
        }
    }
}

impl Answer {
    /// The body as JSON; null when it is not.
    pub(crate) fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The body's bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// A header's text; empty when it is absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or("")
    }

    /// It, as the failure that it is.
    pub(super) fn refusal(&self) -> Failure {
        let error = self.json()["error"].take();
        let text = |name: &str| error[name].as_str().unwrap_or("").to_owned();
        let (code, mut message) = (text("code"), text("message"));
        if message.is_empty() {
            message = String::from_utf8_lossy(&self.body).trim().chars().take(200).collect();
        }
        if message.is_empty() {
            message = "the server refused".to_owned();
        }
        Failure::Refused { status: self.status, code, message }
    }
}

/// What went wrong, down to its root.
pub(super) fn unreachable(error: &dyn Error) -> Failure {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    let mut words = root.to_string();
    if words.contains("UnknownIssuer") {
        words.push_str("; --cacert FILE says whom to trust");
    }
    Failure::Unreachable(words)
}
