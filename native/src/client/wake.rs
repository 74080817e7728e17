//! The life of a wake, from an agent's side: claim it, read what is new, append under its write token, keep it alive, end
//! it.
//!
//! An agent that keeps nothing in memory must find on its stream what it has already consumed. So each wake's last append
//! carries an `ack` row with the offset up to which rows were consumed, in one piece with what was made of them: if the
//! agent dies before the server hears of it, the wake comes again, and nothing is new.

use bytes::Bytes;
use hyper::Method;
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};

use super::{Client, Failure};

/// A wake that this process holds.
#[derive(Debug)]
pub(crate) struct Wake {
    client: Client,
    /// What the server said of it, without its tokens.
    pub(crate) notification: Json,
    /// The stream it is about, an entity's main stream.
    pub(crate) stream: String,
    id: String,
    epoch: i64,
    claim_token: String,
    write_token: String,
    appends: u64,
}

/// A row of an entity's stream.
#[derive(Debug)]
pub(crate) struct Row {
    /// It, parsed.
    pub(crate) json: Json,
    /// It, as it was sent.
    pub(crate) raw: Box<RawValue>,
}

/// What is on a stream after an offset.
#[derive(Debug)]
pub(crate) struct Rows {
    /// In order.
    pub(crate) rows: Vec<Row>,
    /// Where they end.
    pub(crate) end: String,
}

impl Wake {
    /// Takes a wake of which a notification tells: a webhook's body, or the answer to a runner's claim. The notification
    /// must name a stream and carry a token, or there is nothing to take.
    pub(crate) async fn claim(client: &Client, mut notification: Json) -> Result<Self, Failure> {
        let text = |name: &str| notification[name].as_str().unwrap_or("").to_owned();
        let (id, stream, claim_token) = (text("wakeId"), text("streamPath"), text("claimToken"));
        let epoch = notification["epoch"].as_i64().unwrap_or(0);
        if let Some(members) = notification.as_object_mut() {
            members.retain(|name, _| !matches!(name.as_str(), "claimToken" | "callback_token"));
        }
        let mut wake = Self {
            client: client.clone(),
            notification,
            stream,
            id,
            epoch,
            claim_token,
            write_token: String::new(),
            appends: 0,
        };
        let body = json!({ "epoch": epoch, "wakeId": wake.id }).to_string();
        let (path, headers) = wake.callback();
        let answer = client.call_patiently(Method::POST, &path, &headers, body.into()).await?.json();
        answer["writeToken"].as_str().unwrap_or("").clone_into(&mut wake.write_token);
        Ok(wake)
    }

    /// Its id, the same for each announcement of it.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// How many wakes its subscription has had, this one included.
    pub(crate) fn epoch(&self) -> i64 {
        self.epoch
    }

    /// What lets its holder write to the entity's stream.
    pub(crate) fn write_token(&self) -> &str {
        &self.write_token
    }

    /// The entity's URL.
    pub(crate) fn entity(&self) -> &str {
        self.stream.strip_suffix("/main").unwrap_or(&self.stream)
    }

    /// Reads the entity's stream after `offset`; `-1` is its beginning.
    pub(crate) async fn read(&self, offset: &str) -> Result<Rows, Failure> {
        let (mut rows, mut end) = (Vec::new(), offset.to_owned());
        loop {
            let path = format!("{}?offset={end}", self.stream);
            let answer = self.client.call_patiently(Method::GET, &path, &[], Bytes::new()).await?;
            let raws: Vec<Box<RawValue>> = serde_json::from_slice(answer.bytes()).unwrap_or_default();
            rows.extend(
                raws.into_iter().map(|raw| Row { json: serde_json::from_str(raw.get()).unwrap_or_default(), raw }),
            );
            let next = answer.header("stream-next-offset");
            let complete = answer.header("stream-up-to-date") == "true" || next == end || next.is_empty();
            if !next.is_empty() {
                next.clone_into(&mut end);
            }
            if complete {
                return Ok(Rows { rows, end });
            }
        }
    }

    /// Appends rows to the entity's stream, in one piece and once, however often it must be tried: JSON texts. Says where
    /// they end.
    pub(crate) async fn append(&mut self, rows: &[String]) -> Result<String, Failure> {
        let body = Bytes::from(format!("[{}]", rows.join(",")));
        let (producer, seq) = (format!("wake:{}:{}", self.id, self.epoch), self.appends.to_string());
        let headers = [
            ("electric-claim-token", self.write_token.as_str()),
            ("producer-id", &producer),
            ("producer-epoch", "0"),
            ("producer-seq", &seq),
        ];
        let answer = self.client.call_patiently(Method::POST, &self.stream, &headers, body).await?;
        self.appends += 1;
        Ok(answer.header("stream-next-offset").to_owned())
    }

    /// A call in the agent's own name, which its write token proves.
    pub(crate) async fn call_as_agent(&self, path: &str, mut body: Json) -> Result<(), Failure> {
        body["from_agent"] = self.entity().into();
        let (headers, body) = ([("electric-claim-token", self.write_token.as_str())], Bytes::from(body.to_string()));
        self.client.call_patiently(Method::POST, path, &headers, body).await.map(|_| ())
    }

