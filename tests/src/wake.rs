//! A wake as its agent is told of it, by webhook or by claim, and what the agent asks under it.

use serde_json::{Value as Json, json};

use crate::Result;
use crate::client::Ask;

/// What a webhook's body and the answer to a runner's claim say.
#[derive(Clone, Debug)]
pub struct Wake {
    /// The URL of the entity.
    pub entity: String,
    /// The wake's id.
    pub id: String,
    /// Its generation.
    pub epoch: u64,
    /// The entity's main stream.
    pub stream: String,
    /// Where that ended when the wake was told.
    pub tail: String,
    token: String,
}

impl Wake {
    /// Reads a notification.
    pub fn of(notification: &Json) -> Result<Self> {
        let text = |at: &str| {
            let member = notification.pointer(at).and_then(Json::as_str).map(str::to_owned);
            member.ok_or_else(|| format!("no `{at}` in the notification {notification}"))
        };
        Ok(Self {
            entity: text("/entity/url")?,
            id: text("/wakeId")?,
            epoch: notification["epoch"].as_u64().ok_or("no `epoch` in the notification")?,
            stream: text("/streamPath")?,
            tail: text("/streams/0/offset")?,
            token: text("/claimToken")?,
        })
    }

    /// Claims it at its callback, which gives a write token: [`write_token`] of the answer.
    pub fn claim(&self) -> Ask {
        self.callback(&json!({ "epoch": self.epoch, "wakeId": self.id }))
    }

    /// Keeps it.
    pub fn heartbeat(&self) -> Ask {
        self.callback(&json!({ "epoch": self.epoch }))
    }

    /// Ends it, and acknowledges its stream up to an offset.
    pub fn done(&self, offset: &str) -> Ask {
        let acks = json!([{ "path": self.stream, "offset": offset }]);
        self.callback(&json!({ "epoch": self.epoch, "acks": acks, "done": true }))
    }

    fn callback(&self, body: &Json) -> Ask {
        Ask::post(format!("/_electric/wake-callbacks/{}", self.id), body).under(&self.token)
    }
}

/// The write token in the answer to a claim.
pub fn write_token(answer: &Json) -> Result<String> {
    answer["writeToken"].as_str().map(str::to_owned).ok_or_else(|| "no write token".into())
}
