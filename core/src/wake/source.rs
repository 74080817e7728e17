//! What an append looks like to those who observe it: its source, and which runs it began and ended.

use std::collections::BTreeMap;

use crate::limits::ANSWERS;
use crate::store::{EntityRow, SqlError, StreamRow, Tx};
use crate::stream::{Event, Offset};

/// Where an append happened.
pub(crate) struct Source {
    pub(crate) stream: i64,
    /// The entity whose main stream it is.
    pub(crate) entity: Option<EntityRow>,
    /// What registrations call it: the entity's URL, or the stream's path.
    pub(crate) name: String,
    /// Whether anybody observes it.
    pub(super) watched: bool,
}

impl Source {
    pub(crate) fn of(tx: &Tx<'_>, stream: &StreamRow) -> Result<Self, SqlError> {
        let entity = match stream.entity_url() {
            Some(_) => tx.entity_by_id(stream.id)?,
            None => None,
        };
        let name = entity.as_ref().map_or_else(|| stream.path.clone(), |e| e.url.clone());
        let watched = tx.is_source(&name)?;
        Ok(Self { stream: stream.id, entity, name, watched })
    }

    /// A source by its name, whose stream may be gone.
    pub(super) fn named(tx: &Tx<'_>, stream: i64, name: &str) -> Result<Self, SqlError> {
        let entity = tx.entity_by_id(stream)?;
        Ok(Self { stream, entity, name: name.to_owned(), watched: tx.is_source(name)? })
    }

    /// Whether anything may come of an append: a run that begins or ends, or a wake.
    pub(crate) fn is_observed(&self) -> bool {
        self.watched || self.entity.is_some()
    }
}

/// The runs that an append began and ended.
pub(crate) struct Runs {
    /// Where the append begins.
    start: Offset,
    begun: Vec<String>,
    ended: Vec<String>,
    /// Where runs began that are forgotten by now.
    known: BTreeMap<String, i64>,
}

impl Runs {
    /// Runs of an append that was looked at before: where those began that it ended.
    pub(super) fn known(known: BTreeMap<String, i64>) -> Self {
        Self { start: Offset::ZERO, begun: Vec::new(), ended: Vec::new(), known }
    }

    /// Where the runs began that the append ends.
    pub(super) fn starts(&self, tx: &Tx<'_>, stream: i64) -> Result<BTreeMap<String, i64>, SqlError> {
        let start = |key: &String| Ok((key.clone(), self.start(tx, stream, key)?.bytes()));
        self.ended.iter().take(ANSWERS).map(start).collect()
    }

    /// Where a run began.
    pub(crate) fn start(&self, tx: &Tx<'_>, stream: i64, key: &str) -> Result<Offset, SqlError> {
        if let Some(start) = self.known.get(key) {
            return Ok(Offset::at(*start));
        }
        if self.begun.iter().any(|k| k == key) {
            return Ok(self.start);
        }
        Ok(tx.run_start(stream, key)?.unwrap_or(Offset::ZERO))
    }

    /// Forgets the runs that ended in an earlier append's place.
    pub(crate) fn settle(&self, tx: &Tx<'_>, stream: i64) -> Result<(), SqlError> {
        for key in self.ended.iter().filter(|k| !self.begun.contains(k)) {
            tx.end_run(stream, key)?;
        }
        Ok(())
    }
}

/// Remembers where the runs of an entity begin that an append leaves unfinished.
pub(crate) fn project_runs(
    tx: &Tx<'_>,
    source: &Source,
    events: &[Event<'_>],
    start: Offset,
) -> Result<Runs, SqlError> {
    let mut runs = Runs { start, begun: Vec::new(), ended: Vec::new(), known: BTreeMap::new() };
    if source.entity.is_none() {
        return Ok(runs);
    }
    for event in events.iter().filter(|e| e.kind.as_deref() == Some("run")) {
        let Some(key) = event.key.as_deref().filter(|k| k.len() <= 512) else { continue };
        if event.run_finished().is_some() {
            runs.ended.push(key.to_owned());
        } else if matches!(event.operation.as_deref(), Some("insert" | "upsert"))
            && !runs.begun.iter().any(|k| k == key)
        {
            runs.begun.push(key.to_owned());
        }
    }
    for key in runs.begun.iter().filter(|k| !runs.ended.contains(k)) {
        tx.begin_run(source.stream, key, start)?;
    }
    Ok(runs)
}
