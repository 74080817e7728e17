//! What the rows of an entity's stream say at some place in it. This is the one decision that reads a stream back: of
//! where a fork may branch off, no table knows what was.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::TooLarge;
use super::point::{Point, events};
use crate::limits::{FORK_BYTES, FORK_ROWS};
use crate::store::{EntityRow, SqlError, StreamRow, Tx};
use crate::stream::{Event, Offset};

/// The rows of a stream that may name what is forked with it: the last value of each, as JSON, by its key.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) manifests: Rows,
    pub(super) statuses: Rows,
    pub(super) watermarks: Rows,
}

/// Rows by their keys.
pub(super) type Rows = BTreeMap<String, String>;

impl Told {
    /// What a stream says at a place, or at its end.
    pub(super) fn of(tx: &Tx<'_>, stream: &StreamRow, upto: Option<&Point>) -> Result<Self, SqlError> {
        let (mut told, mut before) = (Self::default(), Offset::ZERO);
        tx.entries_apart(stream, Offset::ZERO, |end, entry| {
            let events = events(entry);
            let counts = match upto {
                Some(point) if before == point.at && end > point.at => usize::try_from(point.sub).unwrap_or(0),
                Some(point) if end > point.at => 0,
                _ => events.len(),
            };
            events.iter().take(counts).for_each(|event| told.hear(&Event::of(event)));
            before = end;
        })?;
        Ok(told)
    }

    fn hear(&mut self, event: &Event<'_>) {
        let rows = match event.kind.as_deref() {
            Some("manifest") => &mut self.manifests,
            Some("child_status") => &mut self.statuses,
            Some("replay_watermark") => &mut self.watermarks,
            _ => return,
        };
        let Some(key) = event.key.as_deref() else { return };
        match event.value.filter(|_| event.operation.as_deref() != Some("delete")) {
            Some(value) => rows.insert(key.to_owned(), value.get().to_owned()),
            None => rows.remove(key),
        };
    }

    /// The URLs of the children that the manifest names.
    pub(super) fn children(&self) -> Vec<String> {
        let values = self.manifests.values().map(|value| parse(value));
        let children = values.filter(|value| value["kind"] == "child");
        let mut urls: Vec<String> =
            children.filter_map(|child| child["entity_url"].as_str().map(str::to_owned)).collect();
        urls.sort();
        urls.dedup();
        urls
    }

    /// Whether the bytes under an attachment's key are the same at another place. An id may be used again.
    pub(super) fn has_same_file(&self, other: &Self, key: &str) -> bool {
        let bytes = |told: &Self| told.manifests.get(key).map(|row| parse(row)["sha256"].clone());
        bytes(self) == bytes(other)
    }

    fn rows(&self) -> usize {
        self.manifests.len() + self.statuses.len() + self.watermarks.len()
    }
}

/// A row's value.
pub(super) fn parse(value: &str) -> Json {
    serde_json::from_str(value).unwrap_or_default()
}

/// Refuses to read back more than fits into one transaction.
pub(super) fn check_size<'a>(
    root: &EntityRow,
    streams: impl IntoIterator<Item = &'a StreamRow>,
) -> Result<(), TooLarge> {
    let bytes: i64 = streams.into_iter().map(|stream| stream.tail.bytes()).sum();
    refuse_if(bytes > FORK_BYTES, root, || format!("its events are more than {FORK_BYTES} bytes"))
}

/// Refuses to make more rows anew than fit into one transaction.
pub(super) fn check_rows(root: &EntityRow, told: &[Told]) -> Result<(), TooLarge> {
    let rows: usize = told.iter().map(Told::rows).sum();
    refuse_if(rows > FORK_ROWS, root, || format!("its manifests have more than {FORK_ROWS} rows"))
}

fn refuse_if(refused: bool, root: &EntityRow, what: impl Fn() -> String) -> Result<(), TooLarge> {
    if refused { Err(TooLarge { url: root.url.clone(), what: what() }) } else { Ok(()) }
}
