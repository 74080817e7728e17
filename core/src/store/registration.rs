//! Wake registrations: when an event matching a condition appears on a source, its subscriber wakes.

use super::{Read, Row, SqlError, TimerKind, Tx};
use crate::permission::Subject;
use crate::stream::Offset;
use crate::time::{Span, Time};
use crate::wake::Condition;

/// A registration.
#[derive(Clone, Debug)]
pub(crate) struct Registration {
    /// Appears in the keys of wake rows.
    pub(crate) id: i64,
    /// The entity that wakes.
    pub(crate) subscriber: i64,
    pub(crate) condition: Condition,
    pub(crate) include_response: bool,
    pub(crate) debounce: Span,
    pub(crate) timeout: Span,
    /// Something has matched, or the timeout was told: there is none any more.
    pub(crate) consumed: bool,
    /// It is for one wake.
    pub(crate) one_shot: bool,
    /// When it ends by itself.
    pub(crate) until: Option<Time>,
}

impl Registration {
    /// Whether it has ended by itself.
    pub(crate) fn is_over(&self, now: Time) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

/// A registration as its subscriber is told of it.
#[derive(Clone, Debug)]
pub(crate) struct Observed {
    pub(crate) id: i64,
    pub(crate) source: String,
    pub(crate) condition: Condition,
    /// Where the source ended when it was made.
    pub(crate) since: Offset,
    pub(crate) debounce: Span,
    /// When it times out, if it still may.
    pub(crate) timeout_at: Option<Time>,
    /// When it ends by itself.
    pub(crate) until: Option<Time>,
}

/// A registration to be made.
#[derive(Clone, Debug)]
pub(crate) struct NewRegistration<'a> {
    pub(crate) subscriber: i64,
    /// An entity URL, or the path of a stream that belongs to no entity.
    pub(crate) source: &'a str,
    pub(crate) condition: &'a Condition,
    /// Empty when none.
    pub(crate) manifest_key: &'a str,
    pub(crate) include_response: bool,
    pub(crate) debounce: Span,
    pub(crate) timeout: Span,
    pub(crate) one_shot: bool,
    /// When it ends by itself.
    pub(crate) until: Option<Time>,
    /// Where the source ends now.
    pub(crate) since: Offset,
}

/// What a registration is recognised by when it is made again.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) id: i64,
    pub(crate) source: String,
    pub(crate) condition: String,
    pub(crate) include_response: bool,
    pub(crate) debounce: Span,
    pub(crate) timeout: Span,
    pub(crate) one_shot: bool,
    pub(crate) until: Option<Time>,
}

fn registration(row: Row<'_>) -> Result<Registration, SqlError> {
    Ok(Registration {
        id: row.int(0)?,
        subscriber: row.int(1)?,
        condition: condition(row.text(2)?)?,
        include_response: row.int(3)? != 0,
        debounce: Span::millis(row.int(4)?),
        timeout: Span::millis(row.int(5)?),
        consumed: row.int(6)? != 0,
        one_shot: row.int(7)? != 0,
        until: row.opt_int(8)?.map(Time::from_millis),
    })
}

fn condition(stored: &str) -> Result<Condition, SqlError> {
    serde_json::from_str(stored).map_err(|e| SqlError::new(format!("a stored condition does not parse: {e}")))
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, subscriber, condition, include_response, debounce, timeout, consumed, one_shot, until FROM registration ",
            $rest
        )
    };
}

