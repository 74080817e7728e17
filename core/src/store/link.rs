//! Links: which streams a subscription follows, and how far each is acknowledged.

use super::{Read, SqlError, Tx};
use crate::stream::Offset;

/// One stream of a subscription.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    /// `None` while it does not exist.
    pub(crate) stream: Option<i64>,
    /// The stream's path.
    pub(crate) path: String,
    pub(crate) reasons: Reasons,
    /// Order within the subscription.
    pub(crate) serial: i64,
    /// `None` before the start of the stream: all that it holds is pending.
    pub(crate) acked: Option<Offset>,
    /// Where the stream ends now.
    pub(crate) tail: Offset,
}

/// Why a subscription follows a stream: asked for, matching its pattern, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reasons(i64);

impl Reasons {
    pub(crate) const EXPLICIT: Self = Self(1);
    pub(crate) const GLOB: Self = Self(2);

    pub(crate) fn is_explicit(self) -> bool {
        self.0 & Self::EXPLICIT.0 != 0
    }
}

impl Link {
    /// Whether something is not acknowledged.
    pub(crate) fn is_pending(&self) -> bool {
        self.acked.is_none_or(|acked| self.tail > acked)
    }
}

impl Read<'_> {
    /// The links of a subscription in the order in which they were made; streams that do not exist yet come last.
    pub(crate) fn links(&self, subscription: i64) -> Result<Vec<Link>, SqlError> {
        self.all(
            "SELECT l.stream, st.path, l.acked, \
             max(COALESCE((SELECT e.end FROM entry e WHERE e.stream = l.stream ORDER BY e.end DESC LIMIT 1), 0), st.base), \
             l.reasons, l.serial FROM link l JOIN stream st ON st.id = l.stream WHERE l.subscription = ?1 ORDER BY l.serial, l.stream",
            &[subscription.into()],
            |row| {
                Ok(Link {
                    stream: Some(row.int(0)?),
                    path: row.text(1)?.to_owned(),
                    acked: Some(row.int(2)?).filter(|acked| *acked >= 0).map(Offset::at),
                    tail: Offset::at(row.int(3)?),
                    reasons: Reasons(row.int(4)?),
                    serial: row.int(5)?,
                })
            },
        )
    }

    /// Whether a subscription follows a stream.
    pub(crate) fn is_linked(&self, stream: i64, subscription: i64) -> Result<bool, SqlError> {
        let sql = "SELECT 1 FROM link WHERE stream = ?1 AND subscription = ?2";
        Ok(self.one(sql, &[stream.into(), subscription.into()], |_| Ok(()))?.is_some())
    }

    /// Whether a subscription follows a stream because it was asked to.
    pub(crate) fn is_asked_for(&self, stream: i64) -> Result<bool, SqlError> {
        let sql = "SELECT 1 FROM link WHERE stream = ?1 AND reasons & ?2 <> 0 LIMIT 1";
        Ok(self.one(sql, &[stream.into(), Reasons::EXPLICIT.0.into()], |_| Ok(()))?.is_some())
    }

    /// How many streams a subscription follows, those included that do not exist yet.
    pub(crate) fn links_held(&self, subscription: i64) -> Result<i64, SqlError> {
        let count = "SELECT (SELECT count(*) FROM link WHERE subscription = ?1) + (SELECT count(*) FROM awaited WHERE subscription = ?1)";
        Ok(self.one(count, &[subscription.into()], |row| row.int(0))?.unwrap_or(0))
    }
}

impl Tx<'_> {
    /// Links a stream from `acked` on; a link that exists keeps its cursor and gains the reason.
    pub(crate) fn insert_link(
        &self,
        stream: i64,
        subscription: i64,
        acked: Option<Offset>,
        reason: Reasons,
    ) -> Result<(), SqlError> {
        let serial = self.next_id();
        self.insert_link_at(serial, stream, subscription, acked, reason)
    }

    /// The same, at a place in the order that was given out before.
    pub(crate) fn insert_link_at(
        &self,
        serial: i64,
        stream: i64,
        subscription: i64,
        acked: Option<Offset>,
        reason: Reasons,
    ) -> Result<(), SqlError> {
        let write = || {
            self.write(
                "INSERT INTO link (stream, subscription, acked, reasons, serial) VALUES (?1, ?2, ?3, ?4, ?5) \
                 ON CONFLICT (stream, subscription) DO UPDATE SET reasons = reasons | ?4",
                &[
                    stream.into(),
                    subscription.into(),
                    acked.map_or(-1, Offset::bytes).into(),
                    reason.0.into(),
                    serial.into(),
                ],
            )
        };
        self.telling(subscription, write)
    }

    pub(crate) fn acknowledge(&self, stream: i64, subscription: i64, acked: Offset) -> Result<(), SqlError> {
        self.write(
            "UPDATE link SET acked = ?3 WHERE stream = ?1 AND subscription = ?2",
            &[stream.into(), subscription.into(), acked.into()],
        )
    }

    /// Takes a reason away, and the link when it was the last.
    pub(crate) fn unlink(
        &self,
        stream: i64,
        subscription: i64,
        reasons: Reasons,
        gone: Reasons,
    ) -> Result<(), SqlError> {
        let left = reasons.0 & !gone.0;
        if left == 0 {
            return self.delete_link(stream, subscription);
        }
        self.write(
            "UPDATE link SET reasons = ?3 WHERE stream = ?1 AND subscription = ?2",
            &[stream.into(), subscription.into(), left.into()],
        )
    }

    pub(crate) fn delete_link(&self, stream: i64, subscription: i64) -> Result<(), SqlError> {
        let sql = "DELETE FROM link WHERE stream = ?1 AND subscription = ?2";
        self.telling(subscription, || self.write(sql, &[stream.into(), subscription.into()]))
    }

    /// What a principal (a URL) has subscribed to follows a stream no longer.
    pub(crate) fn delete_links_of_owner(&self, stream: i64, owner: &str) -> Result<(), SqlError> {
        self.write(
            "DELETE FROM link WHERE stream = ?1 AND subscription IN (SELECT subscription FROM asked WHERE owner = ?2)",
            &[stream.into(), owner.into()],
        )
    }

    /// A stream is gone: nobody follows it.
    pub(crate) fn delete_links_to(&self, stream: i64) -> Result<(), SqlError> {
        self.write("DELETE FROM link WHERE stream = ?1", &[stream.into()])
    }

    /// A subscription is gone: it follows nothing.
    pub(crate) fn delete_links_of(&self, subscription: i64) -> Result<(), SqlError> {
        self.write("DELETE FROM link WHERE subscription = ?1", &[subscription.into()])?;
        self.write("DELETE FROM awaited WHERE subscription = ?1", &[subscription.into()])
    }
}
