//! What has been filed of an entity's wakes: bounded by number where it is written, and by age by a timer.

use super::{Read, SqlError, TimerKind, Tx};
use crate::limits::{JOURNAL_AGE, JOURNAL_DISPATCHES, JOURNAL_WAKES};
use crate::time::{Span, Time};

impl Read<'_> {
    /// All that is filed for an entity.
    pub(crate) fn filed(&self, entity: i64) -> Result<Vec<String>, SqlError> {
        let sql = "SELECT record FROM journal WHERE entity = ?1 AND at > ?2 ORDER BY at, place DESC";
        let oldest = Time::from_millis((self.now.as_millis() - JOURNAL_AGE.as_millis()).max(-1));
        self.all(sql, &[entity.into(), oldest.into()], |row| Ok(row.text(0)?.to_owned()))
    }

    /// What is filed of one dispatch.
    pub(crate) fn filed_dispatch(&self, entity: i64, generation: i64) -> Result<Option<String>, SqlError> {
        let sql = "SELECT record FROM journal WHERE entity = ?1 AND place = ?2";
        self.one(sql, &[entity.into(), place(generation).into()], |row| Ok(row.text(0)?.to_owned()))
    }
}

impl Tx<'_> {
    /// Files a dispatch in the place of one that is long over.
    pub(crate) fn file_dispatch(&self, entity: i64, generation: i64, record: &str) -> Result<(), SqlError> {
        self.file(entity, place(generation), record)
    }

    /// Files a wake row, and forgets those that came too long before it.
    pub(crate) fn file_wake_row(&self, entity: i64, record: &str) -> Result<(), SqlError> {
        self.file(entity, -self.next_id(), record)?;
        self.write(
            "DELETE FROM journal WHERE entity = ?1 AND place < 0 AND place >= \
             (SELECT place FROM journal WHERE entity = ?1 AND place < 0 ORDER BY place LIMIT 1 OFFSET ?2)",
            &[entity.into(), JOURNAL_WAKES.into()],
        )
    }

    /// Forgets what is too old of an entity.
    pub(crate) fn forget_journal(&self, entity: i64) -> Result<(), SqlError> {
        let oldest = Time::from_millis(self.now.as_millis() - JOURNAL_AGE.as_millis());
        self.write("DELETE FROM journal WHERE entity = ?1 AND at <= ?2", &[entity.into(), oldest.into()])
    }

    fn file(&self, entity: i64, place: i64, record: &str) -> Result<(), SqlError> {
        self.write(
            "INSERT INTO journal (entity, place, at, record) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT (entity, place) DO UPDATE SET at = ?3, record = ?4",
            &[entity.into(), place.into(), self.now.into(), record.into()],
        )?;
        self.arm_once(forgetting(self.now, entity), TimerKind::Journal, entity)
    }
}

fn place(generation: i64) -> i64 {
    generation % JOURNAL_DISPATCHES
}

/// When what an entity files today is too old. It is the same all day, so that a day has one timer, and another moment of
/// the day for each entity.
fn forgetting(now: Time, entity: i64) -> Time {
    let day = DAY.as_millis();
    let tomorrow = (now.as_millis() / day + 1) * day;
    Time::from_millis(tomorrow + entity % day) + JOURNAL_AGE
}

const DAY: Span = Span::secs(86_400);
