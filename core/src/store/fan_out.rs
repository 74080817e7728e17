//! Appends whose wakes are written a chunk at a time.

use super::{Read, Row, SqlError, Tx};
use crate::stream::{Class, Offset};

/// How far an append was evaluated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reached {
    /// The last registration that is done with it.
    pub(crate) after: i64,
    /// The one that follows, when it has seen some of the events; and which comes next.
    pub(crate) within: Option<(i64, usize)>,
}

impl Reached {
    fn registration(self) -> Option<i64> {
        self.within.map(|(registration, _)| registration)
    }

    fn event(self) -> i64 {
        self.within.map_or(0, |(_, event)| i64::try_from(event).unwrap_or(i64::MAX))
    }
}

/// What is left to do of one append.
#[derive(Clone, Debug)]
pub(crate) struct FanOut {
    pub(crate) id: i64,
    /// What registrations call its source.
    pub(crate) source: String,
    pub(crate) stream: i64,
    /// Where the append ended.
    pub(crate) end: Offset,
    /// How far it was evaluated.
    pub(crate) reached: Reached,
    /// Registrations that were made later are not looked at.
    pub(crate) before: i64,
    pub(crate) class: Class,
    pub(crate) author: Option<i64>,
    pub(crate) depth: i64,
    /// Where the runs began that it ends, as JSON.
    pub(crate) starts: String,
    /// What was appended, unless it is very long.
    pub(crate) entry: Option<Vec<u8>>,
}

fn fan_out(row: Row<'_>) -> Result<FanOut, SqlError> {
    Ok(FanOut {
        id: row.int(0)?,
        source: row.text(1)?.to_owned(),
        stream: row.int(2)?,
        end: Offset::at(row.int(3)?),
        reached: Reached {
            after: row.int(4)?,
            within: row.opt_int(11)?.zip(Some(usize::try_from(row.int(12)?).unwrap_or(0))),
        },
        before: row.int(5)?,
        class: if row.int(6)? == 0 { Class::Any } else { Class::Named },
        author: row.opt_int(7)?,
        depth: row.int(8)?,
        starts: row.text(9)?.to_owned(),
        entry: row.opt_blob(10)?.map(<[u8]>::to_vec),
    })
}

impl Read<'_> {
    pub(crate) fn fan_out(&self, id: i64) -> Result<Option<FanOut>, SqlError> {
        let sql = "SELECT id, source, stream, end, after, before, class, author, depth, starts, entry, within, event FROM fan_out WHERE id = ?1";
        self.one(sql, &[id.into()], fan_out)
    }

    /// The oldest append of a source of which something is left to do.
    pub(crate) fn next_fan_out(&self, source: &str) -> Result<Option<i64>, SqlError> {
        self.one("SELECT id FROM fan_out WHERE source = ?1 ORDER BY id LIMIT 1", &[source.into()], |row| row.int(0))
    }
}

impl Tx<'_> {
    pub(crate) fn insert_fan_out(&self, f: &FanOut) -> Result<(), SqlError> {
        self.write(
            "INSERT INTO fan_out (id, source, stream, end, after, before, class, author, depth, starts, entry, within, event) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            &[
                f.id.into(),
                (&f.source).into(),
                f.stream.into(),
                f.end.into(),
                f.reached.after.into(),
                f.before.into(),
                (f.class != Class::Any).into(),
                f.author.into(),
                f.depth.into(),
                (&f.starts).into(),
                f.entry.as_deref().into(),
                f.reached.registration().into(),
                f.reached.event().into(),
            ],
        )
    }

    pub(crate) fn advance_fan_out(&self, id: i64, reached: Reached) -> Result<(), SqlError> {
        self.write(
            "UPDATE fan_out SET after = ?2, within = ?3, event = ?4 WHERE id = ?1",
            &[id.into(), reached.after.into(), reached.registration().into(), reached.event().into()],
        )
    }

    pub(crate) fn delete_fan_out(&self, id: i64) -> Result<(), SqlError> {
        self.write("DELETE FROM fan_out WHERE id = ?1", &[id.into()])
    }
}
