//! Streams: one row a path. The tail is not stored: it is where the last entry ends, or where the stream begins.

use super::{Read, Row, SqlError, TimerKind, Tx};
use crate::stream::{Lifetime, Offset};
use crate::time::{Span, Time};

/// A stream, as it stood when it was looked up.
#[derive(Clone, Debug)]
pub(crate) struct StreamRow {
    pub(crate) id: i64,
    pub(crate) path: String,
    /// As given.
    pub(crate) content_type: String,
    pub(crate) closed: bool,
    pub(crate) closed_by: Option<String>,
    pub(crate) last_seq: Option<String>,
    pub(crate) lifetime: Lifetime,
    /// What it is a fork of.
    pub(crate) fork: Option<Fork>,
    /// Where it begins by itself: zero, or where what a fork inherited and copied ends, or what was compacted away.
    pub(crate) base: Offset,
    /// How many forks read through it.
    pub(crate) refs: i64,
    /// Deleted, and kept for its forks.
    pub(crate) deleted: bool,
    /// How far its entries have been looked at for sealing.
    pub(crate) sealed: Offset,
    /// The server wrote to it before any client did, so that patterns have not been looked at yet.
    pub(crate) unmatched: bool,
    pub(crate) tail: Offset,
    /// Whether a subscription follows it.
    pub(crate) followed: bool,
}

/// What a fork inherits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fork {
    /// The stream that it inherits from.
    pub(crate) source: i64,
    /// Where that ends.
    pub(crate) at: Offset,
    /// How many messages or bytes past that were copied.
    pub(crate) sub: i64,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT s.id, s.path, s.content_type, s.closed, s.closed_by, s.last_seq, s.ttl, s.expires_at, s.until, s.source, \
             s.fork_at, s.fork_sub, s.base, s.refs, s.deleted, s.sealed, s.expiry_armed, s.unmatched, \
             (SELECT e.end FROM entry e WHERE e.stream = s.id ORDER BY e.end DESC LIMIT 1), \
             EXISTS (SELECT 1 FROM link l WHERE l.stream = s.id) FROM stream s ",
            $rest
        )
    };
}

impl StreamRow {
    fn from(row: Row<'_>) -> Result<Self, SqlError> {
        let fork = match row.opt_int(9)? {
            Some(source) => Some(Fork { source, at: Offset::at(row.int(10)?), sub: row.int(11)? }),
            None => None,
        };
        let base = Offset::at(row.int(12)?);
        Ok(Self {
            id: row.int(0)?,
            path: row.text(1)?.to_owned(),
            content_type: row.text(2)?.to_owned(),
            closed: row.int(3)? != 0,
            closed_by: row.opt_text(4)?.map(str::to_owned),
            last_seq: row.opt_text(5)?.map(str::to_owned),
            lifetime: Lifetime {
                ttl: row.opt_int(6)?.map(Span::secs),
                expires_at: row.opt_text(7)?.map(str::to_owned),
                until: row.opt_int(8)?.map(Time::from_millis),
                armed: row.opt_int(16)?.map(Time::from_millis),
            },
            fork,
            base,
            refs: row.int(13)?,
            deleted: row.int(14)? != 0,
            sealed: Offset::at(row.int(15)?),
            unmatched: row.int(17)? != 0,
            tail: row.opt_int(18)?.map_or(base, Offset::at).max(base),
            followed: row.int(19)? != 0,
        })
    }

    /// Whether it holds JSON messages.
    pub(crate) fn is_json(&self) -> bool {
        is_json(&self.content_type)
    }

    /// Whether an append of this content type is one to it.
    pub(crate) fn takes(&self, content_type: &str) -> bool {
        content_type == self.content_type || media_type(content_type) == media_type(&self.content_type)
    }

    /// The URL of the entity whose main stream this would be.
    pub(crate) fn entity_url(&self) -> Option<&str> {
        self.path.strip_suffix("/main")
    }
}

/// A content type without parameters, in lower case: what two content types are compared by.
pub(crate) fn media_type(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase()
}

/// Whether a content type is that of JSON messages.
pub(crate) fn is_json(content_type: &str) -> bool {
    content_type.split(';').next().unwrap_or("").trim().eq_ignore_ascii_case("application/json")
}