    /// Extends the lease.
    pub(crate) async fn keep(&self) -> Result<(), Failure> {
        let (path, headers) = self.callback();
        self.client
            .call(Method::POST, &path, &headers, json!({ "epoch": self.epoch }).to_string().into())
            .await
            .map(|_| ())
    }

    /// Ends the wake. What is acknowledged wakes nobody any more; without an offset everything is announced again. Says
    /// whether more is pending.
    pub(crate) async fn done(&self, offset: Option<&str>) -> Result<bool, Failure> {
        let acks: Vec<Json> =
            offset.map(|offset| json!({ "path": self.stream, "offset": offset })).into_iter().collect();
        let body = json!({ "epoch": self.epoch, "acks": acks, "done": true });
        let (path, headers) = self.callback();
        let answer = self.client.call_patiently(Method::POST, &path, &headers, body.to_string().into()).await?;
        Ok(answer.json()["next_wake"] == true)
    }

    /// Where the wake is claimed, kept and ended, and what proves that it is ours.
    fn callback(&self) -> (String, [(&'static str, &str); 1]) {
        (format!("/_electric/wake-callbacks/{}", self.id), [("electric-claim-token", &self.claim_token)])
    }
}

/// A row to be appended.
pub(crate) fn row(kind: &str, key: &str, value: Json, operation: &str) -> Json {
    json!({ "type": kind, "key": key, "value": value, "headers": { "operation": operation } })
}

/// The row that says up to where rows were consumed.
pub(crate) fn ack(offset: &str) -> Json {
    row("ack", "reveille", json!({ "offset": offset }), "upsert")
}

impl Row {
    /// A row from its JSON.
    pub(crate) fn of(json: &Json) -> Self {
        let raw = RawValue::from_string(json.to_string()).unwrap_or_else(|_| RawValue::NULL.to_owned());
        Self { json: json.clone(), raw }
    }

    /// Where it ends on the stream.
    pub(crate) fn offset(&self) -> &str {
        self.json["headers"]["offset"].as_str().unwrap_or("")
    }

    /// Whether it is a reason to run: a message, or a wake row.
    pub(crate) fn calls(&self) -> bool {
        let inserted = self.json["headers"]["operation"] == "insert";
        let cancelled = self.json["value"]["status"] == "cancelled";
        inserted && !cancelled && (self.json["type"] == "inbox" || self.json["type"] == "wake")
    }
}

/// The rows that are reasons to run and were not consumed yet.
pub(crate) fn fresh(rows: &[Row]) -> Vec<&Row> {
    let acks = rows.iter().filter(|row| row.json["type"] == "ack" && row.json["key"] == "reveille");
    let seen = acks.filter_map(|row| row.json["value"]["offset"].as_str()).max().unwrap_or("");
    rows.iter().filter(|row| row.calls() && row.offset() > seen).collect()
}

/// The offset to acknowledge: `end`, unless somebody called meanwhile; then what lies before that. `after` are the rows
/// since what was consumed, which ends at `seen`.
pub(crate) fn consumed<'a>(after: &'a [Row], seen: &'a str, end: &'a str) -> &'a str {
    match after.iter().position(Row::calls) {
        None => end,
        // Rows of one append share their offset.
        Some(at) => after[..at].iter().map(Row::offset).filter(|o| *o < after[at].offset()).max().unwrap_or(seen),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(kind: &str, offset: &str, value: Json) -> Row {
        let mut json = row(kind, "reveille", value, if kind == "ack" { "upsert" } else { "insert" });
        json["headers"]["offset"] = offset.into();
        Row::of(&json)
    }

    #[test]
    fn what_was_acknowledged_is_not_fresh() {
        let rows = [
            at("entity_created", "1", json!({})),
            at("inbox", "2", json!({ "payload": 1 })),
            at("inbox", "4", json!({ "payload": 2 })),
            at("run", "5", json!({ "status": "started" })),
            at("ack", "5", json!({ "offset": "2" })),
            at("inbox", "6", json!({ "payload": 3, "status": "cancelled" })),
            at("wake", "7", json!({ "source": "/a/b" })),
        ];
        let offsets = |rows: &[Row]| fresh(rows).iter().map(|r| r.offset().to_owned()).collect::<Vec<_>>();
        assert_eq!(offsets(&rows), ["4", "7"]);
        assert_eq!(offsets(&rows[..4]), ["2", "4"]);
        assert!(offsets(&rows[..1]).is_empty());
    }

    #[test]
    fn what_came_meanwhile_is_not_acknowledged() {
        let quiet = [at("run", "5", json!({})), at("run", "6", json!({}))];
        assert_eq!(consumed(&quiet, "4", "6"), "6");
        let called = [at("run", "5", json!({})), at("inbox", "6", json!({})), at("run", "7", json!({}))];
        assert_eq!(consumed(&called, "4", "7"), "5");
        assert_eq!(consumed(&called[1..], "4", "7"), "4");
        let together = [at("run", "5", json!({})), at("wake", "5", json!({}))];
        assert_eq!(consumed(&together, "4", "5"), "4");
    }
}
