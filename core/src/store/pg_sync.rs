//! Shapes whose changes are written to a stream.

use super::sql::{Sql, Visit};
use super::{Read, Row, SqlError, TimerKind, Tx};
use crate::time::Time;

/// A shape that is followed.
#[derive(Clone, Debug)]
pub(crate) struct PgSyncRow {
    /// Also its stream's.
    pub(crate) id: i64,
    pub(crate) reference: String,
    /// Who registered it, as a principal URL.
    pub(crate) principal: String,
    /// The entity for which that was.
    pub(crate) entity: Option<String>,
    /// Where it is, with what defines it.
    pub(crate) url: String,
    /// Which log of it is read, and up to where; `None` when it is read from now on.
    pub(crate) cursor: Option<(String, String)>,
    /// The types of its columns, as JSON.
    pub(crate) columns: Option<String>,
    /// What is read is passed over until all of it was.
    pub(crate) skips: bool,
    /// Everything up to there was read: what comes is waited for.
    pub(crate) caught_up: bool,
    /// What the last answer wants to be sent along.
    pub(crate) cache_key: Option<String>,
    /// How often it was asked.
    pub(crate) turn: i64,
    /// When, while the answer has not come.
    pub(crate) asked_at: Option<Time>,
    /// How often it has failed since it last answered.
    pub(crate) attempt: i64,
    /// Why it failed last.
    pub(crate) error: Option<String>,
    /// Where its timer stands.
    pub(crate) due_at: Time,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, ref, principal, entity, url, handle, at, columns, skips, caught_up, cache_key, turn, asked_at, attempt, error, due_at FROM pg_sync ",
            $rest
        )
    };
}

fn pg_sync(row: Row<'_>) -> Result<PgSyncRow, SqlError> {
    let text = |column| Ok::<_, SqlError>(row.opt_text(column)?.map(str::to_owned));
    Ok(PgSyncRow {
        id: row.int(0)?,
        reference: row.text(1)?.to_owned(),
        principal: row.text(2)?.to_owned(),
        entity: text(3)?,
        url: row.text(4)?.to_owned(),
        cursor: text(5)?.zip(text(6)?),
        columns: text(7)?,
        skips: row.int(8)? != 0,
        caught_up: row.int(9)? != 0,
        cache_key: text(10)?,
        turn: row.int(11)?,
        asked_at: row.opt_int(12)?.map(Time::from_millis),
        attempt: row.int(13)?,
        error: text(14)?,
        due_at: Time::from_millis(row.int(15)?),
    })
}

impl Read<'_> {
    /// The paths of the streams of shapes that were registered for an entity.
    pub(crate) fn shapes_for(&self, entity: &str) -> Result<Vec<String>, SqlError> {
        let sql = "SELECT s.path FROM pg_sync p JOIN stream s ON s.id = p.id WHERE p.entity = ?1 ORDER BY p.id";
        self.all(sql, &[entity.into()], |row| Ok(row.text(0)?.to_owned()))
    }

    pub(crate) fn pg_sync(&self, reference: &str) -> Result<Option<PgSyncRow>, SqlError> {
        self.one(select!("WHERE ref = ?1"), &[reference.into()], pg_sync)
    }

    pub(crate) fn pg_sync_by_id(&self, id: i64) -> Result<Option<PgSyncRow>, SqlError> {
        self.one(select!("WHERE id = ?1"), &[id.into()], pg_sync)
    }

    /// How many there are.
    pub(crate) fn pg_syncs(&self) -> Result<i64, SqlError> {
        Ok(self.one("SELECT count(*) FROM pg_sync", &[], |row| row.int(0))?.unwrap_or(0))
    }
}

impl Tx<'_> {
    pub(crate) fn insert_pg_sync(&self, shape: &PgSyncRow) -> Result<(), SqlError> {
        let (handle, at) = halves(shape);
        self.write(
            "INSERT INTO pg_sync (id, ref, principal, entity, url, handle, at, columns, skips, caught_up, cache_key, turn, asked_at, attempt, error, due_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
            &[
                shape.id.into(),
                (&shape.reference).into(),
                (&shape.principal).into(),
                shape.entity.as_deref().into(),
                (&shape.url).into(),
                handle.into(),
                at.into(),
                shape.columns.as_deref().into(),
                shape.skips.into(),
                shape.caught_up.into(),
                shape.cache_key.as_deref().into(),
                shape.turn.into(),
                shape.asked_at.into(),
                shape.attempt.into(),
                shape.error.as_deref().into(),
                shape.due_at.into(),
            ],
        )
    }

    /// Writes what moves: how far it was read, and how it goes on.
    pub(crate) fn update_pg_sync(&self, shape: &PgSyncRow) -> Result<(), SqlError> {
        let (handle, at) = halves(shape);
        self.write(
            "UPDATE pg_sync SET handle = ?2, at = ?3, columns = ?4, skips = ?5, caught_up = ?6, cache_key = ?7, turn = ?8, asked_at = ?9, attempt = ?10, error = ?11, due_at = ?12 WHERE id = ?1",
            &[
                shape.id.into(),
                handle.into(),
                at.into(),
                shape.columns.as_deref().into(),
                shape.skips.into(),
                shape.caught_up.into(),
                shape.cache_key.as_deref().into(),
                shape.turn.into(),
                shape.asked_at.into(),
                shape.attempt.into(),
                shape.error.as_deref().into(),
                shape.due_at.into(),
            ],
        )
    }
}

fn halves(shape: &PgSyncRow) -> (Option<&str>, Option<&str>) {
    shape.cursor.as_ref().map(|(handle, at)| (handle.as_str(), at.as_str())).unzip()
}

/// A database was opened: whoever waited for answers is gone, and what was asked is asked again now, not when that would
/// have taken too long.
pub(super) fn ask_again(sql: &dyn Sql, now: Time) -> Result<(), SqlError> {
    let nothing: &mut Visit<'_> = &mut |_| Ok(());
    let mut asked = Vec::new();
    sql.run("SELECT id, due_at FROM pg_sync WHERE asked_at IS NOT NULL", &[], &mut |row| {
        asked.push((row.int(0)?, row.int(1)?));
        Ok(())
    })?;
    for (id, due_at) in asked {
        let timer = [due_at.into(), TimerKind::Shape.number().into(), id.into()];
        sql.run("DELETE FROM timer WHERE due_at = ?1 AND kind = ?2 AND subject = ?3", &timer, nothing)?;
        let timer = [now.into(), TimerKind::Shape.number().into(), id.into()];
        sql.run(
            "INSERT INTO timer (due_at, kind, subject, attempt) VALUES (?1, ?2, ?3, 0) ON CONFLICT DO NOTHING",
            &timer,
            nothing,
        )?;
        sql.run("UPDATE pg_sync SET due_at = ?2, asked_at = NULL WHERE id = ?1", &[id.into(), now.into()], nothing)?;
    }
    Ok(())
}
