//! What the fuzz targets of `tests/fuzz` call: parsers of what comes over the wire that are nobody else's to call.

#![allow(missing_docs, reason = "each is a name for what it calls")]

use http::Method;

use crate::config::Config;
use crate::http::multipart::{Form, boundary};
use crate::http::{Handler, route};
use crate::store::{Keys, SigningKeyRow, encode_key};
use crate::stream::probe::{data, split};
use crate::stream::{Content, Offset, depth};
use crate::subscription::glob::prefix;
use crate::subscription::signing::Ring;
use crate::subscription::token;
use crate::time::Time;

/// How many messages a body is, and what is stored of them; `None` when it is refused.
pub fn append(body: &[u8], end: i64) -> Option<(usize, String)> {
    let content = Content::parse(true, body).ok()?;
    let stored = content.stored(&content.events(true), Offset::at(end));
    Some((content.messages(), String::from_utf8(stored.into_owned()).expect("JSON is text")))
}

pub fn messages(stored: &str) -> Vec<&str> {
    split(stored)
}

pub fn nesting(text: &str) -> usize {
    depth(text)
}

/// Whether the route table takes it for a write.
pub fn is_write(config: &Config, method: &Method, path: &str) -> bool {
    matches!(route(config, method, path).handler, Handler::Write(_))
}

pub fn glob_prefix(pattern: &str) -> String {
    prefix(pattern)
}

/// The data event of a payload on a stream of this content type.
pub fn sse(content_type: &str, bytes: &[u8]) -> String {
    data(content_type, bytes)
}

/// Whether a content type is a form's, and how long the file of a form is.
pub fn form(content_type: &str, body: &[u8]) -> (bool, Option<usize>) {
    let bytes = |form: &Form<'_>| form.file("file").map(|part| part.bytes.len());
    (boundary(content_type).is_some(), Form::of("b", body).as_ref().and_then(bytes))
}

/// Whether a row of entities meets a condition, and whether that was too much to ask; `None` when it is refused.
pub fn lets_in(condition: &str, params: &[String]) -> Option<(bool, bool)> {
    crate::shape::probe::lets_in(condition, params)
}

/// Mints and opens claim tokens under one key.
pub struct Tokens(Keys);

impl Tokens {
    #[allow(clippy::new_without_default, reason = "a key is not a default")]
    pub fn new() -> Self {
        let row = SigningKeyRow { id: 0, secret: encode_key(&[1; 32]), signs_from: Time::ZERO, retires_at: None };
        Self(Keys { ring: Ring::new(&[row]).expect("a ring"), claims: [2; 32] })
    }

    pub fn mint(&self, wake: &str, generation: i64) -> String {
        token::mint(&self.0, wake, generation)
    }

    /// The wake, its generation, and perhaps its subscription.
    pub fn open(&self, text: &str) -> Option<(String, i64, Option<i64>)> {
        token::open(&self.0, text).map(|t| (t.wake.clone(), t.generation, t.subscription()))
    }
}
