//! Messages across the boundary: headers as lines of text, bodies as bytes, and what the engine gives back as calls.
//!
//! An answer is handed to JavaScript by calling a method with plain arguments, which needs no object to be built
//! property by property. Such a method only takes note: it must not call into the instance.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use reveille_core::Topic;
use reveille_core::http::{Request, Response};
use reveille_core::store::Table;
use reveille_core::tenant::Principal;
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// Where the turns of a batch go.
    pub type Outbox;

    /// A request is answered.
    #[wasm_bindgen(method)]
    pub(crate) fn reply(this: &Outbox, ticket: f64, status: u16, headers: String, body: Vec<u8>);

    /// An HTTP request is to be made; of the answer's headers those come back whose names are `wanted`, parted by blanks.
    #[wasm_bindgen(method)]
    #[allow(clippy::too_many_arguments, reason = "the fields of `Fetch`")]
    pub(crate) fn fetch(
        this: &Outbox,
        id: String,
        method: &str,
        url: String,
        headers: String,
        body: Vec<u8>,
        wanted: String,
        time_limit: f64,
        size_limit: u32,
    );

    /// What live reads wait for has moved.
    #[wasm_bindgen(method)]
    pub(crate) fn notify(this: &Outbox, topic: f64, from: f64, to: f64, bytes: Option<Vec<u8>>);

    /// In how many milliseconds the next timer is due, and whether this batch wrote anything.
    #[wasm_bindgen(method)]
    pub(crate) fn deadline(this: &Outbox, after: Option<f64>, wrote: bool);

    /// The store failed outside of any command.
    #[wasm_bindgen(method)]
    pub(crate) fn failed(this: &Outbox, message: String);

    /// Where the answer of the gate goes, the answer to a read, and each piece of a live one.
    pub type Reading;

    /// The request is admitted: who calls, how long its body may be, and whether its route only reads.
    #[wasm_bindgen(method)]
    pub(crate) fn admitted(this: &Reading, by: Option<String>, limit: u32, reads: bool);

    /// The answer is a live read, to be driven by the number `live`, that waits for `topics`.
    #[wasm_bindgen(method)]
    pub(crate) fn live(this: &Reading, live: u32, topics: Vec<f64>);

    /// A whole response.
    #[wasm_bindgen(method)]
    pub(crate) fn respond(this: &Reading, status: u16, headers: String, body: Vec<u8>);

    /// The head of a response whose body follows in pieces.
    #[wasm_bindgen(method)]
    pub(crate) fn open(this: &Reading, status: u16, headers: String);

    /// A piece of the body.
    #[wasm_bindgen(method)]
    pub(crate) fn send(this: &Reading, bytes: Vec<u8>);

    /// The last piece of the body.
    #[wasm_bindgen(method)]
    pub(crate) fn finish(this: &Reading, bytes: Vec<u8>);

    /// Nothing yet: ask again when a topic moves, and at the latest after so many milliseconds.
    #[wasm_bindgen(method)]
    pub(crate) fn wait(this: &Reading, after: Option<f64>);

    /// The read wants something remembered, which a number names.
    #[wasm_bindgen(method)]
    pub(crate) fn touch(this: &Reading, number: f64);

    /// The store failed.
    #[wasm_bindgen(method)]
    pub(crate) fn failed(this: &Reading, message: String);
}

/// A request from its parts. `headers` are lines `name: value`; a line that is no header is left out.
pub(crate) fn request(
    method: &str,
    path: String,
    query: String,
    headers: &str,
    body: Vec<u8>,
    by: Option<&str>,
    origin: Option<String>,
) -> Request {
    Request {
        method: self::method(method),
        path,
        query,
        headers: headers_of(headers),
        body,
        by: by.and_then(Principal::parse),
        origin,
    }
}

/// A method from its name; what is no method at all is one that no route has.
pub(crate) fn method(name: &str) -> Method {
    Method::from_bytes(name.as_bytes()).unwrap_or(Method::TRACE)
}

/// Headers from lines `name: value`. JavaScript shows each byte of a value as a character. One that no header can have makes
/// its value unreadable, rather than absent: who is named so is not nobody.
pub(crate) fn headers_of(lines: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines.lines() {
        let Some((name, value)) = line.split_once(": ") else { continue };
        let byte = |c: char| u8::try_from(c).ok().filter(|b| *b == b'\t' || *b >= b' ' && *b != 127).unwrap_or(0xff);
        let value = if value.bytes().all(|b| (b' '..127).contains(&b)) {
            HeaderValue::from_str(value)
        } else {
            HeaderValue::from_bytes(&value.chars().map(byte).collect::<Vec<_>>())
        };
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), value) {
            headers.append(name, value);
        }
    }
    headers
}

/// Lines `name: value` from headers.
pub(crate) fn lines(headers: &HeaderMap) -> String {
    lines_of(headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())))
}

/// Lines `name: value` from pairs.
pub(crate) fn lines_of<'a>(headers: impl Iterator<Item = (&'a str, &'a [u8])>) -> String {
    let mut lines = String::with_capacity(512);
    for (name, value) in headers {
        lines.push_str(name);
        lines.push_str(": ");
        lines.extend(value.iter().map(|byte| char::from(*byte)));
        lines.push('\n');
    }
    lines
}

/// A topic as a number: a stream's row, 0 for the virtual clock, below that a table of shapes.
pub(crate) fn topic_number(topic: Topic) -> f64 {
    match topic {
        Topic::Stream(row) => row as f64,
        Topic::Clock => 0.0,
        Topic::Table(table) => -(table.number() as f64),
    }
}

/// The topic of a number.
pub(crate) fn topic(number: f64) -> Topic {
    let table = Table::of(-(number as i64)).map(Topic::Table);
    if number == 0.0 { Topic::Clock } else { table.unwrap_or(Topic::Stream(number as i64)) }
}

/// The parts of a response.
pub(crate) fn parts(response: Response) -> (u16, String, Vec<u8>) {
    (response.status.as_u16(), lines(&response.headers), response.body)
}
