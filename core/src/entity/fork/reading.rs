//! What a fork has read back so far. What is long is read in as many transactions as that takes, while the server does other
//! things in between; what has come meanwhile is read in the one that makes the fork.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ask::Place;
use super::point::{Point, Search, children};
use super::replay::{Replay, Told, check_room, check_rows, check_size};
use crate::http::Error;
use crate::store::{EntityRow, SqlError, StreamRow, Tx};

/// What has been read; copies of it share what is finished.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    search: Search,
    point: Option<Point>,
    children: Option<Arc<[String]>>,
    /// By stream, and whether it is read to its end.
    replays: BTreeMap<(i64, bool), Arc<Replay>>,
}

/// Where a fork branches off: the end of everything, or a place in its root's past with the children that were known there.
pub(super) type Branch = Option<(Point, Arc<[String]>)>;

/// What is copied: a stream, and what it says.
pub(super) struct Source {
    pub(super) stream: StreamRow,
    pub(super) told: Told,
    /// What it says at its end, when files were named where the fork branches off, before that: an id may be used again.
    pub(super) now: Option<Told>,
}

/// How much may still be read in a transaction.
pub(super) struct Left(pub(super) usize);

impl Reading {
    /// Whether it takes room.
    pub(super) fn is_large(&self) -> bool {
        self.replays.values().any(|replay| replay.has_begun())
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
        let Some(told) = self.told(tx, root, &stream, Some(&point), left)? else { return Ok(None) };
        check_rows(root, [&told])?;
        let children: Arc<[String]> = children(tx, root, &told)?.into();
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
    ) -> Result<Option<Vec<Source>>, Error> {
        let streams = members.iter().map(|member| main(tx, member)).collect::<Result<Vec<_>, _>>()?;
        check_size(&members[0], &streams)?;
        let mut sources = Vec::with_capacity(streams.len());
        for (n, stream) in streams.into_iter().enumerate() {
            let point = point.filter(|_| n == 0);
            let Some(told) = self.told(tx, &members[0], &stream, point, left)? else { return Ok(None) };
            let now = if point.is_some() && told.files().next().is_some() {
                let Some(now) = self.told(tx, &members[0], &stream, None, left)? else { return Ok(None) };
                Some(now)
            } else {
                None
            };
            sources.push(Source { stream, told, now });
        }
        check_rows(&members[0], sources.iter().map(|source| &source.told))?;
        Ok(Some(sources))
    }

    /// What a stream says at a place, or at its end; nothing while there is more to read.
    fn told(
        &mut self,
        tx: &Tx<'_>,
        root: &EntityRow,
        stream: &StreamRow,
        point: Option<&Point>,
        left: &mut Left,
    ) -> Result<Option<Told>, Error> {
        let there = self.replay(tx, root, stream, point, left)?;
        let replay = self.replays.get(&(stream.id, point.is_none())).filter(|_| there);
        Ok(replay.map(|replay| replay.told.clone()))
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
        let replay = self.replays.entry((stream.id, point.is_none())).or_default();
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
