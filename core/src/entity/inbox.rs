//! The inbox: messages as rows of an entity's stream (control plane, section 10.6).

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use serde_json::value::RawValue;

use super::view::raw;
use crate::http::Error;
use crate::store::{EntityRow, StreamRow, Tx};
use crate::stream::{Cause, Content, Why, write};

/// What the key of a message begins with that a row of a manifest scheduled; its producer follows.
pub(super) const SCHEDULED: &str = "scheduled-";

/// A message on its way into an inbox.
#[derive(Debug)]
pub(super) struct Message<'a> {
    pub(super) payload: &'a RawValue,
    /// Where it was sent from; the caller's URL when `None`.
    pub(super) from: Option<String>,
    pub(super) from_principal: Option<String>,
    pub(super) from_agent: Option<String>,
    pub(super) key: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) mode: Option<String>,
    pub(super) position: Option<String>,
}

/// A message that waits in the store.
#[derive(Serialize, Deserialize)]
pub(super) struct Stored {
    payload: Box<RawValue>,
    from: Option<String>,
    from_principal: Option<String>,
    from_agent: Option<String>,
    key: Option<String>,
    kind: Option<String>,
    mode: Option<String>,
    position: Option<String>,
    /// What makes it arrive once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) producer: Option<String>,
    /// The row of a manifest that it stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) entry: Option<Box<RawValue>>,
}

impl<'a> Message<'a> {
    /// The first message of an entity, from whoever spawns it.
    pub(super) fn first(payload: &'a RawValue, kind: Option<String>) -> Self {
        Self {
            payload,
            from: None,
            from_principal: None,
            from_agent: None,
            key: None,
            kind,
            mode: None,
            position: None,
        }
    }

    pub(super) fn stored(&self) -> String {
        self.stored_for(None)
    }

    /// The same with what makes it arrive once, and the row of a manifest that it stands for.
    pub(super) fn stored_for(&self, manifest: Option<(&str, &Json)>) -> String {
        let stored = Stored {
            payload: self.payload.to_owned(),
            from: self.from.clone(),
            from_principal: self.from_principal.clone(),
            from_agent: self.from_agent.clone(),
            key: self.key.clone(),
            kind: self.kind.clone(),
            mode: self.mode.clone(),
            position: self.position.clone(),
            producer: manifest.map(|(producer, _)| producer.to_owned()),
            entry: manifest.map(|(_, entry)| raw(&entry.to_string())),
        };
        serde_json::to_string(&stored).expect("our own values serialise")
    }

    pub(super) fn restored(stored: &'a Stored) -> Self {
        Self {
            payload: &stored.payload,
            from: stored.from.clone(),
            from_principal: stored.from_principal.clone(),
            from_agent: stored.from_agent.clone(),
            key: stored.key.clone(),
            kind: stored.kind.clone(),
            mode: stored.mode.clone(),
            position: stored.position.clone(),
        }
    }
}

#[derive(Serialize)]
struct Row<'a> {
    r#type: &'static str,
    key: &'a str,
    value: Value<'a>,
    headers: Headers<'a>,
}

#[derive(Serialize)]
struct Headers<'a> {
    txid: &'a str,
    operation: &'static str,
}

#[derive(Serialize)]
struct Value<'a> {
    from: &'a str,
    payload: &'a RawValue,
    timestamp: &'a str,
    mode: &'a str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_principal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_agent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    processed_at: Option<&'a str>,
}

/// Appends a message to an entity's stream under the string `txid` that its sender waits for.
pub(super) fn append(
    tx: &Tx<'_>,
    entity: &EntityRow,
    stream: &mut StreamRow,
    message: &Message<'_>,
    txid: &str,
    cause: Cause<'_>,
) -> Result<(), Error> {
    let now = tx.now.iso();
    let mode = message.mode.as_deref().unwrap_or("immediate");
    let waits = matches!(mode, "queued" | "paused");
    let place = message.position.clone().or_else(|| waits.then(|| format!("{:016}:a0", tx.now.as_millis())));
    let key = message.key.clone().unwrap_or_else(|| format!("msg-in-{}-{}", tx.now.as_millis(), tx.draw.base36::<6>()));
    let from = message.from.as_deref().unwrap_or(&entity.created_by);
    let row = Row {
        r#type: "inbox",
        key: &key,
        value: Value {
            from,
            payload: message.payload,
            timestamp: &now,
            mode,
            status: if waits { "pending" } else { "processed" },
            from_principal: message.from_principal.as_deref(),
            from_agent: message.from_agent.as_deref(),
            message_type: message.kind.as_deref(),
            position: place,
            processed_at: (!waits).then_some(now.as_str()),
        },
        headers: Headers { txid, operation: "insert" },
    };
    let event = serde_json::to_string(&row).expect("our own values serialise");
    let cause = Cause { why: Why::Message { from, key: &key }, ..cause };
    write(tx, stream, &Content::Json(vec![&event]), cause)?;
    Ok(())
}
