//! A runner at the tail of its wake stream: by long-poll, or by server-sent events.

use std::net::SocketAddr;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use reveille_tests::Result;
use reveille_tests::client::{Ask, Connection};
use serde_json::Value as Json;

use crate::name::Runner;

/// Reads a wake stream from its start on, connecting again as often as it must.
#[derive(Debug)]
pub(crate) struct Tail {
    address: SocketAddr,
    runner: Runner,
    offset: String,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Poll(Connection),
    Listen(Option<Listening>),
}

/// An event stream.
#[derive(Debug)]
struct Listening {
    body: Incoming,
    /// What has come and is not taken yet.
    buffer: Vec<u8>,
    _connection: Connection,
}

impl Tail {
    /// Every other runner listens.
    pub(crate) async fn open(address: SocketAddr, runner: Runner) -> Result<Self> {
        let polls = runner.0.is_multiple_of(2);
        let way = if polls { Way::Poll(Connection::open(address).await?) } else { Way::Listen(None) };
        Ok(Self { address, runner, offset: "-1".to_owned(), way })
    }

    /// Waits for what comes next: any number of wake events.
    pub(crate) async fn next(&mut self) -> Result<Vec<Json>> {
        let ask = |live: &str| {
            let path = format!("/runners/{}/wake?offset={}&live={live}", self.runner.id(), self.offset);
            Ask::get(path).by(&self.runner.principal())
        };
        match &mut self.way {
            Way::Poll(connection) => {
                let answer = connection.expect(ask("long-poll")).await?;
                let next = answer.header("stream-next-offset");
                if !next.is_empty() {
                    next.clone_into(&mut self.offset);
                }
                if answer.body.is_empty() { Ok(Vec::new()) } else { array(answer.json()?) }
            }
            Way::Listen(Some(listening)) => {
                let Some((events, offset)) = listening.next().await? else {
                    self.way = Way::Listen(None);
                    return Ok(Vec::new());
                };
                self.offset = offset;
                Ok(events)
            }
            Way::Listen(none) => {
                let mut connection = Connection::open(self.address).await?;
                let body = connection.listen(ask("sse")).await?;
                *none = Some(Listening { body, buffer: Vec::new(), _connection: connection });
                Ok(Vec::new())
            }
        }
    }
}

impl Listening {
    /// What has come up to the next control event, and the offset that it tells; nothing once the answer has ended.
    async fn next(&mut self) -> Result<Option<(Vec<Json>, String)>> {
        let mut events = Vec::new();
        loop {
            let Some((kind, data)) = self.event().await? else { return Ok(None) };
            let data: Json = serde_json::from_str(&data)?;
            match kind.as_str() {
                "data" => events.extend(array(data)?),
                "control" => {
                    let offset = data["streamNextOffset"].as_str().ok_or("a control event without an offset")?;
                    return Ok(Some((events, offset.to_owned())));
                }
                _ => return Err(format!("an event of the kind `{kind}`").into()),
            }
        }
    }

    async fn event(&mut self) -> Result<Option<(String, String)>> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|two| two == b"\n\n") {
                let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
                return Ok(Some(fields(std::str::from_utf8(&block)?)));
            }
            // Ended in the middle or not, it is read again from the last offset on.
            let Some(Ok(frame)) = self.body.frame().await else { return Ok(None) };
            self.buffer.extend_from_slice(frame.data_ref().map_or(&[], |bytes| bytes));
        }
    }
}

/// The kind and the data of an event.
fn fields(block: &str) -> (String, String) {
    let (mut kind, mut data) = (String::new(), Vec::new());
    for line in block.lines() {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => value.clone_into(&mut kind),
            "data" => data.push(value),
            _ => {}
        }
    }
    (kind, data.join("\n"))
}

fn array(events: Json) -> Result<Vec<Json>> {
    match events {
        Json::Array(events) => Ok(events),
        other => Err(format!("a wake stream brought {other}").into()),
    }
}
