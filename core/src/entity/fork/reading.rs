//! What a fork has read back so far. What is long is read in as many transactions as that takes, while the server does other
//! things in between; what has come meanwhile is read in the one that makes the fork.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ask::Place;
use super::point::{Point, Search, children};
use super::replay::{Replay, Told, check_room, check_rows, check_size};
use crate::http::Error;
use crate::limits::FORK_READ;
use crate::store::{EntityRow, SqlError, StreamRow, Tx};

/// What has been read; copies of it share what is finished.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    search: Search,
    point: Option<Point>,
    children: Option<Arc<[String]>>,
    replays: BTreeMap<i64, Arc<Replay>>,
}

/// Where a fork branches off: the end of everything, or a place in its root's past with the children that were known there.
pub(super) type Branch = Option<(Point, Arc<[String]>)>;

/// The streams of what is copied, and what they say.
pub(super) type Sources = Vec<(StreamRow, Told)>;

/// How much may still be read in a transaction.
pub(super) struct Left(usize);

impl Left {
    pub(super) fn new() -> Self {
        Self(FORK_READ)
    }
}

impl Reading {
    /// Whether it takes room.
    pub(super) fn is_large(&self) -> bool {
        !self.replays.is_empty()
    }

    /// What of it is small.
    pub(super) fn without_streams(&self) -> Self {
        Self { replays: BTreeMap::new(), ..self.clone() }
    }

    /// Where the fork branches off; nothing while there is more to read for that.
    ///
    /// # Errors
    /// There is no such place, or too much before it.
    pub(super) fn branch(
        &mut self,
        tx: &Tx<'_>,
        root: &EntityRow,
        place: &Place,
        left: &mut Left,
    ) -> Result<Option<Branch>, Error> {
        if matches!(place, Place::Head) {
            return Ok(Some(None));
        }
        if let (Some(point), Some(children)) = (self.point, &self.children) {
            return Ok(Some(Some((point, Arc::clone(children)))));
        }
        let stream = main(tx, root)?;
        check_size(root, [&stream])?;
        let point = match self.point {
            Some(point) => point,
            None => match self.search.go_on(tx, &stream, place, &mut left.0)? {
                Some((at, sub)) => *self.point.insert(Point { at, sub }),
                None => return Ok(None),
            },
        };
        if !self.replay(tx, root, &stream, Some(&point), left)? {
            return Ok(None);
        }
        let Some(replay) = self.replays.get(&stream.id) else { return Ok(None) };
        check_rows(root, [&replay.told])?;
        let children: Arc<[String]> = children(tx, root, &replay.told)?.into();
        self.children = Some(Arc::clone(&children));
        Ok(Some(Some((point, children))))
    }

    /// What the streams of entities say, the first as of a place; nothing while there is more to read.
    ///
    /// # Errors
    /// It is too much.
    pub(super) fn sources(
        &mut self,
        tx: &Tx<'_>,
        members: &[EntityRow],
        point: Option<&Point>,
        left: &mut Left,
    ) -> Result<Option<Sources>, Error> {
        let streams = members.iter().map(|member| main(tx, member)).collect::<Result<Vec<_>, _>>()?;
        check_size(&members[0], &streams)?;
        for (n, stream) in streams.iter().enumerate() {
            if !self.replay(tx, &members[0], stream, point.filter(|_| n == 0), left)? {
                return Ok(None);
            }
        }
        let told = |stream: &StreamRow| self.replays.get(&stream.id).map(|replay| replay.told.clone());
        let sources: Sources =
            streams.into_iter().filter_map(|stream| Some((told(&stream)?, stream))).map(|(t, s)| (s, t)).collect();
        check_rows(&members[0], sources.iter().map(|(_, told)| told))?;
        Ok(Some(sources))
    }

    /// Reads a stream on. Says whether all that matters of it was read.
    fn replay(
        &mut self,
        tx: &Tx<'_>,
        root: &EntityRow,
        stream: &StreamRow,
        point: Option<&Point>,
        left: &mut Left,
    ) -> Result<bool, Error> {
        let replay = self.replays.entry(stream.id).or_default();
        if replay.is_there(stream, point) {
            return Ok(true);
        }
        let there = Arc::make_mut(replay).go_on(tx, stream, point, &mut left.0)?;
        check_room(root, self.replays.values().map(|replay| &replay.told))?;
        Ok(there)
    }
}

/// The main stream of an entity.
pub(super) fn main(tx: &Tx<'_>, entity: &EntityRow) -> Result<StreamRow, SqlError> {
    tx.stream_by_id(entity.id)?.ok_or_else(|| SqlError::new(format!("`{}` has lost its stream", entity.url)))
}
