//! What the rows of an entity's stream say at some place in it. This is the one decision that reads a stream back: of
//! where a fork may branch off, no table knows what was.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;
use serde_json::value::RawValue;

use super::TooLarge;
use super::point::{Point, events};
use crate::entity::{attachments, inbox};
use crate::limits::{FORK_BYTES, FORK_ROWS, FORK_TOLD};
use crate::store::{EntityRow, SqlError, StreamRow, Tx};
use crate::stream::{Event, Offset, json};
use crate::wake::{self, Scheduled, Send};

/// The rows of a stream that may name what is forked with it: the last value of each, as JSON, by its key.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    pub(super) manifests: Rows,
    pub(super) statuses: Rows,
    pub(super) watermarks: Rows,
    /// The producers of the messages that rows of the manifest schedule and that have not come.
    coming: BTreeSet<String>,
    /// How much room all of them take.
    bytes: usize,
}

/// Rows by their keys.
pub(super) type Rows = BTreeMap<String, String>;

/// A stream that is read back, in as many transactions as that takes.
#[derive(Clone, Debug, Default)]
pub(super) struct Replay {
    pub(super) told: Told,
    /// Up to where it was read.
    at: Offset,
}

impl Replay {
    pub(super) fn has_begun(&self) -> bool {
        self.at > Offset::ZERO
    }

    /// Whether it has come to a place, or to the stream's end.
    pub(super) fn is_there(&self, stream: &StreamRow, upto: Option<&Point>) -> bool {
        match upto {
            Some(point) if point.sub == 0 => self.at >= point.at,
            Some(point) => self.at > point.at,
            None => self.at >= stream.tail,
        }
    }

    /// Reads on to a place, or to the stream's end, as far as `left` bytes go. Says whether it has come there.
    pub(super) fn go_on(
        &mut self,
        tx: &Tx<'_>,
        stream: &StreamRow,
        upto: Option<&Point>,
        left: &mut usize,
    ) -> Result<bool, SqlError> {
        let (told, mut before) = (&mut self.told, self.at);
        self.at = tx.entries_apart(stream, self.at, *left, |end, entry| {
            let events = events(entry);
            let counts = match upto {
                Some(point) if before == point.at && end > point.at => usize::try_from(point.sub).unwrap_or(0),
                Some(point) if end > point.at => 0,
                _ => events.len(),
            };
            events.iter().take(counts).for_each(|event| told.hear(&Event::of(event)));
            before = end;
            *left = left.saturating_sub(entry.len().max(1));
        })?;
        Ok(self.is_there(stream, upto))
    }
}

impl Told {
    fn hear(&mut self, event: &Event<'_>) {
        let rows = match event.kind.as_deref() {
            Some("manifest") => &mut self.manifests,
            Some("child_status") => &mut self.statuses,
            Some("replay_watermark") => &mut self.watermarks,
            Some("inbox") => return self.hear_message(event),
            _ => return,
        };
        let Some(key) = event.key.as_deref() else { return };
        let room = |value: &str| ROW + key.len() + value.len();
        let value = event.value.map(RawValue::get).filter(|_| event.operation.as_deref() != Some("delete"));
        let was = match value {
            Some(value) => rows.insert(key.to_owned(), value.to_owned()),
            None => rows.remove(key),
        };
        self.bytes = self.bytes + value.map_or(0, room) - was.as_deref().map_or(0, room);
        if event.kind.as_deref() == Some("manifest") {
            self.hear_schedule(was.as_deref(), value);
        }
    }

    /// A row takes the place of another. What it schedules may have come, if that one scheduled it, too.
    fn hear_schedule(&mut self, was: Option<&str>, is: Option<&str>) {
        let [was, is] = [was, is].map(|row| row.and_then(scheduled).map(|send| send.producer));
        if was != is {
            was.map(|producer| self.coming.remove(&producer));
            self.coming.extend(is);
        }
    }

    fn hear_message(&mut self, event: &Event<'_>) {
        if let Some(producer) = event.key.as_deref().and_then(|key| key.strip_prefix(inbox::SCHEDULED)) {
            self.coming.remove(producer);
        }
    }

    /// The messages that rows of the manifest schedule.
    pub(super) fn scheduled(&self) -> impl Iterator<Item = Scheduled> {
        self.manifests.values().filter_map(|row| scheduled(row))
    }

    /// Whether a message came to this entity that a row of its manifest schedules for it.
    pub(super) fn has_come(&self, producer: &str) -> bool {
        !self.coming.contains(producer)
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

    /// The keys of the files that the manifest names.
    pub(super) fn files(&self) -> impl Iterator<Item = &String> {
        self.manifests.keys().filter(|key| attachments::is_key(key))
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

/// The message that a row still schedules.
fn scheduled(row: &str) -> Option<Scheduled> {
    // Few rows do, and to parse all of them takes long.
    let row = row.contains("future_send").then(|| parse(row))?;
    match wake::manifest(&row).ok()?.send {
        Send::At(scheduled) => Some(scheduled),
        Send::Keep | Send::Cancel => None,
    }
}

/// A row's value.
pub(super) fn parse(value: &str) -> Json {
    json::parse(value).unwrap_or_default()
}

/// Refuses to read back more than anybody has patience for.
pub(super) fn check_size<'a>(
    root: &EntityRow,
    streams: impl IntoIterator<Item = &'a StreamRow>,
) -> Result<(), TooLarge> {
    let bytes: i64 = streams.into_iter().map(|stream| stream.tail.bytes()).sum();
    refuse_if(bytes > FORK_BYTES, root, || format!("its events are more than {FORK_BYTES} bytes"))
}

/// Refuses to make more rows anew than fit into one transaction.
pub(super) fn check_rows<'a>(root: &EntityRow, told: impl IntoIterator<Item = &'a Told>) -> Result<(), TooLarge> {
    let rows: usize = told.into_iter().map(Told::rows).sum();
    refuse_if(rows > FORK_ROWS, root, || format!("its manifests have more than {FORK_ROWS} rows"))
}

/// Refuses to keep more of them in memory than there is room for.
pub(super) fn check_room<'a>(root: &EntityRow, told: impl IntoIterator<Item = &'a Told>) -> Result<(), TooLarge> {
    let bytes: usize = told.into_iter().map(|told| told.bytes).sum();
    refuse_if(bytes > FORK_TOLD, root, || format!("its manifests are more than {FORK_TOLD} bytes"))
}

fn refuse_if(refused: bool, root: &EntityRow, what: impl Fn() -> String) -> Result<(), TooLarge> {
    if refused { Err(TooLarge { url: root.url.clone(), what: what() }) } else { Ok(()) }
}

/// About how much memory a row takes besides its key and its value.
const ROW: usize = 96;
