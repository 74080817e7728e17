//! The tables that clients see: which columns each has and of what type (electric shapes, section 4), and rows as the wire
//! has them, each value the text that Postgres would write.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::{Value as Json, json};

use super::Scope;
use crate::dispatch::journal::told;
use crate::limits::PAGE_BYTES;
use crate::store::{self, Change, Columns, EntityRow, EntityTypeRow, Read, RunnerRow, SchemaSet, SqlError, Table};

/// A table as it is asked for.
#[derive(Debug)]
pub(super) struct Spec {
    pub(super) name: &'static str,
    pub(super) table: Table,
    pub(super) columns: &'static [Column],
}

/// A column of a table.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// Its place in the primary key.
    key: Option<usize>,
    not_null: bool,
}

/// What a column's text stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Int4,
    Int8,
    Jsonb,
    Timestamptz,
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Int4 => "int4",
            Self::Int8 => "int8",
            Self::Jsonb => "jsonb",
            Self::Timestamptz => "timestamptz",
        }
    }
}

const fn column(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, key: None, not_null: false }
}

const fn some(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, key: None, not_null: true }
}

const fn key(place: usize, name: &'static str, kind: Kind) -> Column {
    Column { name, kind, key: Some(place), not_null: true }
}

use Kind::{Int4, Int8, Jsonb, Text, Timestamptz};

/// The tables that may be asked for.
pub(super) static TABLES: [Spec; 9] = [
    Spec {
        name: "entities",
        table: Table::Entities,
        columns: &[
            key(0, "tenant_id", Text),
            key(1, "url", Text),
            some("type", Text),
            some("status", Text),
            column("dispatch_policy", Jsonb),
            some("tags", Jsonb),
            column("spawn_args", Jsonb),
            column("sandbox", Jsonb),
            column("parent", Text),
            column("created_by", Text),
            column("type_revision", Int4),
            column("inbox_schemas", Jsonb),
            column("state_schemas", Jsonb),
            some("created_at", Int8),
            some("updated_at", Int8),
        ],
    },
    Spec {
        name: "entity_types",
        table: Table::EntityTypes,
        columns: &[
            key(0, "tenant_id", Text),
            key(1, "name", Text),
            some("description", Text),
            column("creation_schema", Jsonb),
            column("inbox_schemas", Jsonb),
            column("state_schemas", Jsonb),
            column("slash_commands", Jsonb),
            column("serve_endpoint", Text),
            column("default_dispatch_policy", Jsonb),
            some("revision", Int4),
            some("created_at", Text),
            some("updated_at", Text),
        ],
    },
    Spec {
        name: "runners",
        table: Table::Runners,
        columns: &[
            key(0, "tenant_id", Text),
            key(1, "id", Text),
            some("owner_principal", Text),
            some("label", Text),
            some("kind", Text),
            some("admin_status", Text),
            some("wake_stream", Text),
            some("sandbox_profiles", Jsonb),
            some("created_at", Timestamptz),
            some("updated_at", Timestamptz),
        ],
    },
    Spec {
        name: "runner_runtime_diagnostics",
        table: Table::RunnerDiagnostics,
        columns: &[
            key(0, "tenant_id", Text),
            key(1, "runner_id", Text),
            some("owner_principal", Text),
            column("wake_stream_offset", Text),
            some("last_seen_at", Timestamptz),
            some("liveness_lease_expires_at", Timestamptz),
            column("diagnostics", Jsonb),
            some("updated_at", Timestamptz),
        ],
    },
    Spec {
        name: "users",
        table: Table::Users,
        columns: &[
            key(0, "tenant_id", Text),
            key(1, "id", Text),
            column("display_name", Text),
            column("email", Text),
            column("avatar_url", Text),
            some("created_at", Timestamptz),
            some("updated_at", Timestamptz),
        ],
    },
    Spec {
        name: "entity_effective_permissions",
        table: Table::EffectivePermissions,
        columns: &[
            some("tenant_id", Text),
            key(0, "id", Int8),
            some("entity_url", Text),
            some("source_entity_url", Text),
            some("source_grant_id", Int8),
            some("permission", Text),
            some("subject_kind", Text),
            some("subject_value", Text),
            column("expires_at", Timestamptz),
            some("created_at", Timestamptz),
        ],
    },
    Spec {
        name: "entity_dispatch_state",
        table: Table::DispatchState,
        columns: &[
            key(0, "tenant_id", Text),
            key(1, "entity_url", Text),
            some("pending_source_streams", Jsonb),
            column("pending_reason", Text),
            column("pending_since", Timestamptz),
            column("outstanding_wake_id", Text),
            column("outstanding_wake_target", Jsonb),
            column("outstanding_wake_created_at", Timestamptz),
            column("active_consumer_id", Text),
            column("active_runner_id", Text),
            column("active_epoch", Int4),
            column("active_claimed_at", Timestamptz),
            column("active_lease_expires_at", Timestamptz),
            column("last_wake_id", Text),
            column("last_claimed_at", Timestamptz),
            column("last_released_at", Timestamptz),
            column("last_completed_at", Timestamptz),
            column("last_error", Text),
            some("updated_at", Timestamptz),
        ],
    },
    Spec {
        name: "wake_notifications",
        table: Table::WakeNotifications,
        columns: &[
            key(0, "tenant_id", Text),
            key(1, "wake_id", Text),
            some("entity_url", Text),
            some("target_type", Text),
            column("target_runner_id", Text),
            column("target_webhook_url", Text),
            column("target_worker_pool_id", Text),
            column("runner_wake_stream", Text),
            column("runner_wake_stream_offset", Text),
            some("notification_public", Jsonb),
            some("delivery_status", Text),
            some("claim_status", Text),
            some("created_at", Timestamptz),
            column("delivered_at", Timestamptz),
            column("claimed_at", Timestamptz),
            column("resolved_at", Timestamptz),
        ],
    },
    Spec {
        name: "consumer_claims",
        table: Table::ConsumerClaims,
        columns: &[
            key(0, "tenant_id", Text),
            key(1, "consumer_id", Text),
            key(2, "epoch", Int4),
            column("wake_id", Text),
            some("entity_url", Text),
            some("stream_path", Text),
            column("runner_id", Text),
            some("status", Text),
            some("claimed_at", Timestamptz),
            column("last_heartbeat_at", Timestamptz),
            column("lease_expires_at", Timestamptz),
            column("released_at", Timestamptz),
            column("acked_streams", Jsonb),
            some("updated_at", Timestamptz),
        ],
    },
];

