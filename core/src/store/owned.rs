//! What belongs to whom. An entity names its owner itself; these rows are what lists find it by, and what the change log
//! says of one that is handed over.

use super::change::columns;
use super::{Columns, EntityRow, Read, SqlError, Table, Tx};
use crate::tenant::Principal;

/// What the change log calls an entity's belonging to a principal.
pub(crate) fn owned_key(entity: i64, owner: &str) -> String {
    format!("{entity}:{owner}")
}

/// That an entity belongs to a principal, as a grant of everything would be told.
fn shown(url: &str, owner: &str) -> Columns {
    let text = |text: &str| Some(text.to_owned());
    columns([
        ("entity_url", text(url)),
        ("permission", text("manage")),
        ("subject_kind", text("principal")),
        ("subject_value", text(owner)),
    ])
}

impl Read<'_> {
    /// An entity's belonging to a principal, by its key in the change log, if it does.
    pub(crate) fn owned_columns(&self, key: &str) -> Result<Option<Columns>, SqlError> {
        let parsed = key.split_once(':').and_then(|(entity, owner)| Some((entity.parse().ok()?, owner)));
        let Some((entity, owner)): Option<(i64, &str)> = parsed else { return Ok(None) };
        let entity = self.entity_by_id(entity)?.filter(|entity| entity.created_by == owner);
        Ok(entity.map(|entity| shown(&entity.url, owner)))
    }
}

impl Tx<'_> {
    /// An entity is found by its owner, but for the built-in principals, who see everything without.
    pub(super) fn insert_owned(&self, e: &EntityRow) -> Result<(), SqlError> {
        if Principal::parse(&e.created_by).is_some_and(|by| by.is_system()) {
            return Ok(());
        }
        let sql = "INSERT INTO owned (owner, entity) VALUES (?1, ?2)";
        self.write(sql, &[(&e.created_by).into(), e.id.into()])
    }

    /// Writes an entity that belonged to somebody else until now.
    pub(crate) fn update_owner(&self, e: &EntityRow, before: &str) -> Result<(), SqlError> {
        self.log_old(Table::Entities, &e.url, columns([("created_by", Some(before.to_owned()))]))?;
        self.log_old(Table::Owners, &owned_key(e.id, before), shown(&e.url, before))?;
        self.log_new(Table::Owners, &owned_key(e.id, &e.created_by))?;
        self.write("DELETE FROM owned WHERE owner = ?1 AND entity = ?2", &[before.into(), e.id.into()])?;
        self.insert_owned(e)?;
        self.write("UPDATE entity SET created_by = ?2 WHERE id = ?1", &[e.id.into(), (&e.created_by).into()])
    }
}
