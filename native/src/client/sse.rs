//! Event streams: `text/event-stream` as the server writes it, read piece by piece.

use std::collections::VecDeque;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::{Client, Failure, unreachable};

/// One event of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Its `event` field.
    pub(crate) event: String,
    /// Its `data` fields, joined by line ends.
    pub(crate) data: String,
}

/// An event stream that is being read.
#[derive(Debug)]
pub(crate) struct Events {
    body: Incoming,
    parser: Parser,
    ready: VecDeque<Message>,
}

impl Events {
    /// Opens the stream at a path; `query` says from where.
    pub(crate) async fn open(client: &Client, path: &str, offset: &str) -> Result<Self, Failure> {
        let body = client.stream(&format!("{path}?offset={offset}&live=sse")).await?;
        Ok(Self { body, parser: Parser::default(), ready: VecDeque::new() })
    }

    /// The next event; `None` when the server ended the stream, as it does now and then.
    pub(crate) async fn next(&mut self) -> Result<Option<Message>, Failure> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Ok(Some(message));
            }
            let frame = tokio::time::timeout(SILENCE, self.body.frame())
                .await
                .map_err(|_| Failure::Unreachable(format!("silent for {} s", SILENCE.as_secs())))?;
            match frame {
                None => return Ok(None),
                Some(frame) => {
                    let frame = frame.map_err(|error| unreachable(&error))?;
                    self.ready.extend(self.parser.feed(frame.data_ref().map_or(&[], |bytes| bytes)));
                }
            }
        }
    }
}

/// Bytes in, events out.
#[derive(Debug, Default)]
struct Parser {
    line: Vec<u8>,
    event: String,
    data: Vec<String>,
}

impl Parser {
    fn feed(&mut self, bytes: &[u8]) -> Vec<Message> {
        let mut messages = Vec::new();
        for byte in bytes {
            if *byte != b'\n' {
                self.line.push(*byte);
                continue;
            }
            let line = String::from_utf8_lossy(&self.line).trim_end_matches('\r').to_owned();
            self.line.clear();
            messages.extend(self.take(&line));
        }
        messages
    }

    fn take(&mut self, line: &str) -> Option<Message> {
        if line.is_empty() {
            let (event, data) = (std::mem::take(&mut self.event), std::mem::take(&mut self.data));
            return (!data.is_empty()).then(|| Message { event, data: data.join("\n") });
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event),
            "data" => self.data.push(value.to_owned()),
            _ => {}
        }
        None
    }
}

/// A quiet stream shows every 15 seconds that it lives.
const SILENCE: Duration = Duration::from_secs(45);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_out_however_the_bytes_were_cut() {
        let text =
            "event: data\ndata:[{\"a\":\"é\"},\ndata:2]\n\n: comment\n\nevent: control\r\ndata: {}\r\n\r\nevent: x\n";
        let want = [("data", "[{\"a\":\"é\"},\n2]"), ("control", "{}")];
        for size in [1, 2, 7, 1000] {
            let mut parser = Parser::default();
            let got: Vec<Message> = text.as_bytes().chunks(size).flat_map(|piece| parser.feed(piece)).collect();
            let got: Vec<(&str, &str)> = got.iter().map(|m| (m.event.as_str(), m.data.as_str())).collect();
            assert_eq!(got, want, "in pieces of {size}");
        }
    }
}
