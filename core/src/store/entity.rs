//! Entities. One shares the row id of its main stream, and is found by that stream's path.

use serde_json::value::RawValue;

use super::change::{columns, tenant, timestamp};
use super::effective::readable;
use super::schema_set::SchemaSet;
use super::tx::count;
use super::{Columns, Page, Read, Row, SqlError, Table, Tx};
use crate::entity::{Status, principal};
use crate::tenant::Principal;
use crate::time::Time;

/// An entity.
#[derive(Clone, Debug)]
pub(crate) struct EntityRow {
    /// Also the id of its main stream.
    pub(crate) id: i64,
    pub(crate) url: String,
    pub(crate) kind: String,
    pub(crate) status: Status,
    /// The dispatch policy as JSON.
    pub(crate) policy: Option<String>,
    /// A JSON object of strings.
    pub(crate) tags: String,
    /// A JSON object.
    pub(crate) args: String,
    /// The sandbox that it runs in, as JSON.
    pub(crate) sandbox: Option<String>,
    pub(crate) parent: Option<String>,
    pub(crate) created_by: String,
    pub(crate) type_revision: i64,
    /// The schema set of its type when it was spawned.
    pub(crate) schemas: Option<i64>,
    /// When the next wake row may be written once causes run too deep.
    pub(crate) next_wake: Time,
    /// A fork reads it, and it is not dispatched meanwhile.
    pub(crate) locked: bool,
    pub(crate) created_at: Time,
    pub(crate) updated_at: Time,
}

impl EntityRow {
    /// Whether it may be woken now.
    pub(crate) fn admits(&self) -> bool {
        self.status.dispatches() && !self.locked
    }
}

/// What a list is narrowed to; `None` is everything.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Filter<'a> {
    pub(crate) kind: Option<&'a str>,
    pub(crate) status: Option<&'a str>,
    pub(crate) parent: Option<&'a str>,
    pub(crate) created_by: Option<&'a str>,
    /// Only entities that are older than the one with this row id.
    pub(crate) before: Option<i64>,
}

macro_rules! select {
    ($($rest:tt)+) => {
        concat!(
            "SELECT e.id, e.url, e.type, e.status, e.policy, e.tags, e.args, e.parent, e.created_by, e.type_revision, e.schemas, \
             e.next_wake, e.created_at, e.updated_at, EXISTS (SELECT 1 FROM lock k WHERE k.entity = e.id), e.sandbox FROM entity e ",
            $($rest)+
        )
    };
}

pub(super) use select;

macro_rules! filter {
    () => {
        " AND (?4 IS NULL OR e.type = ?4) AND (?5 IS NULL OR e.status = ?5) AND (?6 IS NULL OR e.parent = ?6) \
         AND (?7 IS NULL OR e.created_by = ?7) AND (?8 IS NULL OR e.id < ?8) ORDER BY e.id DESC LIMIT ?9"
    };
}

impl EntityRow {
    /// The row as clients see it, with the schemas that it was spawned with.
    pub(crate) fn columns(&self, schemas: Option<&SchemaSet>) -> Columns {
        let raw = |json: Option<&Box<RawValue>>| json.map(|json| json.get().to_owned());
        columns([
            ("tenant_id", tenant()),
            ("url", Some(self.url.clone())),
            ("type", Some(self.kind.clone())),
            ("status", Some(self.status.as_str().to_owned())),
            ("dispatch_policy", self.policy.clone()),
            ("tags", Some(self.tags.clone())),
            ("spawn_args", Some(self.args.clone())),
            ("sandbox", self.sandbox.clone()),
            ("parent", self.parent.clone()),
            ("created_by", Some(self.created_by.clone())),
            ("type_revision", Some(self.type_revision.to_string())),
            ("inbox_schemas", raw(schemas.and_then(|set| set.inbox.as_ref()))),
            ("state_schemas", raw(schemas.and_then(|set| set.state.as_ref()))),
            ("created_at", Some(self.created_at.as_millis().to_string())),
            ("updated_at", Some(self.updated_at.as_millis().to_string())),
        ])
    }

    /// The user that it is the principal of, as clients see that.
    pub(crate) fn user_columns(&self) -> Option<Columns> {
        let user = Principal::parse(&self.url).filter(|user| self.kind == principal::TYPE && user.kind() == "user")?;
        Some(columns([
            ("tenant_id", tenant()),
            ("id", Some(user.id().to_owned())),
            ("created_at", timestamp(self.created_at)),
            ("updated_at", timestamp(self.created_at)),
        ]))
    }

    pub(super) fn from(row: Row<'_>) -> Result<Self, SqlError> {
        let status = row.text(3)?;
        Ok(Self {
            id: row.int(0)?,
            url: row.text(1)?.to_owned(),
            kind: row.text(2)?.to_owned(),
            status: Status::parse(status).ok_or_else(|| SqlError::new(format!("`{status}` is not a status")))?,
            policy: row.opt_text(4)?.map(str::to_owned),
            tags: row.text(5)?.to_owned(),
            args: row.text(6)?.to_owned(),
            parent: row.opt_text(7)?.map(str::to_owned),
            created_by: row.text(8)?.to_owned(),
            type_revision: row.int(9)?,
            schemas: row.opt_int(10)?,
            next_wake: Time::from_millis(row.int(11)?),
            created_at: Time::from_millis(row.int(12)?),
            updated_at: Time::from_millis(row.int(13)?),
            locked: row.int(14)? != 0,
            sandbox: row.opt_text(15)?.map(str::to_owned),
        })
    }
}

