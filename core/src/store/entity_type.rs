//! Entity types.

use serde_json::Value as Json;
use serde_json::value::RawValue;

use super::change::{columns, tenant};
use super::tx::count;
use super::{Columns, Page, Read, Row, SqlError, Table, Tx};
use crate::entity::Definition;
use crate::tenant::Principal;
use crate::time::Time;

/// A registered type.
#[derive(Clone, Debug)]
pub(crate) struct EntityTypeRow {
    pub(crate) name: String,
    pub(crate) definition: Definition,
    /// The schema set of its messages and events.
    pub(crate) schemas: Option<i64>,
    pub(crate) revision: i64,
    pub(crate) created_at: Time,
    pub(crate) updated_at: Time,
}

impl EntityTypeRow {
    /// The row as clients see it.
    pub(crate) fn columns(&self) -> Columns {
        let raw = |json: &Option<Box<RawValue>>| json.as_deref().map(|json| json.get().to_owned());
        let definition = &self.definition;
        columns([
            ("tenant_id", tenant()),
            ("name", Some(self.name.clone())),
            ("description", Some(definition.description.clone())),
            ("creation_schema", raw(&definition.creation_schema)),
            ("inbox_schemas", raw(&definition.inbox_schemas)),
            ("state_schemas", raw(&definition.state_schemas)),
            ("slash_commands", raw(&definition.slash_commands)),
            ("serve_endpoint", definition.serve_endpoint.clone()),
            ("default_dispatch_policy", definition.default_dispatch_policy.as_ref().map(Json::to_string)),
            ("revision", Some(self.revision.to_string())),
            ("created_at", Some(self.created_at.iso())),
            ("updated_at", Some(self.updated_at.iso())),
        ])
    }

    fn from(row: Row<'_>) -> Result<Self, SqlError> {
        Ok(Self {
            name: row.text(0)?.to_owned(),
            definition: serde_json::from_str(row.text(1)?)
                .map_err(|e| SqlError::new(format!("a stored type does not parse: {e}")))?,
            schemas: row.opt_int(2)?,
            revision: row.int(3)?,
            created_at: Time::from_millis(row.int(4)?),
            updated_at: Time::from_millis(row.int(5)?),
        })
    }
}

impl Read<'_> {
    pub(crate) fn entity_type(&self, name: &str) -> Result<Option<EntityTypeRow>, SqlError> {
        let sql = "SELECT name, definition, schemas, revision, created_at, updated_at FROM entity_type WHERE name = ?1";
        self.one(sql, &[name.into()], EntityTypeRow::from)
    }

    /// Types by name, after so many.
    pub(crate) fn entity_types_from(&self, seen: usize, limit: usize) -> Result<Page<EntityTypeRow>, SqlError> {
        let sql = "SELECT name, definition, schemas, revision, created_at, updated_at FROM entity_type ORDER BY name LIMIT ?1 OFFSET ?2";
        self.page(sql, &[count(limit), count(seen)], limit, EntityTypeRow::from)
    }

    /// The types that a principal may spawn, by name, after one.
    pub(crate) fn types_for(&self, by: &Principal, after: &str, limit: usize) -> Result<Page<EntityTypeRow>, SqlError> {
        self.page(
            "SELECT t.name, t.definition, t.schemas, t.revision, t.created_at, t.updated_at FROM entity_type t \
             WHERE t.name > ?6 AND (?1 OR EXISTS (SELECT 1 FROM type_grant g WHERE g.type = t.name AND g.subject IN (?2, ?3) \
             AND g.subject_kind = CASE g.subject WHEN ?3 THEN 'principal_kind' ELSE 'principal' END \
             AND g.permission IN ('spawn', 'manage') AND (g.expires_at IS NULL OR g.expires_at > ?4))) ORDER BY t.name LIMIT ?5",
            &[
                by.is_system().into(),
                (&by.url()).into(),
                by.kind().into(),
                self.now.into(),
                count(limit),
                after.into(),
            ],
            limit,
            EntityTypeRow::from,
        )
    }
}

impl Tx<'_> {
    pub(crate) fn write_entity_type(&self, row: &EntityTypeRow) -> Result<(), SqlError> {
        let before = self.entity_type(&row.name)?.map(|before| before.columns());
        self.log_write(Table::EntityTypes, &row.name, before, Some(&row.columns()))?;
        let definition = serde_json::to_string(&row.definition).expect("a definition has string keys and serialises");
        self.write(
            "INSERT INTO entity_type (name, definition, schemas, revision, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
             ON CONFLICT (name) DO UPDATE SET definition = ?2, schemas = ?3, revision = ?4, updated_at = ?6",
            &[
                (&row.name).into(),
                (&definition).into(),
                row.schemas.into(),
                row.revision.into(),
                row.created_at.into(),
                row.updated_at.into(),
            ],
        )
    }

    pub(crate) fn delete_entity_type(&self, name: &str) -> Result<(), SqlError> {
        let before = self.entity_type(name)?.map(|before| before.columns());
        self.log_write(Table::EntityTypes, name, before, None)?;
        self.write("DELETE FROM entity_type WHERE name = ?1", &[name.into()])
    }
}
