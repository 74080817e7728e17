//! Where grants are in effect: on their entities, and on what they reach below them. A row says only which grant and
//! which entity; what that allows, to whom and until when stands in the grant, so that a grant that ends has ended
//! everywhere.

use super::entity_grant::held;
use super::{Read, SqlError, Tx};
use crate::permission::Held;
use crate::tenant::Principal;

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

impl Read<'_> {
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
        self.write(
            "INSERT INTO effective (entity, grant, id, created_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
            &[entity.into(), grant.into(), self.next_id().into(), self.now.into()],
        )
    }

    pub(crate) fn delete_effective(&self, entity: i64, grant: i64) -> Result<(), SqlError> {
        self.write("DELETE FROM effective WHERE entity = ?1 AND grant = ?2", &[entity.into(), grant.into()])
    }
}
