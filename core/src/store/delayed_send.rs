//! Delayed sends: a message that arrives when its timer is due.

use super::{Read, Row, SqlError, Tx};
use crate::time::Time;

/// A message on its way.
#[derive(Clone, Debug)]
pub(crate) struct DelayedSend {
    pub(crate) id: i64,
    pub(crate) entity: i64,
    /// The message as JSON.
    pub(crate) message: String,
    pub(crate) due_at: Time,
    /// The entity whose manifest it stands in, and under which key.
    pub(crate) manifest: Option<(i64, String)>,
}

fn delayed_send(row: Row<'_>) -> Result<DelayedSend, SqlError> {
    Ok(DelayedSend {
        id: row.int(0)?,
        entity: row.int(1)?,
        message: row.text(2)?.to_owned(),
        due_at: Time::from_millis(row.int(3)?),
        manifest: row.opt_int(4)?.zip(row.opt_text(5)?.map(str::to_owned)),
    })
}

macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT id, entity, message, due_at, owner, manifest_key FROM delayed_send ", $rest)
    };
}

impl Read<'_> {
    pub(crate) fn delayed_send(&self, id: i64) -> Result<Option<DelayedSend>, SqlError> {
        self.one(select!("WHERE id = ?1"), &[id.into()], delayed_send)
    }

    /// The send that stands in an entity's manifest under a key.
    pub(crate) fn manifest_send(&self, owner: i64, key: &str) -> Result<Option<DelayedSend>, SqlError> {
        self.one(select!("WHERE owner = ?1 AND manifest_key = ?2"), &[owner.into(), key.into()], delayed_send)
    }

    /// Messages to an entity that should have arrived by now.
    pub(crate) fn overdue_sends(&self, entity: i64) -> Result<Vec<i64>, SqlError> {
        let sql = "SELECT id FROM delayed_send WHERE entity = ?1 AND due_at <= ?2 ORDER BY due_at, id";
        self.all(sql, &[entity.into(), self.now.into()], |row| row.int(0))
    }

    /// When messages come to an entity, and when those of its manifest go to others, and to whom.
    pub(crate) fn sends_of(&self, entity: i64) -> Result<Vec<(Time, Option<String>)>, SqlError> {
        let sql = "SELECT d.due_at, NULL FROM delayed_send d WHERE d.entity = ?1 \
             UNION ALL SELECT d.due_at, e.url FROM delayed_send d JOIN entity e ON e.id = d.entity \
             WHERE d.owner = ?1 AND d.entity <> ?1 ORDER BY 1 LIMIT 1000";
        self.all(sql, &[entity.into()], |row| Ok((Time::from_millis(row.int(0)?), row.opt_text(1)?.map(str::to_owned))))
    }
}

impl Tx<'_> {
    /// Keeps a message until it is due.
    pub(crate) fn insert_delayed_send(
        &self,
        entity: i64,
        message: &str,
        due_at: Time,
        manifest: Option<(i64, &str)>,
    ) -> Result<i64, SqlError> {
        let id = self.next_id();
        self.write(
            "INSERT INTO delayed_send (id, entity, message, due_at, owner, manifest_key) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            &[
                id.into(),
                entity.into(),
                message.into(),
                due_at.into(),
                manifest.map(|(owner, _)| owner).into(),
                manifest.map(|(_, key)| key).into(),
            ],
        )?;
        Ok(id)
    }

    pub(crate) fn delete_delayed_send(&self, id: i64) -> Result<(), SqlError> {
        self.write("DELETE FROM delayed_send WHERE id = ?1", &[id.into()])
    }
}