impl Read<'_> {
    /// The row of a path, whatever its state: [`Read::live_stream`] is for those who want to use it.
    pub(crate) fn stream(&self, path: &str) -> Result<Option<StreamRow>, SqlError> {
        self.one(select!("WHERE s.path = ?1"), &[path.into()], StreamRow::from)
    }

    /// Whether a path has a row, whatever its state.
    pub(crate) fn is_taken(&self, path: &str) -> Result<bool, SqlError> {
        Ok(self.one("SELECT 1 FROM stream WHERE path = ?1", &[path.into()], |_| Ok(()))?.is_some())
    }

    /// The stream at a path, if it is neither deleted nor expired.
    pub(crate) fn live_stream(&self, path: &str) -> Result<Option<StreamRow>, SqlError> {
        Ok(self.stream(path)?.filter(|s| !s.deleted && !s.lifetime.is_over(self.now)))
    }

    pub(crate) fn stream_by_id(&self, id: i64) -> Result<Option<StreamRow>, SqlError> {
        self.one(select!("WHERE s.id = ?1"), &[id.into()], StreamRow::from)
    }

    /// Ids and paths of the streams at a path and below it (everywhere when it is empty) after another path, in order.
    pub(crate) fn paths_below(&self, path: &str, after: &str, limit: usize) -> Result<Vec<(i64, String)>, SqlError> {
        // `0` is what follows `/`.
        let (least, end) = (format!("{path}/"), format!("{path}0"));
        self.all(
            "SELECT id, path FROM stream WHERE path >= max(?1, ?2) AND path < ?4 AND path <> ?1 AND (path = ?2 OR path >= ?3) \
             ORDER BY path LIMIT ?5",
            &[
                after.into(),
                path.into(),
                (&least).into(),
                (&end).into(),
                i64::try_from(limit).unwrap_or(i64::MAX).into(),
            ],
            |row| Ok((row.int(0)?, row.text(1)?.to_owned())),
        )
    }
}

impl Tx<'_> {
    /// Creates a stream at a path that has none.
    pub(crate) fn insert_stream(&self, path: &str, content_type: &str) -> Result<StreamRow, SqlError> {
        self.insert_stream_with(path, content_type, Lifetime::default(), None, false)
    }

    /// Creates a stream to which the server writes first, at a path that has none.
    pub(crate) fn insert_wake_stream(&self, path: &str) -> Result<StreamRow, SqlError> {
        self.insert_stream_with(path, "application/json", Lifetime::default(), None, true)
    }

    /// Creates a stream that expires, or a fork, at a path that has none.
    pub(crate) fn insert_stream_with(
        &self,
        path: &str,
        content_type: &str,
        mut lifetime: Lifetime,
        fork: Option<(Fork, Offset)>,
        unmatched: bool,
    ) -> Result<StreamRow, SqlError> {
        let id = self.next_id();
        lifetime.armed = lifetime.until;
        if let Some(until) = lifetime.until {
            self.arm(until, TimerKind::Expire, id)?;
        }
        let base = fork.map_or(Offset::ZERO, |(_, base)| base);
        let fork = fork.map(|(fork, _)| fork);
        self.write(
            "INSERT INTO stream (id, path, content_type, closed, created_at, ttl, expires_at, until, expiry_armed, source, fork_at, fork_sub, base, unmatched) \
             VALUES (?1, ?2, ?3, 0, ?4, ?5, ?6, ?7, ?7, ?8, ?9, ?10, ?11, ?12)",
            &[
                id.into(),
                path.into(),
                content_type.into(),
                self.now.into(),
                lifetime.ttl.map(|ttl| ttl.as_millis() / 1000).into(),
                lifetime.expires_at.as_ref().into(),
                lifetime.until.into(),
                fork.map(|f| f.source).into(),
                fork.map_or(Offset::ZERO, |f| f.at).into(),
                fork.map_or(0, |f| f.sub).into(),
                base.into(),
                unmatched.into(),
            ],
        )?;
        Ok(StreamRow {
            id,
            path: path.to_owned(),
            content_type: content_type.to_owned(),
            closed: false,
            closed_by: None,
            last_seq: None,
            lifetime,
            fork,
            base,
            refs: 0,
            deleted: false,
            sealed: base,
            unmatched,
            tail: base,
            followed: false,
        })
    }

    /// Writes what can change of a stream, when it has.
    pub(crate) fn update_stream(&self, stream: &StreamRow) -> Result<(), SqlError> {
        self.write(
            "UPDATE stream SET closed = ?2, closed_by = ?3, last_seq = ?4, until = ?5, refs = ?6, deleted = ?7, sealed = ?8, expiry_armed = ?9, \
             base = ?10, unmatched = ?11 WHERE id = ?1",
            &[
                stream.id.into(),
                stream.closed.into(),
                stream.closed_by.as_ref().into(),
                stream.last_seq.as_ref().into(),
                stream.lifetime.until.into(),
                stream.refs.into(),
                stream.deleted.into(),
                stream.sealed.into(),
                stream.lifetime.armed.into(),
                stream.base.into(),
                stream.unmatched.into(),
            ],
        )
    }

    /// Gives a stream another path.
    pub(crate) fn move_stream(&self, id: i64, path: &str) -> Result<(), SqlError> {
        self.write("UPDATE stream SET path = ?2 WHERE id = ?1", &[id.into(), path.into()])
    }

    /// Takes a stream's row away, and what little hangs on it; its entries are the sweep's.
    pub(crate) fn delete_stream_row(&self, id: i64) -> Result<(), SqlError> {
        self.write("DELETE FROM stream WHERE id = ?1", &[id.into()])
    }
}
