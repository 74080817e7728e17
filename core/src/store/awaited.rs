//! Streams that subscriptions follow and that do not exist yet.

use super::link::{Link, Reasons};
use super::{Read, SqlError, Tx};
use crate::stream::Offset;

impl Read<'_> {
    /// What a subscription waits for, as links to streams that hold nothing.
    pub(crate) fn awaited_by(&self, subscription: i64) -> Result<Vec<Link>, SqlError> {
        self.all(
            "SELECT path, serial FROM awaited WHERE subscription = ?1 ORDER BY serial",
            &[subscription.into()],
            |row| {
                Ok(Link {
                    stream: None,
                    path: row.text(0)?.to_owned(),
                    reasons: Reasons::EXPLICIT,
                    serial: row.int(1)?,
                    acked: Some(Offset::ZERO),
                    tail: Offset::ZERO,
                })
            },
        )
    }

    /// The subscriptions that wait for a path, and the place of it in the order of each.
    pub(crate) fn awaiting(&self, path: &str) -> Result<Vec<(i64, i64)>, SqlError> {
        self.all("SELECT subscription, serial FROM awaited WHERE path = ?1", &[path.into()], |row| {
            Ok((row.int(0)?, row.int(1)?))
        })
    }
}

impl Tx<'_> {
    /// Waits for a path; waiting twice is waiting once.
    pub(crate) fn await_path(&self, path: &str, subscription: i64) -> Result<(), SqlError> {
        let serial = self.next_id();
        self.write(
            "INSERT INTO awaited (path, subscription, serial) VALUES (?1, ?2, ?3) ON CONFLICT (path, subscription) DO NOTHING",
            &[path.into(), subscription.into(), serial.into()],
        )
    }

    pub(crate) fn stop_awaiting(&self, path: &str, subscription: i64) -> Result<(), SqlError> {
        self.write("DELETE FROM awaited WHERE path = ?1 AND subscription = ?2", &[path.into(), subscription.into()])
    }

    /// The path exists now.
    pub(crate) fn awaited_has_come(&self, path: &str) -> Result<(), SqlError> {
        self.write("DELETE FROM awaited WHERE path = ?1", &[path.into()])
    }
}