impl Spec {
    /// The table that has exactly this name.
    pub(super) fn of(name: &str) -> Option<&'static Self> {
        TABLES.iter().find(|spec| spec.name == name)
    }

    pub(super) fn place(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name == column)
    }

    /// The `electric-schema` header.
    pub(super) fn schema(&self) -> String {
        let mut schema = serde_json::Map::new();
        for column in self.columns {
            let mut shown = json!({ "type": column.kind.as_str() });
            if let Some(place) = column.key {
                shown["pk_index"] = place.into();
            }
            if column.not_null {
                shown["not_null"] = true.into();
            }
            schema.insert(column.name.to_owned(), shown);
        }
        Json::Object(schema).to_string()
    }
}

/// A row: the text of each column of its table, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row(pub(super) Vec<Option<String>>);

impl Row {
    fn of(spec: &Spec, mut columns: Columns) -> Self {
        let text = |value| if let Json::String(text) = value { Some(text) } else { None };
        Self(spec.columns.iter().map(|column| columns.remove(column.name).and_then(text)).collect())
    }

    pub(super) fn get(&self, spec: &Spec, column: &str) -> Option<&str> {
        self.0[spec.place(column)?].as_deref()
    }

    /// What the messages of a row call it: each `/` of a value is doubled.
    pub(super) fn name(&self, spec: &Spec) -> String {
        let mut parts: Vec<(usize, &str)> =
            spec.columns.iter().zip(&self.0).filter_map(|(c, text)| Some((c.key?, text.as_deref()?))).collect();
        parts.sort_unstable();
        let parts: String = parts.iter().map(|(_, text)| format!("/\"{}\"", text.replace('/', "//"))).collect();
        format!("\"public\".\"{}\"{parts}", spec.name)
    }

    /// The columns of the primary key and those that `changed`, as a message has them.
    pub(super) fn value(&self, spec: &Spec, changed: impl Fn(usize) -> bool) -> Json {
        let shown = spec.columns.iter().zip(&self.0).enumerate();
        let shown = shown.filter(|(place, (column, _))| column.key.is_some() || changed(*place));
        Json::Object(shown.map(|(_, (column, text))| (column.name.to_owned(), text.as_deref().into())).collect())
    }

