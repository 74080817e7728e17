//! Matches that a registration gathers until nothing more has come for a while.

use super::{Read, SqlError, Tx};
use crate::time::Time;

/// What a registration has gathered.
#[derive(Clone, Debug)]
pub(crate) struct Gathered {
    pub(crate) registration: i64,
    pub(crate) first_at: Time,
    pub(crate) last_at: Time,
    pub(crate) count: i64,
    /// The changes as JSON, parted by commas.
    pub(crate) changes: String,
    /// JSON: see `wake::debounce`.
    pub(crate) latest: String,
    pub(crate) depth: i64,
}

impl Read<'_> {
    pub(crate) fn gathered(&self, registration: i64) -> Result<Option<Gathered>, SqlError> {
        let sql = "SELECT first_at, last_at, count, changes, latest, depth FROM gathered WHERE registration = ?1";
        self.one(sql, &[registration.into()], |row| {
            Ok(Gathered {
                registration,
                first_at: Time::from_millis(row.int(0)?),
                last_at: Time::from_millis(row.int(1)?),
                count: row.int(2)?,
                changes: row.text(3)?.to_owned(),
                latest: row.text(4)?.to_owned(),
                depth: row.int(5)?,
            })
        })
    }
}

impl Tx<'_> {
    pub(crate) fn write_gathered(&self, g: &Gathered) -> Result<(), SqlError> {
        self.write(
            "INSERT INTO gathered (registration, first_at, last_at, count, changes, latest, depth) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
             ON CONFLICT (registration) DO UPDATE SET last_at = ?3, count = ?4, changes = ?5, latest = ?6, depth = ?7",
            &[
                g.registration.into(),
                g.first_at.into(),
                g.last_at.into(),
                g.count.into(),
                (&g.changes).into(),
                (&g.latest).into(),
                g.depth.into(),
            ],
        )
    }

    pub(crate) fn delete_gathered(&self, registration: i64) -> Result<(), SqlError> {
        self.write("DELETE FROM gathered WHERE registration = ?1", &[registration.into()])
    }
}