impl Read<'_> {
    /// The entity at a URL.
    pub(crate) fn entity(&self, url: &str) -> Result<Option<EntityRow>, SqlError> {
        let path = format!("{url}/main");
        self.one(select!("JOIN stream s ON s.id = e.id WHERE s.path = ?1"), &[(&path).into()], EntityRow::from)
    }

    /// The entity whose main stream has this row id.
    pub(crate) fn entity_by_id(&self, id: i64) -> Result<Option<EntityRow>, SqlError> {
        self.one(select!("WHERE e.id = ?1"), &[id.into()], EntityRow::from)
    }

    /// Entities after one, in the order in which they came to be.
    pub(crate) fn entities_after(&self, id: i64, limit: usize) -> Result<Page<EntityRow>, SqlError> {
        let sql = select!("WHERE e.id > ?1 ORDER BY e.id LIMIT ?2");
        self.page(sql, &[id.into(), count(limit)], limit, EntityRow::from)
    }

    /// The children of an entity after one, in the order in which they came to be.
    pub(crate) fn children_after(&self, parent: i64, id: i64, limit: usize) -> Result<Page<EntityRow>, SqlError> {
        self.page(
            select!("JOIN child c ON c.entity = e.id WHERE c.parent = ?1 AND c.entity > ?2 ORDER BY c.entity LIMIT ?3"),
            &[parent.into(), id.into(), count(limit)],
            limit,
            EntityRow::from,
        )
    }

    /// The principal entities of users after one, in the order in which they came to be.
    pub(crate) fn principals_after(&self, id: i64, limit: i64) -> Result<Vec<EntityRow>, SqlError> {
        self.all(
            select!(
                "JOIN stream s ON s.id = e.id WHERE s.path >= '/principal/user%3A' AND s.path < '/principal/user%3B' AND e.id > ?1 \
                 ORDER BY e.id LIMIT ?2"
            ),
            &[id.into(), limit.into()],
            EntityRow::from,
        )
    }

    /// The entities that a principal may read and that pass the filter, newest first.
    pub(crate) fn readable_entities(
        &self,
        by: &Principal,
        filter: Filter<'_>,
        limit: usize,
    ) -> Result<Page<EntityRow>, SqlError> {
        let url = by.url();
        let params = [
            (&url).into(),
            by.kind().into(),
            self.now.into(),
            filter.kind.into(),
            filter.status.into(),
            filter.parent.into(),
            filter.created_by.into(),
            filter.before.into(),
            count(limit),
        ];
        if by.is_system() {
            // The first three are named, so that both statements have the same parameters.
            let sql = select!("WHERE ?1 IS NOT NULL AND ?2 IS NOT NULL AND ?3 IS NOT NULL", filter!());
            return self.page(sql, &params, limit, EntityRow::from);
        }
        self.page(select!("WHERE e.id IN ", readable!(), filter!()), &params, limit, EntityRow::from)
    }
}

impl Tx<'_> {
    /// Writes a new entity, and what it is found by: its parent, and who created it.
    pub(crate) fn insert_entity(&self, e: &EntityRow) -> Result<(), SqlError> {
        self.log_new(Table::Entities, &e.url)?;
        if e.user_columns().is_some() {
            self.log_new(Table::Users, &e.url)?;
        }
        if let Some(parent) = &e.parent {
            let path = format!("{parent}/main");
            let sql = "INSERT INTO child (parent, entity) SELECT p.id, ?2 FROM stream p WHERE p.path = ?1";
            self.write(sql, &[(&path).into(), e.id.into()])?;
        }
        self.insert_owned(e)?;
        self.write(
            "INSERT INTO entity (id, url, type, status, policy, tags, args, parent, created_by, type_revision, schemas, next_wake, created_at, \
             updated_at, sandbox) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
            &[
                e.id.into(),
                (&e.url).into(),
                (&e.kind).into(),
                e.status.as_str().into(),
                e.policy.as_ref().into(),
                (&e.tags).into(),
                (&e.args).into(),
                e.parent.as_ref().into(),
                (&e.created_by).into(),
                e.type_revision.into(),
                e.schemas.into(),
                e.next_wake.into(),
                e.created_at.into(),
                e.updated_at.into(),
                e.sandbox.as_ref().into(),
            ],
        )
    }

    /// Writes what can change of an entity.
    pub(crate) fn update_entity(&self, e: &EntityRow) -> Result<(), SqlError> {
        let before =
            self.one("SELECT status, policy, tags, updated_at FROM entity WHERE id = ?1", &[e.id.into()], |row| {
                let (status, policy, tags) = (row.text(0)?, row.opt_text(1)?, row.text(2)?);
                let (updated_at, now) = (row.int(3)?, e.updated_at.as_millis());
                let mut before = Columns::new();
                let mut column = |name: &str, was: Option<String>, changed: bool| {
                    if changed {
                        before.insert(name.to_owned(), was.into());
                    }
                };
                column("status", Some(status.to_owned()), status != e.status.as_str());
                column("dispatch_policy", policy.map(str::to_owned), policy != e.policy.as_deref());
                column("tags", Some(tags.to_owned()), tags != e.tags);
                column("updated_at", Some(updated_at.to_string()), updated_at != now);
                Ok(before)
            })?;
        self.log_old(Table::Entities, &e.url, before.unwrap_or_default())?;
        self.write(
            "UPDATE entity SET status = ?2, policy = ?3, tags = ?4, next_wake = ?5, updated_at = ?6 WHERE id = ?1",
            &[
                e.id.into(),
                e.status.as_str().into(),
                e.policy.as_ref().into(),
                (&e.tags).into(),
                e.next_wake.into(),
                e.updated_at.into(),
            ],
        )
    }
}
