//! The wake row: what its subscriber's stream says of a wake (wake specification, section 1.7).

use serde::Serialize;
use serde_json::value::RawValue;

use crate::entity::raw;
use crate::store::Tx;
use crate::stream::Matched;

/// A wake that is to be written.
pub(super) struct Wake<'a> {
    /// The match that it stands for, the last of them.
    pub(super) matched: &'a Matched<'a>,
    /// Nothing matched in time.
    pub(super) timeout: bool,
    /// The changes as JSON, parted by commas.
    pub(super) changes: &'a str,
    /// The child that has finished, as JSON.
    pub(super) finished: Option<&'a str>,
}

/// The row as JSON. Its key is where its cause stands: registration and position.
pub(super) fn row(tx: &Tx<'_>, wake: &Wake<'_>) -> String {
    let timestamp = tx.now.iso();
    let row = Row {
        r#type: "wake",
        key: format!("wake-{}-{}", wake.matched.registration, wake.matched.position),
        value: Value {
            timestamp: &timestamp,
            source: wake.matched.source,
            timeout: wake.timeout,
            changes: raw(&format!("[{}]", wake.changes)),
            finished_child: wake.finished.map(raw),
        },
        headers: Headers { operation: "insert" },
    };
    serde_json::to_string(&row).expect("our own values serialise")
}

#[derive(Serialize)]
struct Row<'a> {
    r#type: &'static str,
    key: String,
    value: Value<'a>,
    headers: Headers,
}

#[derive(Serialize)]
struct Value<'a> {
    timestamp: &'a str,
    source: &'a str,
    timeout: bool,
    changes: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_child: Option<Box<RawValue>>,
}

#[derive(Serialize)]
struct Headers {
    operation: &'static str,
}
