//! Membership streams, and who is in them.

use super::{Read, Row, SqlError, Tx};
use crate::time::Time;

/// A membership stream.
#[derive(Clone, Debug)]
pub(crate) struct MembershipRow {
    /// Also its stream's.
    pub(crate) id: i64,
    pub(crate) reference: String,
    /// The first of its tags as JSON; empty when it asks for none.
    pub(crate) anchor: String,
    /// A JSON object of strings.
    pub(crate) tags: String,
    /// Who sees entities so, as a principal URL.
    pub(crate) principal: String,
    /// Up to which entity it was filled, at first or since it woke; `None` when it was through.
    pub(crate) cursor: Option<i64>,
    /// Nobody looks at it, and nothing is written to it.
    pub(crate) asleep: bool,
    /// When it falls asleep, or since when it sleeps.
    pub(crate) until: Time,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT m.id, m.ref, m.anchor, m.tags, m.principal, m.cursor, m.asleep, m.until FROM membership m ",
            $rest
        )
    };
}

fn membership(row: Row<'_>) -> Result<MembershipRow, SqlError> {
    Ok(MembershipRow {
        id: row.int(0)?,
        reference: row.text(1)?.to_owned(),
        anchor: row.text(2)?.to_owned(),
        tags: row.text(3)?.to_owned(),
        principal: row.text(4)?.to_owned(),
        cursor: row.opt_int(5)?,
        asleep: row.int(6)? != 0,
        until: Time::from_millis(row.int(7)?),
    })
}

impl Read<'_> {
    pub(crate) fn membership(&self, reference: &str) -> Result<Option<MembershipRow>, SqlError> {
        self.one(select!("WHERE m.ref = ?1"), &[reference.into()], membership)
    }

    pub(crate) fn membership_by_id(&self, id: i64) -> Result<Option<MembershipRow>, SqlError> {
        self.one(select!("WHERE m.id = ?1"), &[id.into()], membership)
    }

    /// Whether any is awake.
    pub(crate) fn has_memberships(&self) -> Result<bool, SqlError> {
        Ok(self.one("SELECT 1 FROM membership WHERE asleep = 0 LIMIT 1", &[], |_| Ok(()))?.is_some())
    }

    /// How many are awake.
    pub(crate) fn memberships_awake(&self) -> Result<i64, SqlError> {
        let sql = "SELECT count(*) FROM membership WHERE asleep = 0";
        Ok(self.one(sql, &[], |row| row.int(0))?.unwrap_or(0))
    }

    /// How many are asleep.
    pub(crate) fn memberships_asleep(&self) -> Result<i64, SqlError> {
        let sql = "SELECT count(*) FROM membership WHERE asleep = 1";
        Ok(self.one(sql, &[], |row| row.int(0))?.unwrap_or(0))
    }

    /// The one that has slept longest, of those whose stream nobody has forked.
    pub(crate) fn longest_asleep(&self) -> Result<Option<i64>, SqlError> {
        let sql = "SELECT m.id FROM membership m JOIN stream s ON s.id = m.id WHERE m.asleep = 1 AND s.refs = 0 ORDER BY m.until, m.id LIMIT 1";
        self.one(sql, &[], |row| row.int(0))
    }

    /// Those awake whose first tag is this; or that ask for none, when it is empty.
    pub(crate) fn anchored(&self, anchor: &str) -> Result<Vec<MembershipRow>, SqlError> {
        self.all(select!("WHERE m.anchor = ?1 AND m.asleep = 0 ORDER BY m.id"), &[anchor.into()], membership)
    }

    /// Those awake that an entity is in.
    pub(crate) fn memberships_of(&self, entity: i64) -> Result<Vec<MembershipRow>, SqlError> {
        self.all(
            select!("JOIN member x ON x.membership = m.id WHERE x.entity = ?1 AND m.asleep = 0 ORDER BY m.id"),
            &[entity.into()],
            membership,
        )
    }

    /// What a stream said last of an entity.
    pub(crate) fn member(&self, membership: i64, entity: i64) -> Result<Option<String>, SqlError> {
        let sql = "SELECT row FROM member WHERE entity = ?1 AND membership = ?2";
        self.one(sql, &[entity.into(), membership.into()], |row| Ok(row.text(0)?.to_owned()))
    }
}

impl Tx<'_> {
    pub(crate) fn insert_membership(&self, m: &MembershipRow) -> Result<(), SqlError> {
        self.write(
            "INSERT INTO membership (id, ref, anchor, tags, principal, cursor, asleep, until) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            &[
                m.id.into(),
                (&m.reference).into(),
                (&m.anchor).into(),
                (&m.tags).into(),
                (&m.principal).into(),
                m.cursor.into(),
                m.asleep.into(),
                m.until.into(),
            ],
        )
    }

    pub(crate) fn move_membership(&self, id: i64, cursor: Option<i64>) -> Result<(), SqlError> {
        self.write("UPDATE membership SET cursor = ?2 WHERE id = ?1", &[id.into(), cursor.into()])
    }

    /// Somebody has looked at it, or still observes it.
    pub(crate) fn keep_membership(&self, id: i64, until: Time) -> Result<(), SqlError> {
        self.write("UPDATE membership SET until = ?2 WHERE id = ?1", &[id.into(), until.into()])
    }

    /// It falls asleep or wakes: in either case all entities are before it again.
    pub(crate) fn turn_membership(&self, id: i64, asleep: bool, until: Time) -> Result<(), SqlError> {
        self.write(
            "UPDATE membership SET asleep = ?2, until = ?3, cursor = 0 WHERE id = ?1",
            &[id.into(), asleep.into(), until.into()],
        )
    }

    /// Its members are for whoever sweeps its stream.
    pub(crate) fn delete_membership(&self, id: i64) -> Result<(), SqlError> {
        self.write("DELETE FROM membership WHERE id = ?1", &[id.into()])
    }

    /// Deletes so many members of a stream that is gone. Says whether those were all.
    pub(crate) fn delete_members(&self, membership: i64, limit: i64) -> Result<bool, SqlError> {
        self.write(
            "DELETE FROM member WHERE membership = ?1 AND entity IN (SELECT entity FROM member WHERE membership = ?1 ORDER BY entity LIMIT ?2)",
            &[membership.into(), limit.into()],
        )?;
        let sql = "SELECT 1 FROM member WHERE membership = ?1 LIMIT 1";
        Ok(self.one(sql, &[membership.into()], |_| Ok(()))?.is_none())
    }

    pub(crate) fn write_member(&self, membership: i64, entity: i64, row: &str) -> Result<(), SqlError> {
        self.write(
            "INSERT INTO member (entity, membership, row) VALUES (?1, ?2, ?3) ON CONFLICT (entity, membership) DO UPDATE SET row = ?3",
            &[entity.into(), membership.into(), row.into()],
        )
    }

    pub(crate) fn delete_member(&self, membership: i64, entity: i64) -> Result<(), SqlError> {
        self.write("DELETE FROM member WHERE entity = ?1 AND membership = ?2", &[entity.into(), membership.into()])
    }
}