    /// About how long a message of it is.
    pub(super) fn len(&self) -> usize {
        128 + self.0.iter().flatten().map(String::len).sum::<usize>()
    }

    /// What of it differs from what it became.
    pub(super) fn changed_from(&self, spec: &Spec, now: &Self) -> Json {
        let all = spec.columns.iter().zip(self.0.iter().zip(&now.0)).filter(|(_, (was, is))| was != is);
        Json::Object(all.map(|(column, (was, _))| (column.name.to_owned(), was.as_deref().into())).collect())
    }

    /// The row before a change of it, and whether all of that is known.
    pub(super) fn before(now: Option<Self>, spec: &Spec, before: &Columns) -> (Self, bool) {
        let mut row = now.unwrap_or_else(|| Self(vec![None; spec.columns.len()]));
        let mut known = true;
        for (name, was) in before {
            if let Some(place) = spec.place(name) {
                match was {
                    Json::Bool(_) => known = false,
                    was => row.0[place] = was.as_str().map(str::to_owned),
                }
            }
        }
        (row, known)
    }
}

/// Makes rows of what the store has.
pub(super) struct Projector<'r> {
    read: &'r Read<'r>,
    schemas: RefCell<BTreeMap<i64, Rc<SchemaSet>>>,
}

impl<'r> Projector<'r> {
    pub(super) fn new(read: &'r Read<'r>) -> Self {
        Self { read, schemas: RefCell::default() }
    }

    /// The row that a key of the change log names.
    pub(super) fn row(&self, spec: &Spec, key: &str) -> Result<Option<Row>, SqlError> {
        let read = self.read;
        let columns = match spec.table {
            Table::Entities => read.entity(key)?.map(|entity| self.entity(&entity)).transpose()?,
            Table::EntityTypes => read.entity_type(key)?.map(|kind| kind.columns()),
            Table::Runners => read.runner(key)?.map(|runner| runner.columns()),
            Table::RunnerDiagnostics => read.runner(key)?.and_then(|runner| runner.diagnostics_columns()),
            Table::Users => read.entity(key)?.and_then(|entity| entity.user_columns()),
            Table::EffectivePermissions => read.effective_columns(key)?,
            Table::DispatchState => read.entity(key)?.map(|entity| told::state_of(read, &entity)).transpose()?,
            Table::WakeNotifications | Table::ConsumerClaims => told::row(read, spec.table, key)?,
            Table::TypeGrants | Table::Owners => None,
        };
        Ok(columns.map(|columns| Row::of(spec, columns)))
    }

    /// Rows after one. Some are left out that somebody does not see.
    pub(super) fn page(&self, spec: &Spec, scope: &Scope, after: i64) -> Result<Page, SqlError> {
        let (read, owner) = (self.read, &scope.url);
        let limit = i64::try_from(PAGE).unwrap_or(i64::MAX);
        let seen = usize::try_from(after).unwrap_or(usize::MAX);
        let mut upto = None;
        let whole = |rows: Vec<_>| {
            let more = rows.len() >= PAGE;
            (rows, more)
        };
        let (rows, more): (Vec<(i64, Columns)>, bool) = match spec.table {
            Table::Entities => {
                let all = self.entities(scope, after)?;
                let rows = all.rows.iter().map(|e| Ok((e.id, self.entity(e)?))).collect::<Result<_, SqlError>>()?;
                (rows, all.more)
            }
            Table::DispatchState => {
                let all = self.entities(scope, after)?;
                let rows =
                    all.rows.iter().map(|e| Ok((e.id, told::state_of(read, e)?))).collect::<Result<_, SqlError>>()?;
                (rows, all.more)
            }
            Table::WakeNotifications | Table::ConsumerClaims => return self.wakes(spec, &self.entities(scope, after)?),
            Table::Users => {
                let all = read.principals_after(after, limit)?;
                whole(all.iter().map(|e| (e.id, e.user_columns().unwrap_or_default())).collect())
            }
            Table::EffectivePermissions if scope.by.is_system() => whole(read.effective_after(after, limit)?),
            Table::EffectivePermissions => whole(read.effective_for(&scope.by, after, limit)?),
            Table::EntityTypes => {
                let all = read.entity_types_from(seen, PAGE)?;
                ((after + 1..).zip(all.rows.iter().map(EntityTypeRow::columns)).collect(), all.more)
            }
            Table::Runners | Table::RunnerDiagnostics => {
                let all = read.runners_after(owner, after, PAGE)?;
                let columns = |runner: &RunnerRow| match spec.table {
                    Table::Runners => Some(runner.columns()),
                    _ => runner.diagnostics_columns(),
                };
                upto = all.rows.last().map(|runner| runner.serial);
                let shown = all.rows.iter().filter_map(|runner| Some((runner.serial, columns(runner)?)));
                (shown.collect(), all.more)
            }
            Table::TypeGrants | Table::Owners => (Vec::new(), false),
        };
        let upto = upto.or(rows.last().map(|(place, _)| *place)).filter(|_| more);
        let rows: Vec<_> = rows.into_iter().map(|(place, columns)| (place, Row::of(spec, columns))).collect();
        Ok(Page { looked: rows.len(), upto, rows })
    }

