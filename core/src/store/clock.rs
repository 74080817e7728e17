//! The commit row: how many transactions have committed, the latest moment, the last row id.

use super::{Read, Row, Sql, SqlError, Tx};
use crate::time::{Span, Time};

/// The commit row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// How many transactions have committed.
    pub txid: i64,
    /// The latest moment that was committed.
    pub now: Time,
    /// The last row id that was given out.
    pub serial: i64,
    /// How many changes have been logged.
    pub changes: i64,
    /// Whether changes of dispatches are among them.
    pub watch: Watch,
}

/// Whether somebody looks at dispatches. While nobody does, what changes in them is not logged, which would cost every wake
/// several rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    /// The commit after which all of their changes are logged.
    pub since: i64,
    /// Until when they are, if nobody looks again.
    pub until: Time,
}

impl Watch {
    /// Whether somebody looks.
    pub(crate) fn is_on(&self, now: Time) -> bool {
        now < self.until
    }

    /// Whether a look at this moment is to be remembered.
    pub(crate) fn wants_look(&self, now: Time) -> bool {
        now + WATCHED > self.until
    }

    /// What a look makes of it, in a commit.
    fn looked(self, now: Time, txid: i64) -> Self {
        let since = if self.is_on(now) { self.since } else { txid };
        Self { since, until: now + WATCHED + SLACK }
    }
}

macro_rules! columns {
    () => {
        "SELECT txid, now, serial, changes, watched_since, watched_until FROM clock"
    };
}

impl Clock {
    /// The commit row as of the connection's last snapshot.
    pub(crate) fn read(sql: &dyn Sql) -> Result<Self, SqlError> {
        let mut clock = Self::default();
        sql.run(columns!(), &[], &mut |row| {
            clock = Self::of(row)?;
            Ok(())
        })?;
        Ok(clock)
    }

    fn of(row: Row<'_>) -> Result<Self, SqlError> {
        Ok(Self {
            txid: row.int(0)?,
            now: Time::from_millis(row.int(1)?),
            serial: row.int(2)?,
            changes: row.int(3)?,
            watch: Watch { since: row.int(4)?, until: Time::from_millis(row.int(5)?) },
        })
    }
}

impl Read<'_> {
    /// The commit row of this snapshot.
    pub(crate) fn clock(&self) -> Result<Clock, SqlError> {
        let clock = self.one(columns!(), &[], Clock::of)?;
        Ok(clock.unwrap_or_default())
    }
}

impl Tx<'_> {
    /// The one write of the commit row, at the end of a transaction.
    pub(crate) fn write_clock_row(read: &Read<'_>, clock: &Clock) -> Result<(), SqlError> {
        let params = [
            clock.txid.into(),
            clock.now.into(),
            clock.serial.into(),
            clock.changes.into(),
            clock.watch.since.into(),
            clock.watch.until.into(),
        ];
        let sql = "UPDATE clock SET txid = ?1, now = ?2, serial = ?3, changes = ?4, watched_since = ?5, watched_until = ?6 \
             WHERE id = 1";
        read.run(sql, &params, &mut |_| Ok(()))
    }

    /// Somebody looks at dispatches: what changes in them after this commit is logged for a while.
    pub(crate) fn watch_dispatches(&self) -> Result<(), SqlError> {
        let watch = self.watch();
        if !watch.wants_look(self.now) {
            return Ok(());
        }
        // The end of the transaction writes the commit row again; this says that there is something to write.
        let watch = watch.looked(self.now, self.txid());
        self.set_watch(watch);
        self.write("UPDATE clock SET watched_until = ?1 WHERE id = 1", &[watch.until.into()])
    }
}

/// How long dispatches are watched after a look.
const WATCHED: Span = Span::secs(15 * 60);

/// By how much a look moves that further than it must, so that later ones cost nothing.
const SLACK: Span = Span::secs(60);
