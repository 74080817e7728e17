//! Where grants are in effect: on their entities, and on what they reach below them. A row says only which grant and
//! which entity; what that allows, to whom and until when stands in the grant, so that a grant that ends has ended
//! everywhere.

use super::change::{columns, tenant, timestamp};
use super::entity_grant::held;
use super::{Columns, Read, Row, SqlError, Table, Tx};
use crate::permission::Held;
use crate::tenant::Principal;
use crate::time::Time;

/// The row ids of the entities that a principal may read, as a query in brackets: `e.id IN` it is the condition on the
/// rows of a table. `?1` is the principal's URL, `?2` its kind, `?3` is now. Built-in system principals read everything
/// and must not be asked with it.
macro_rules! readable {
    () => {
        "(SELECT o.entity FROM owned o WHERE o.owner = ?1 UNION SELECT x.entity FROM entity_grant g JOIN effective x ON x.grant = g.id WHERE g.subject IN (?1, ?2) \
         AND g.subject_kind = CASE g.subject WHEN ?2 THEN 'principal_kind' ELSE 'principal' END \
         AND g.permission IN ('read', 'manage') AND g.ended = 0 AND (g.expires_at IS NULL OR g.expires_at > ?3))"
    };
}
pub(super) use readable;

/// What the change log calls a grant that is in effect on an entity.
fn key(entity: i64, grant: i64) -> String {
    format!("{entity}:{grant}")
}

macro_rules! shown {
    ($rest:literal) => {
        concat!(
            "SELECT x.id, e.url, s.url, g.id, g.permission, g.subject_kind, g.subject, g.expires_at, x.created_at FROM effective x \
             JOIN entity_grant g ON g.id = x.grant JOIN entity e ON e.id = x.entity JOIN entity s ON s.id = g.entity ",
            $rest
        )
    };
}

/// A grant in effect as clients see it, with its number.
fn shown(row: Row<'_>) -> Result<(i64, Columns), SqlError> {
    let text = |column| row.text(column).map(|text| Some(text.to_owned()));
    let id = row.int(0)?;
    Ok((
        id,
        columns([
            ("tenant_id", tenant()),
            ("id", Some(id.to_string())),
            ("entity_url", text(1)?),
            ("source_entity_url", text(2)?),
            ("source_grant_id", Some(row.int(3)?.to_string())),
            ("permission", text(4)?),
            ("subject_kind", text(5)?),
            ("subject_value", text(6)?),
            ("expires_at", row.opt_int(7)?.and_then(|at| timestamp(Time::from_millis(at)))),
            ("created_at", timestamp(Time::from_millis(row.int(8)?))),
        ]),
    ))
}

