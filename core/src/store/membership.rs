//! Membership streams, and who is in them.

use super::{Read, Row, SqlError, Tx};

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
    /// Up to which entity it was filled at first; `None` when it was through.
    pub(crate) cursor: Option<i64>,
}

macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT m.id, m.ref, m.anchor, m.tags, m.principal, m.cursor FROM membership m ", $rest)
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
    })
}

impl Read<'_> {
    pub(crate) fn membership(&self, reference: &str) -> Result<Option<MembershipRow>, SqlError> {
        self.one(select!("WHERE m.ref = ?1"), &[reference.into()], membership)
    }

    pub(crate) fn membership_by_id(&self, id: i64) -> Result<Option<MembershipRow>, SqlError> {
        self.one(select!("WHERE m.id = ?1"), &[id.into()], membership)
    }

    /// Whether there are any.
    pub(crate) fn has_memberships(&self) -> Result<bool, SqlError> {
        Ok(self.one("SELECT 1 FROM membership LIMIT 1", &[], |_| Ok(()))?.is_some())
    }

    /// How many there are.
    pub(crate) fn memberships(&self) -> Result<i64, SqlError> {
        Ok(self.one("SELECT count(*) FROM membership", &[], |row| row.int(0))?.unwrap_or(0))
    }

    /// Those whose first tag is this; or that ask for none, when it is empty.
    pub(crate) fn anchored(&self, anchor: &str) -> Result<Vec<MembershipRow>, SqlError> {
        self.all(select!("WHERE m.anchor = ?1 ORDER BY m.id"), &[anchor.into()], membership)
    }

    /// Those that an entity is in.
    pub(crate) fn memberships_of(&self, entity: i64) -> Result<Vec<MembershipRow>, SqlError> {
        self.all(
            select!("JOIN member x ON x.membership = m.id WHERE x.entity = ?1 ORDER BY m.id"),
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
            "INSERT INTO membership (id, ref, anchor, tags, principal, cursor) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            &[
                m.id.into(),
                (&m.reference).into(),
                (&m.anchor).into(),
                (&m.tags).into(),
                (&m.principal).into(),
                m.cursor.into(),
            ],
        )
    }

    pub(crate) fn move_membership(&self, id: i64, cursor: Option<i64>) -> Result<(), SqlError> {
        self.write("UPDATE membership SET cursor = ?2 WHERE id = ?1", &[id.into(), cursor.into()])
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