    /// The newest wakes of some entities, in one of their tables: most entities have none.
    fn wakes(&self, spec: &Spec, entities: &store::Page<EntityRow>) -> Result<Page, SqlError> {
        let mut rows = Vec::new();
        for entity in &entities.rows {
            let wakes = told::rows_of(self.read, spec.table, entity)?;
            rows.extend(wakes.into_iter().map(|(_, columns)| (entity.id, Row::of(spec, columns))));
        }
        let upto = entities.rows.last().map(|entity| entity.id).filter(|_| entities.more);
        Ok(Page { looked: entities.rows.len(), upto, rows })
    }

    /// A page of the entities that are seen.
    fn entities(&self, scope: &Scope, after: i64) -> Result<store::Page<EntityRow>, SqlError> {
        let read = self.read;
        if scope.by.is_system() {
            return read.entities_after(after, PAGE);
        }
        let ids = read.readable_after(&scope.by, after, i64::try_from(PAGE).unwrap_or(i64::MAX))?;
        let (mut rows, mut bytes, mut more) = (Vec::new(), 0, ids.len() >= PAGE);
        for id in ids {
            if bytes >= PAGE_BYTES {
                more = true;
                break;
            }
            let Some(entity) = read.entity_by_id(id)? else { continue };
            bytes += entity.args.len() + entity.tags.len();
            rows.push(entity);
        }
        Ok(store::Page { rows, more })
    }

    fn entity(&self, entity: &EntityRow) -> Result<Columns, SqlError> {
        let schemas = entity.schemas.map(|id| self.schemas(id)).transpose()?;
        Ok(entity.columns(schemas.as_deref()))
    }

    fn schemas(&self, id: i64) -> Result<Rc<SchemaSet>, SqlError> {
        if let Some(known) = self.schemas.borrow().get(&id) {
            return Ok(Rc::clone(known));
        }
        let set = Rc::new(self.read.schema_set(id)?.unwrap_or_default());
        self.schemas.borrow_mut().insert(id, Rc::clone(&set));
        Ok(set)
    }
}

/// A page of a table.
pub(super) struct Page {
    /// Each with its place in the order of the table: a row id, or where there are few rows, their number.
    pub(super) rows: Vec<(i64, Row)>,
    /// How many rows were looked at for it.
    pub(super) looked: usize,
    /// Up to which place, if there may be more after it.
    pub(super) upto: Option<i64>,
}

/// The changes of one row, newest first, undone: the row as it was, and whether all of that is known.
pub(super) fn rolled_back<'c>(
    spec: &Spec,
    now: Option<Row>,
    changes: impl DoubleEndedIterator<Item = &'c Change>,
) -> (Option<Row>, bool) {
    changes.rev().fold((now, true), |(row, known), change| match &change.before {
        None => (None, true),
        Some(before) => {
            let (row, complete) = Row::before(row, spec, before);
            (Some(row), known && complete)
        }
    })
}

/// How many rows are fetched at once.
const PAGE: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_schema_and_the_name_of_a_row() {
        let spec = Spec::of("runners").expect("there");
        assert!(spec.schema().starts_with(
            r#"{"tenant_id":{"type":"text","pk_index":0,"not_null":true},"id":{"type":"text","pk_index":1,"not_null":true},"owner_principal":{"type":"text","not_null":true}"#
        ));
        let row =
            Row(["default", "a/b"].iter().map(|text| Some((*text).to_owned())).chain((2..10).map(|_| None)).collect());
        assert_eq!(row.name(spec), r#""public"."runners"/"default"/"a//b""#);
    }
}