impl Read<'_> {
    pub(crate) fn registration(&self, id: i64) -> Result<Option<Registration>, SqlError> {
        self.one(select!("WHERE id = ?1"), &[id.into()], registration)
    }

    /// The subscriber and the manifest key of a registration that has ended by itself.
    pub(crate) fn lapsed(&self, id: i64, now: Time) -> Result<Option<(i64, String)>, SqlError> {
        self.one(
            "SELECT subscriber, manifest_key FROM registration WHERE id = ?1 AND until <= ?2",
            &[id.into(), now.into()],
            |row| Ok((row.int(0)?, row.text(1)?.to_owned())),
        )
    }

    /// What a registration is on.
    pub(crate) fn source_of(&self, id: i64) -> Result<Option<String>, SqlError> {
        self.one("SELECT source FROM registration WHERE id = ?1", &[id.into()], |row| Ok(row.text(0)?.to_owned()))
    }

    /// The registrations on a source between two, in registration order.
    pub(crate) fn registrations_on(
        &self,
        source: &str,
        after: i64,
        before: i64,
        limit: usize,
    ) -> Result<Vec<Registration>, SqlError> {
        self.all(
            select!("WHERE source = ?1 AND id > ?2 AND id < ?3 ORDER BY id LIMIT ?4"),
            &[source.into(), after.into(), before.into(), i64::try_from(limit).unwrap_or(i64::MAX).into()],
            registration,
        )
    }

    /// What a subscriber observes, in registration order: everything, or one source.
    pub(crate) fn observed(
        &self,
        subscriber: i64,
        source: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Observed>, SqlError> {
        self.all(
            "SELECT id, source, condition, since, debounce, CASE WHEN timeout > 0 AND consumed = 0 THEN created_at + timeout END, until FROM registration WHERE subscriber = ?1 AND (?2 IS NULL OR source = ?2) ORDER BY id LIMIT ?3",
            &[subscriber.into(), source.into(), i64::try_from(limit).unwrap_or(i64::MAX).into()],
            |row| {
                Ok(Observed {
                    id: row.int(0)?,
                    source: row.text(1)?.to_owned(),
                    condition: condition(row.text(2)?)?,
                    since: Offset::at(row.int(3)?),
                    debounce: Span::millis(row.int(4)?),
                    timeout_at: row.opt_int(5)?.map(Time::from_millis),
                    until: row.opt_int(6)?.map(Time::from_millis),
                })
            },
        )
    }

    /// Those whom `subject` means, or all when it is absent, and whose entities observe a source; and how many
    /// registrations they have there.
    pub(crate) fn observers(&self, source: &str, subject: Option<&Subject>) -> Result<Vec<(String, usize)>, SqlError> {
        self.all(
            "SELECT s.created_by, count(*) FROM registration r JOIN entity s ON s.id = r.subscriber WHERE r.source = ?1 \
             AND CASE ?2 WHEN 'principal' THEN s.created_by = ?3 ELSE substr(s.created_by, 1, length(?3)) = ?3 END \
             GROUP BY s.created_by",
            &[source.into(), subject.map_or("", Subject::kind).into(), (&subject.map_or_else(String::new, Subject::urls)).into()],
            |row| Ok((row.text(0)?.to_owned(), usize::try_from(row.int(1)?).unwrap_or(usize::MAX))),
        )
    }

    /// Whether there are registrations on a source.
    pub(crate) fn is_source(&self, source: &str) -> Result<bool, SqlError> {
        Ok(self.one("SELECT 1 FROM registration WHERE source = ?1 LIMIT 1", &[source.into()], |_| Ok(()))?.is_some())
    }

    /// How many registrations a subscriber holds.
    pub(crate) fn registrations_held(&self, subscriber: i64) -> Result<usize, SqlError> {
        let held =
            self.one("SELECT count(*) FROM registration WHERE subscriber = ?1", &[subscriber.into()], |row| {
                row.int(0)
            })?;
        Ok(usize::try_from(held.unwrap_or(0)).unwrap_or(usize::MAX))
    }

    /// What a subscriber holds under a manifest key (`""` for none).
    pub(crate) fn registrations_of(&self, subscriber: i64, manifest_key: &str) -> Result<Vec<Known>, SqlError> {
        self.all(
            "SELECT id, source, condition, include_response, debounce, timeout, one_shot, until FROM registration WHERE subscriber = ?1 AND manifest_key = ?2",
            &[subscriber.into(), manifest_key.into()],
            |row| {
                Ok(Known {
                    id: row.int(0)?,
                    source: row.text(1)?.to_owned(),
                    condition: row.text(2)?.to_owned(),
                    include_response: row.int(3)? != 0,
                    debounce: Span::millis(row.int(4)?),
                    timeout: Span::millis(row.int(5)?),
                    one_shot: row.int(6)? != 0,
                    until: row.opt_int(7)?.map(Time::from_millis),
                })
            },
        )
    }
}

impl Tx<'_> {
    pub(crate) fn insert_registration(&self, new: &NewRegistration<'_>, at: Time) -> Result<i64, SqlError> {
        let id = self.next_id();
        let condition = new.condition.json();
        self.write(
            "INSERT INTO registration (id, subscriber, source, condition, manifest_key, include_response, debounce, timeout, created_at, since, one_shot, until) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            &[
                id.into(),
                new.subscriber.into(),
                new.source.into(),
                (&condition).into(),
                new.manifest_key.into(),
                new.include_response.into(),
                new.debounce.as_millis().into(),
                new.timeout.as_millis().into(),
                at.into(),
                new.since.into(),
                new.one_shot.into(),
                new.until.into(),
            ],
        )?;
        Ok(id)
    }

    /// The timeout of a registration is over.
    pub(crate) fn consume_timeout(&self, id: i64) -> Result<(), SqlError> {
        self.write("UPDATE registration SET consumed = 1 WHERE id = ?1", &[id.into()])
    }

    pub(crate) fn delete_registration(&self, id: i64) -> Result<(), SqlError> {
        self.write("DELETE FROM registration WHERE id = ?1", &[id.into()])
    }

    /// Deletes what a subscriber holds on a source.
    pub(crate) fn delete_registrations_between(&self, subscriber: i64, source: &str) -> Result<(), SqlError> {
        self.write(
            "DELETE FROM registration WHERE subscriber = ?1 AND source = ?2",
            &[subscriber.into(), source.into()],
        )
    }

    /// Deletes what the entities of a creator (a principal URL) hold on a source.
    pub(crate) fn delete_registrations_of(&self, source: &str, creator: &str) -> Result<(), SqlError> {
        self.write(
            "DELETE FROM registration WHERE source = ?1 AND (SELECT e.created_by FROM entity e WHERE e.id = registration.subscriber) = ?2",
            &[source.into(), creator.into()],
        )
    }

    /// Deletes what a subscriber holds under a manifest key.
    pub(crate) fn delete_registrations_under(&self, subscriber: i64, manifest_key: &str) -> Result<(), SqlError> {
        let ended = self.all(
            "DELETE FROM registration WHERE subscriber = ?1 AND manifest_key = ?2 RETURNING id, until",
            &[subscriber.into(), manifest_key.into()],
            |row| Ok((row.int(0)?, row.opt_int(1)?.map(Time::from_millis))),
        )?;
        ended.into_iter().try_for_each(|(id, until)| self.disarm_lapse(id, until))
    }

    /// What would have ended a registration by itself has nothing to do.
    pub(crate) fn disarm_lapse(&self, id: i64, until: Option<Time>) -> Result<(), SqlError> {
        until.map_or(Ok(()), |until| self.disarm(until, TimerKind::Lapse, id))
    }

    /// Deletes everything that an entity holds, and everything held on it.
    pub(crate) fn delete_registrations_about(&self, entity: i64, url: &str) -> Result<(), SqlError> {
        self.write("DELETE FROM registration WHERE subscriber = ?1", &[entity.into()])?;
        self.write("DELETE FROM registration WHERE source = ?1", &[url.into()])
    }
}
