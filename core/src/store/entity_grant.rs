//! Grants on entities.

use super::{Read, Row, SqlError, Tx};
use crate::permission::{Held, Permission, Subject};
use crate::time::Time;

/// A grant on an entity.
#[derive(Clone, Debug)]
pub(crate) struct EntityGrant {
    pub(crate) id: i64,
    /// On which it was granted.
    pub(crate) entity: i64,
    pub(crate) held: Held,
    /// Whether it reaches everything below.
    pub(crate) descendants: bool,
    /// Whether whatever is spawned below is given a copy of its own.
    pub(crate) copies: bool,
    /// The principal URL of who gave it.
    pub(crate) created_by: Option<String>,
    pub(crate) created_at: Time,
    /// How far it has spread, while it does.
    pub(crate) place: Option<Place>,
    /// It holds no longer, and what it reached is being swept.
    pub(crate) ended: bool,
}

/// Where a grant is on its way down: among the children of an entity that it has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) at: i64,
    /// The last child that it has reached.
    pub(crate) after: i64,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT g.id, g.entity, g.created_by, g.created_at, g.permission, g.subject_kind, g.subject, g.expires_at, g.descendants, \
             g.copies, g.at, g.after, g.ended FROM entity_grant g ",
            $rest
        )
    };
}

fn grant(row: Row<'_>) -> Result<EntityGrant, SqlError> {
    let place = match row.opt_int(10)? {
        Some(at) => Some(Place { at, after: row.int(11)? }),
        None => None,
    };
    Ok(EntityGrant {
        id: row.int(0)?,
        entity: row.int(1)?,
        created_by: row.opt_text(2)?.map(str::to_owned),
        created_at: wire_time(row, 3)?,
        held: held(row, 4)?,
        descendants: row.int(8)? != 0,
        copies: row.int(9)? != 0,
        place,
        ended: row.int(12)? != 0,
    })
}

/// What a grant says, from four columns.
pub(super) fn held(row: Row<'_>, from: usize) -> Result<Held, SqlError> {
    let (permission, kind) = (row.text(from)?, row.text(from + 1)?);
    let damaged = |what: &str| SqlError::new(format!("a stored grant does not parse: `{what}`"));
    Ok(Held {
        permission: Permission::parse(permission).ok_or_else(|| damaged(permission))?,
        subject: Subject::parse(kind, row.text(from + 2)?).ok_or_else(|| damaged(kind))?,
        expires_at: row.opt_int(from + 3)?.map(Time::from_millis),
    })
}

pub(super) fn wire_time(row: Row<'_>, column: usize) -> Result<Time, SqlError> {
    Ok(Time::from_millis(row.int(column)?))
}

impl Read<'_> {
    pub(crate) fn entity_grant(&self, id: i64) -> Result<Option<EntityGrant>, SqlError> {
        self.one(select!("WHERE g.id = ?1"), &[id.into()], grant)
    }

    /// The grants on an entity, as they were made; not those that reach it from above.
    pub(crate) fn grants_on_entity(&self, entity: i64) -> Result<Vec<EntityGrant>, SqlError> {
        self.all(select!("WHERE g.entity = ?1 AND g.ended = 0 ORDER BY g.id"), &[entity.into()], grant)
    }
}

impl Tx<'_> {
    pub(crate) fn insert_entity_grant(&self, g: &EntityGrant) -> Result<(), SqlError> {
        self.write(
            "INSERT INTO entity_grant (id, entity, permission, subject_kind, subject, descendants, copies, created_by, expires_at, \
             created_at, at, after, ended) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            &[
                g.id.into(),
                g.entity.into(),
                g.held.permission.as_str().into(),
                g.held.subject.kind().into(),
                g.held.subject.value().into(),
                g.descendants.into(),
                g.copies.into(),
                g.created_by.as_ref().into(),
                g.held.expires_at.into(),
                g.created_at.into(),
                g.place.map(|p| p.at).into(),
                g.place.map(|p| p.after).into(),
                g.ended.into(),
            ],
        )
    }

    /// Writes how far a grant has spread; `None` when it has been everywhere.
    pub(crate) fn move_grant(&self, id: i64, place: Option<Place>) -> Result<(), SqlError> {
        self.write(
            "UPDATE entity_grant SET at = ?2, after = ?3 WHERE id = ?1",
            &[id.into(), place.map(|p| p.at).into(), place.map(|p| p.after).into()],
        )
    }

    /// From now on it holds nowhere.
    pub(crate) fn end_grant(&self, id: i64) -> Result<(), SqlError> {
        self.write("UPDATE entity_grant SET ended = 1 WHERE id = ?1", &[id.into()])
    }

    pub(crate) fn delete_entity_grant(&self, id: i64) -> Result<(), SqlError> {
        self.write("DELETE FROM entity_grant WHERE id = ?1", &[id.into()])
    }
}
