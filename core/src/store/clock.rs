//! The commit row: how many transactions have committed, the latest moment, the last row id.

use super::{Read, Sql, SqlError, Tx};
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
}

impl Clock {
    /// The commit row as of the connection's last snapshot.
    pub(crate) fn read(sql: &dyn Sql) -> Result<Self, SqlError> {
        let mut clock = Self::default();
        sql.run("SELECT txid, now, serial FROM clock", &[], &mut |row| {
            clock = Self { txid: row.int(0)?, now: Time::from_millis(row.int(1)?), serial: row.int(2)? };
            Ok(())
        })?;
        Ok(clock)
    }
}

impl Tx<'_> {
    /// The one write of the commit row, at the end of a transaction.
    pub(crate) fn write_clock_row(read: &Read<'_>, clock: &Clock) -> Result<(), SqlError> {
        let params = [clock.txid.into(), clock.now.into(), clock.serial.into()];
        read.run("UPDATE clock SET txid = ?1, now = ?2, serial = ?3 WHERE id = 1", &params, &mut |_| Ok(()))
    }
}
