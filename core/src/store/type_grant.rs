//! Grants on types.

use super::change::columns;
use super::entity_grant::{held, wire_time};
use super::{Columns, Read, Row, SqlError, Table, Tx};
use crate::permission::Held;
use crate::tenant::Principal;
use crate::time::Time;

/// A grant on a type.
#[derive(Clone, Debug)]
pub(crate) struct TypeGrant {
    pub(crate) id: i64,
    pub(crate) kind: String,
    pub(crate) held: Held,
    /// The principal URL of who gave it.
    pub(crate) created_by: Option<String>,
    pub(crate) created_at: Time,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT g.id, g.type, g.created_by, g.created_at, g.permission, g.subject_kind, g.subject, g.expires_at FROM type_grant g ",
            $rest
        )
    };
}

fn grant(row: Row<'_>) -> Result<TypeGrant, SqlError> {
    Ok(TypeGrant {
        id: row.int(0)?,
        kind: row.text(1)?.to_owned(),
        created_by: row.opt_text(2)?.map(str::to_owned),
        created_at: wire_time(row, 3)?,
        held: held(row, 4)?,
    })
}

impl Read<'_> {
    pub(crate) fn type_grant(&self, id: i64) -> Result<Option<TypeGrant>, SqlError> {
        self.one(select!("WHERE g.id = ?1"), &[id.into()], grant)
    }

    /// All grants on a type, as they were made.
    pub(crate) fn grants_on_type(&self, kind: &str) -> Result<Vec<TypeGrant>, SqlError> {
        self.all(select!("WHERE g.type = ?1 ORDER BY g.id"), &[kind.into()], grant)
    }

    /// Those that are for a principal.
    pub(crate) fn type_grants_for(&self, kind: &str, by: &Principal) -> Result<Vec<Held>, SqlError> {
        self.all(
            "SELECT g.permission, g.subject_kind, g.subject, g.expires_at FROM type_grant g WHERE g.type = ?1 AND g.subject IN (?2, ?3)",
            &[kind.into(), (&by.url()).into(), by.kind().into()],
            |row| held(row, 0),
        )
    }
}

impl Read<'_> {
    /// A grant on a type, as the change log has it.
    pub(crate) fn type_grant_columns(&self, id: &str) -> Result<Option<Columns>, SqlError> {
        let grant = id.parse().map_or(Ok(None), |id| self.type_grant(id))?;
        Ok(grant.map(|grant| {
            columns([
                ("type", Some(grant.kind)),
                ("permission", Some(grant.held.permission.as_str().to_owned())),
                ("subject_kind", Some(grant.held.subject.kind().to_owned())),
                ("subject_value", Some(grant.held.subject.value().to_owned())),
            ])
        }))
    }

    /// The keys of the grants by which a principal sees a type.
    pub(crate) fn type_grant_keys(&self, kind: &str, by: &Principal) -> Result<Vec<String>, SqlError> {
        self.all(
            "SELECT id FROM type_grant g WHERE g.type = ?1 AND g.subject IN (?2, ?3) \
             AND g.subject_kind = CASE g.subject WHEN ?3 THEN 'principal_kind' ELSE 'principal' END",
            &[kind.into(), (&by.url()).into(), by.kind().into()],
            |row| Ok(row.int(0)?.to_string()),
        )
    }
}

impl Tx<'_> {
    pub(crate) fn insert_type_grant(&self, g: &TypeGrant) -> Result<(), SqlError> {
        self.log_new(Table::TypeGrants, &g.id.to_string())?;
        self.write(
            "INSERT INTO type_grant (id, type, permission, subject_kind, subject, created_by, expires_at, created_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            &[
                g.id.into(),
                (&g.kind).into(),
                g.held.permission.as_str().into(),
                g.held.subject.kind().into(),
                g.held.subject.value().into(),
                g.created_by.as_ref().into(),
                g.held.expires_at.into(),
                g.created_at.into(),
            ],
        )
    }

    pub(crate) fn delete_type_grant(&self, id: i64) -> Result<(), SqlError> {
        let key = id.to_string();
        self.log_write(Table::TypeGrants, &key, self.type_grant_columns(&key)?, None)?;
        self.write("DELETE FROM type_grant WHERE id = ?1", &[id.into()])
    }
}
