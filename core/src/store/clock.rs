//! The commit row: how many transactions have committed, the latest moment, the last row id.

use super::{Read, Row, Sql, SqlError, Tx};
use crate::time::Time;

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
}

impl Clock {
    /// The commit row as of the connection's last snapshot.
    pub(crate) fn read(sql: &dyn Sql) -> Result<Self, SqlError> {
        let mut clock = Self::default();
        sql.run("SELECT txid, now, serial, changes FROM clock", &[], &mut |row| {
            clock = Self::of(row)?;
            Ok(())
        })?;
        Ok(clock)
    }

    fn of(row: Row<'_>) -> Result<Self, SqlError> {
        Ok(Self { txid: row.int(0)?, now: Time::from_millis(row.int(1)?), serial: row.int(2)?, changes: row.int(3)? })
    }
}

impl Read<'_> {
    /// The commit row of this snapshot.
    pub(crate) fn clock(&self) -> Result<Clock, SqlError> {
        let clock = self.one("SELECT txid, now, serial, changes FROM clock", &[], Clock::of)?;
        Ok(clock.unwrap_or_default())
    }
}

impl Tx<'_> {
    /// The one write of the commit row, at the end of a transaction.
    pub(crate) fn write_clock_row(read: &Read<'_>, clock: &Clock) -> Result<(), SqlError> {
        let params = [clock.txid.into(), clock.now.into(), clock.serial.into(), clock.changes.into()];
        read.run("UPDATE clock SET txid = ?1, now = ?2, serial = ?3, changes = ?4 WHERE id = 1", &params, &mut |_| {
            Ok(())
        })
    }
}
