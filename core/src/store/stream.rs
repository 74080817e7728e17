//! Streams: one row a path. The tail is not stored: it is where the last entry ends.

use super::{Read, Row, SqlError, Tx};
use crate::effect::{Notify, Topic};
use crate::stream::Offset;
use crate::time::Time;

/// A stream.
#[derive(Clone, Debug)]
pub(crate) struct StreamRow {
    pub(crate) id: i64,
    pub(crate) path: String,
    pub(crate) content_type: String,
    pub(crate) closed: bool,
    pub(crate) closed_by: Option<String>,
    pub(crate) last_seq: Option<String>,
}

const COLUMNS: &str = "id, path, content_type, closed, closed_by, last_seq";

impl StreamRow {
    fn from(row: Row<'_>) -> Result<Self, SqlError> {
        Ok(Self {
            id: row.int(0)?,
            path: row.text(1)?.to_owned(),
            content_type: row.text(2)?.to_owned(),
            closed: row.int(3)? != 0,
            closed_by: row.opt_text(4)?.map(str::to_owned),
            last_seq: row.opt_text(5)?.map(str::to_owned),
        })
    }

    /// Whether it holds JSON messages.
    pub(crate) fn is_json(&self) -> bool {
        media_type(&self.content_type) == "application/json"
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

impl Read<'_> {
    pub(crate) fn stream(&self, path: &str) -> Result<Option<StreamRow>, SqlError> {
        let sql = "SELECT id, path, content_type, closed, closed_by, last_seq FROM stream WHERE path = ?1";
        debug_assert!(sql.contains(COLUMNS));
        self.one(sql, &[path.into()], StreamRow::from)
    }

    pub(crate) fn stream_by_id(&self, id: i64) -> Result<Option<StreamRow>, SqlError> {
        let sql = "SELECT id, path, content_type, closed, closed_by, last_seq FROM stream WHERE id = ?1";
        self.one(sql, &[id.into()], StreamRow::from)
    }
}

impl Tx<'_> {
    /// Creates a stream at a path that has none.
    pub(crate) fn insert_stream(&self, path: &str, content_type: &str, now: Time) -> Result<StreamRow, SqlError> {
        let id = self.next_id();
        self.write(
            "INSERT INTO stream (id, path, content_type, closed, closed_by, last_seq, created_at) VALUES (?1, ?2, ?3, 0, NULL, NULL, ?4)",
            &[id.into(), path.into(), content_type.into(), now.into()],
        )?;
        Ok(StreamRow {
            id,
            path: path.to_owned(),
            content_type: content_type.to_owned(),
            closed: false,
            closed_by: None,
            last_seq: None,
        })
    }

    /// Writes what can change of a stream, when it has.
    pub(crate) fn update_stream(&self, stream: &StreamRow) -> Result<(), SqlError> {
        self.write(
            "UPDATE stream SET closed = ?2, closed_by = ?3, last_seq = ?4 WHERE id = ?1",
            &[
                stream.id.into(),
                stream.closed.into(),
                stream.closed_by.as_ref().into(),
                stream.last_seq.as_ref().into(),
            ],
        )
    }

    /// Deletes a stream with all that hangs on it, and wakes who reads it.
    pub(crate) fn delete_stream(&self, id: i64) -> Result<(), SqlError> {
        let tail = self.tail(id)?;
        for sql in [
            "DELETE FROM stream WHERE id = ?1",
            "DELETE FROM entry WHERE stream = ?1",
            "DELETE FROM producer WHERE stream = ?1",
            "DELETE FROM run WHERE stream = ?1",
            "DELETE FROM link WHERE stream = ?1",
        ] {
            self.write(sql, &[id.into()])?;
        }
        self.notify(Notify { topic: Topic::Stream(id), from: tail, to: tail, bytes: None });
        Ok(())
    }

    /// Where a stream ends, for the write path.
    pub(crate) fn tail_of(&self, stream: &StreamRow) -> Result<Offset, SqlError> {
        self.tail(stream.id)
    }
}
