//! Links: which streams a subscription follows, and how far each is acknowledged.

use super::{Read, SqlError, Tx};
use crate::stream::Offset;

/// One stream of a subscription.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) stream: i64,
    /// The stream's path.
    pub(crate) path: String,
    pub(crate) acked: Offset,
    /// Where the stream ends now.
    pub(crate) tail: Offset,
}

impl Link {
    /// Whether something is not acknowledged.
    pub(crate) fn is_pending(&self) -> bool {
        self.tail > self.acked
    }
}

impl Read<'_> {
    /// The links of a subscription, oldest stream first.
    pub(crate) fn links(&self, subscription: i64) -> Result<Vec<Link>, SqlError> {
        self.all(
            "SELECT l.stream, st.path, l.acked, (SELECT e.end FROM entry e WHERE e.stream = l.stream ORDER BY e.end DESC LIMIT 1) \
             FROM link l JOIN stream st ON st.id = l.stream WHERE l.subscription = ?1 ORDER BY l.stream",
            &[subscription.into()],
            |row| {
                let tail = row.opt_int(3)?.map_or(Offset::ZERO, Offset::at);
                Ok(Link { stream: row.int(0)?, path: row.text(1)?.to_owned(), acked: Offset::at(row.int(2)?), tail })
            },
        )
    }
}

impl Tx<'_> {
    /// Links a stream from `acked` on; an existing link keeps its cursor.
    pub(crate) fn insert_link(&self, stream: i64, subscription: i64, acked: Offset) -> Result<(), SqlError> {
        self.write(
            "INSERT INTO link (stream, subscription, acked) VALUES (?1, ?2, ?3) ON CONFLICT (stream, subscription) DO NOTHING",
            &[stream.into(), subscription.into(), acked.into()],
        )
    }

    pub(crate) fn acknowledge(&self, stream: i64, subscription: i64, acked: Offset) -> Result<(), SqlError> {
        self.write(
            "UPDATE link SET acked = ?3 WHERE stream = ?1 AND subscription = ?2",
            &[stream.into(), subscription.into(), acked.into()],
        )
    }

    pub(crate) fn delete_link(&self, stream: i64, subscription: i64) -> Result<(), SqlError> {
        self.write("DELETE FROM link WHERE stream = ?1 AND subscription = ?2", &[stream.into(), subscription.into()])
    }
}
