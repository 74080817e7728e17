//! Chains of ticks.

use super::{Read, Row, SqlError, Tx};
use crate::time::Time;

/// A chain of ticks.
#[derive(Clone, Debug)]
pub(crate) struct CronRow {
    /// Its stream.
    pub(crate) id: i64,
    pub(crate) path: String,
    /// The number of the next tick.
    pub(crate) tick: i64,
    /// When that is; `None` while nobody observes it.
    pub(crate) due_at: Option<Time>,
}

fn cron(row: Row<'_>) -> Result<CronRow, SqlError> {
    Ok(CronRow {
        id: row.int(0)?,
        path: row.text(1)?.to_owned(),
        tick: row.int(2)?,
        due_at: row.opt_int(3)?.map(Time::from_millis),
    })
}

impl Read<'_> {
    pub(crate) fn cron(&self, path: &str) -> Result<Option<CronRow>, SqlError> {
        self.one("SELECT id, path, tick, due_at FROM cron WHERE path = ?1", &[path.into()], cron)
    }

    pub(crate) fn cron_by_id(&self, id: i64) -> Result<Option<CronRow>, SqlError> {
        self.one("SELECT id, path, tick, due_at FROM cron WHERE id = ?1", &[id.into()], cron)
    }

    /// When a chain ticks next.
    pub(crate) fn cron_due(&self, path: &str) -> Result<Option<Time>, SqlError> {
        Ok(self.cron(path)?.and_then(|cron| cron.due_at))
    }
}

impl Tx<'_> {
    pub(crate) fn write_cron(&self, cron: &CronRow) -> Result<(), SqlError> {
        self.write(
            "INSERT INTO cron (id, path, tick, due_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (id) DO UPDATE SET tick = ?3, due_at = ?4",
            &[cron.id.into(), (&cron.path).into(), cron.tick.into(), cron.due_at.into()],
        )
    }
}