impl Read<'_> {
    /// A grant in effect as clients see it, by its key in the change log.
    pub(crate) fn effective_columns(&self, key: &str) -> Result<Option<Columns>, SqlError> {
        let parsed = key.split_once(':').and_then(|(entity, grant)| Some((entity.parse().ok()?, grant.parse().ok()?)));
        let Some((entity, grant)): Option<(i64, i64)> = parsed else { return Ok(None) };
        self.one(
            shown!("WHERE x.entity = ?1 AND x.grant = ?2"),
            &[entity.into(), grant.into()],
            |row| Ok(shown(row)?.1),
        )
    }

    /// The grants in effect after one, with their numbers, as clients see them: all of them.
    pub(crate) fn effective_after(&self, id: i64, limit: i64) -> Result<Vec<(i64, Columns)>, SqlError> {
        self.all(shown!("WHERE x.id > ?1 ORDER BY x.id LIMIT ?2"), &[id.into(), limit.into()], shown)
    }

    /// The same, those that are for a principal.
    pub(crate) fn effective_for(&self, by: &Principal, id: i64, limit: i64) -> Result<Vec<(i64, Columns)>, SqlError> {
        self.all(
            shown!("WHERE g.subject IN (?3, ?4) AND x.id > ?1 ORDER BY x.id LIMIT ?2"),
            &[id.into(), limit.into(), (&by.url()).into(), by.kind().into()],
            shown,
        )
    }

    /// The keys of the grants on an entity that are for a principal.
    pub(crate) fn effective_keys(&self, entity: i64, by: &Principal) -> Result<Vec<String>, SqlError> {
        self.all(
            "SELECT x.grant FROM effective x JOIN entity_grant g ON g.id = x.grant WHERE x.entity = ?1 AND g.subject IN (?2, ?3)",
            &[entity.into(), (&by.url()).into(), by.kind().into()],
            |row| Ok(key(entity, row.int(0)?)),
        )
    }

    /// The same of those that let them read it, also when they hold no longer and their rows are yet to be swept.
    pub(crate) fn reading_keys(&self, entity: i64, by: &Principal) -> Result<Vec<String>, SqlError> {
        self.all(
            "SELECT x.grant FROM effective x JOIN entity_grant g ON g.id = x.grant WHERE x.entity = ?1 AND g.subject IN (?2, ?3) \
             AND g.subject_kind = CASE g.subject WHEN ?3 THEN 'principal_kind' ELSE 'principal' END AND g.permission IN ('read', 'manage')",
            &[entity.into(), (&by.url()).into(), by.kind().into()],
            |row| Ok(key(entity, row.int(0)?)),
        )
    }

    /// The entities that a principal may read after one, in the order in which they came to be.
    pub(crate) fn readable_after(&self, by: &Principal, id: i64, limit: i64) -> Result<Vec<i64>, SqlError> {
        self.all(
            "SELECT o.entity FROM owned o WHERE o.owner = ?1 AND o.entity > ?4 UNION SELECT x.entity FROM entity_grant g \
             JOIN effective x ON x.grant = g.id WHERE g.subject IN (?1, ?2) \
             AND g.subject_kind = CASE g.subject WHEN ?2 THEN 'principal_kind' ELSE 'principal' END \
             AND g.permission IN ('read', 'manage') AND g.ended = 0 AND (g.expires_at IS NULL OR g.expires_at > ?3) AND x.entity > ?4 \
             ORDER BY 1 LIMIT ?5",
            &[(&by.url()).into(), by.kind().into(), self.now.into(), id.into(), limit.into()],
            |row| row.int(0),
        )
    }

    /// The grants in effect on an entity that are for a principal.
    pub(crate) fn entity_grants_for(&self, entity: i64, by: &Principal) -> Result<Vec<Held>, SqlError> {
        self.all(
            "SELECT g.permission, g.subject_kind, g.subject, g.expires_at FROM effective x JOIN entity_grant g ON g.id = x.grant \
             WHERE x.entity = ?1 AND g.subject IN (?2, ?3) AND g.ended = 0",
            &[entity.into(), (&by.url()).into(), by.kind().into()],
            |row| held(row, 0),
        )
    }

    /// The grants in effect on an entity that reach what is below it, at most so many.
    pub(crate) fn grants_from_above(&self, entity: i64, limit: usize) -> Result<Vec<i64>, SqlError> {
        self.all(
            "SELECT g.id FROM effective x JOIN entity_grant g ON g.id = x.grant \
             WHERE x.entity = ?1 AND g.descendants = 1 AND g.ended = 0 ORDER BY g.id LIMIT ?2",
            &[entity.into(), i64::try_from(limit).unwrap_or(i64::MAX).into()],
            |row| row.int(0),
        )
    }

    /// The entities that a grant has reached, after one.
    pub(crate) fn reached_by(&self, grant: i64, after: i64, limit: usize) -> Result<Vec<i64>, SqlError> {
        self.all(
            "SELECT entity FROM effective WHERE grant = ?1 AND entity > ?2 ORDER BY entity LIMIT ?3",
            &[grant.into(), after.into(), i64::try_from(limit).unwrap_or(i64::MAX).into()],
            |row| row.int(0),
        )
    }
}

impl Tx<'_> {
    /// A grant reaches an entity, if it has not yet.
    pub(crate) fn insert_effective(&self, entity: i64, grant: i64) -> Result<(), SqlError> {
        let sql = "SELECT 1 FROM effective WHERE entity = ?1 AND grant = ?2";
        if self.one(sql, &[entity.into(), grant.into()], |_| Ok(()))?.is_some() {
            return Ok(());
        }
        self.log_new(Table::EffectivePermissions, &key(entity, grant))?;
        self.write(
            "INSERT INTO effective (entity, grant, id, created_at) VALUES (?1, ?2, ?3, ?4)",
            &[entity.into(), grant.into(), self.next_id().into(), self.now.into()],
        )
    }

    pub(crate) fn delete_effective(&self, entity: i64, grant: i64) -> Result<(), SqlError> {
        let key = key(entity, grant);
        let before = self.effective_columns(&key)?;
        self.log_write(Table::EffectivePermissions, &key, before, None)?;
        self.write("DELETE FROM effective WHERE entity = ?1 AND grant = ?2", &[entity.into(), grant.into()])
    }
}
