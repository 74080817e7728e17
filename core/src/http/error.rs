//! Refusals: a struct per failure beside the operation that refuses, and one encoder.
//!
//! `failure!` declares a failure with its status, code and message. Whatever is not a refusal is the store's own
//! failure: the command leaves no trace, and its caller may try again.

use http::StatusCode;
use serde_json::{Value as Json, json};

use super::Response;
use crate::store::SqlError;

/// Any way in which a command can fail.
#[derive(Debug)]
pub enum Error {
    /// The command was refused and left no trace: an answer for the caller.
    Refused(Refusal),
    /// The database failed; nobody knows yet whether the batch can commit.
    Store(SqlError),
}

/// A refusal as data: what the error envelope carries.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The HTTP status.
    pub status: StatusCode,
    /// The code of the control plane's envelope; `None` for the stream protocol, whose errors are plain text.
    pub code: Option<&'static str>,
    /// What is wrong with which thing, and the way out.
    pub message: String,
    /// More for the envelope's `details`.
    pub details: Option<Json>,
    /// Headers that belong to the answer, such as `stream-closed`.
    pub headers: Vec<(&'static str, String)>,
}

impl Refusal {
    /// A refusal in the control plane's envelope.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code: Some(code), message: message.into(), details: None, headers: Vec::new() }
    }

    /// A refusal of the stream protocol: plain text, with the headers that clients read.
    pub fn plain(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, code: None, message: message.into(), details: None, headers: Vec::new() }
    }

    /// The same with a header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The answer: `{"error":{"code","message","details"?}}`, or plain text for the stream protocol.
    #[must_use]
    pub fn response(&self) -> Response {
        let mut response = match self.code {
            Some(code) => {
                let mut error = json!({ "code": code, "message": self.message });
                if let Some(details) = &self.details {
                    error["details"] = details.clone();
                }
                Response::json(self.status, &json!({ "error": error }))
            }
            None => Response::text(self.status, self.message.as_str()),
        };
        for (name, value) in &self.headers {
            response.set(name, value);
        }
        response
    }
}

impl From<SqlError> for Error {
    fn from(error: SqlError) -> Self {
        Self::Store(error)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Declares a failure: a struct that says what was wrong with which thing, and its answer.
///
/// `failure!(/// doc … Name { field: Type } => STATUS "CODE", "message {field}")`
macro_rules! failure {
    ($(#[$meta:meta])* $name:ident => $($answer:tt)+) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        pub(crate) struct $name;
        $crate::http::answer!($name {} $($answer)+);
    };
    ($(#[$meta:meta])* $name:ident { $($field:ident : $type:ty),+ } => $($answer:tt)+) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        pub(crate) struct $name {
            $(pub(crate) $field: $type),+
        }
        $crate::http::answer!($name { $($field),+ } $($answer)+);
    };
}
pub(crate) use failure;

/// The answer of a failure: the second half of [`failure!`].
macro_rules! answer {
    ($name:ident { $($field:ident),* } $status:ident $code:literal, $($message:tt)+) => {
        impl From<$name> for $crate::http::Refusal {
            fn from(failure: $name) -> Self {
                let $name { $($field),* } = failure;
                $crate::http::Refusal::new(http::StatusCode::$status, $code, format!($($message)+))
            }
        }
        impl From<$name> for $crate::http::Error {
            fn from(failure: $name) -> Self {
                Self::Refused(failure.into())
            }
        }
    };
}
pub(crate) use answer;
