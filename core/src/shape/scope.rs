//! Who sees which rows, now and before (electric shapes, section 2.3).
//!
//! What somebody sees follows from the row and from grants, and both are in the log. A grant that was in effect on an entity
//! at a commit, and what that makes seen, is worked out like a row: from what is in effect now, less what has come since,
//! and with what has gone.

use std::collections::{BTreeMap, BTreeSet};

use super::columns::{Row, Spec};
use crate::dispatch::journal::told;
use crate::permission::{Permission, Subject, decision, decision_on_type};
use crate::store::{Change, Columns, Read, SqlError, Table, owned_key};
use crate::tenant::Principal;

/// As whom a shape is read.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    pub(super) by: Principal,
    /// Its URL.
    pub(super) url: String,
}

/// What somebody held of grants at an earlier commit, as far as that has changed since: by what a grant is on (an entity's
/// URL, a type's name) and by its key, whether it was in effect.
#[derive(Debug, Default)]
pub(super) struct Past {
    held: BTreeMap<String, BTreeMap<String, bool>>,
    /// What each of these grants is on.
    on: BTreeMap<String, String>,
}

impl Scope {
    pub(super) fn of(by: &Principal) -> Self {
        Self { by: by.clone(), url: by.url() }
    }

    /// What tells it apart from others.
    pub(super) fn identity(&self) -> &str {
        &self.url
    }

    /// The tables whose changes may change what is seen of one.
    pub(super) fn tables(table: Table) -> &'static [Table] {
        match table {
            Table::Entities => &[Table::Entities, Table::EffectivePermissions, Table::Owners],
            Table::EntityTypes => &[Table::EntityTypes, Table::TypeGrants],
            Table::Runners => &[Table::Runners],
            Table::RunnerDiagnostics => &[Table::RunnerDiagnostics],
            Table::Users => &[Table::Users],
            Table::EffectivePermissions => &[Table::EffectivePermissions, Table::Owners],
            Table::DispatchState => {
                &[Table::DispatchState, Table::Entities, Table::EffectivePermissions, Table::Owners]
            }
            Table::WakeNotifications => &[Table::WakeNotifications, Table::EffectivePermissions, Table::Owners],
            Table::ConsumerClaims => &[Table::ConsumerClaims, Table::EffectivePermissions, Table::Owners],
            Table::TypeGrants | Table::Owners => &[],
        }
    }

    /// Whether a row is seen now.
    pub(super) fn sees(&self, read: &Read<'_>, spec: &Spec, row: &Row) -> Result<bool, SqlError> {
        let text = |column| row.get(spec, column).unwrap_or("");
        match spec.table {
            Table::Runners | Table::RunnerDiagnostics => Ok(text("owner_principal") == self.url),
            Table::Users => Ok(true),
            _ if self.by.is_system() => Ok(true),
            Table::Entities => self.reads(read, text("url")),
            Table::EntityTypes => self.spawns(read, text("name")),
            Table::EffectivePermissions => {
                Ok(self.is_meant(text("subject_kind"), text("subject_value"))
                    && self.reads(read, text("entity_url"))?)
            }
            _ => self.reads(read, text("entity_url")),
        }
    }

    /// Whether a row, as it was, was seen at the commit that `past` is of.
    pub(super) fn saw(&self, read: &Read<'_>, spec: &Spec, row: &Row, past: &Past) -> Result<bool, SqlError> {
        let text = |column| row.get(spec, column).unwrap_or("");
        match spec.table {
            Table::Runners | Table::RunnerDiagnostics => Ok(text("owner_principal") == self.url),
            Table::Users => Ok(true),
            _ if self.by.is_system() => Ok(true),
            Table::Entities => self.did_read(read, text("url"), past),
            Table::EntityTypes => Ok(past.held(text("name"), &read.type_grant_keys(text("name"), &self.by)?)),
            Table::EffectivePermissions => Ok(self.is_meant(text("subject_kind"), text("subject_value"))
                && self.did_read(read, text("entity_url"), past)?),
            _ => self.did_read(read, text("entity_url"), past),
        }
    }

    fn reads(&self, read: &Read<'_>, url: &str) -> Result<bool, SqlError> {
        let entity = read.entity(url)?;
        entity.map_or(Ok(false), |entity| Ok(decision(read, &self.by, Permission::Read, &entity)?.allows()))
    }

    fn spawns(&self, read: &Read<'_>, kind: &str) -> Result<bool, SqlError> {
        Ok(decision_on_type(read, &self.by, Permission::Spawn, kind)?.allows())
    }

    fn did_read(&self, read: &Read<'_>, url: &str, past: &Past) -> Result<bool, SqlError> {
        let Some(entity) = read.entity(url)? else { return Ok(false) };
        let owns = entity.created_by == self.url;
        if owns && !past.touches(url) {
            return Ok(true);
        }
        let mut keys = read.reading_keys(entity.id, &self.by)?;
        if owns {
            keys.push(owned_key(entity.id, &self.url));
        }
        Ok(past.held(url, &keys))
    }

    /// What grants are on by which a row is seen.
    pub(super) fn on<'r>(&self, spec: &Spec, row: &'r Row) -> &'r str {
        let column = match spec.table {
            Table::Entities => "url",
            Table::EntityTypes => "name",
            _ => "entity_url",
        };
        row.get(spec, column).unwrap_or("")
    }

    /// The keys of the rows of a table that are seen, or not, by grants on something.
    pub(super) fn rows_on(&self, read: &Read<'_>, spec: &Spec, on: &str) -> Result<Vec<String>, SqlError> {
        Ok(match spec.table {
            Table::Entities | Table::EntityTypes | Table::DispatchState => vec![on.to_owned()],
            Table::EffectivePermissions => match read.entity(on)? {
                Some(entity) => read.effective_keys(entity.id, &self.by)?,
                None => Vec::new(),
            },
            Table::WakeNotifications | Table::ConsumerClaims => match read.entity(on)? {
                Some(entity) => told::rows_of(read, spec.table, &entity)?.into_iter().map(|(wake, _)| wake).collect(),
                None => Vec::new(),
            },
            Table::Runners | Table::RunnerDiagnostics | Table::Users | Table::TypeGrants | Table::Owners => Vec::new(),
        })
    }

    fn is_meant(&self, kind: &str, value: &str) -> bool {
        Subject::parse(kind, value).is_some_and(|subject| subject.means(&self.by))
    }

    /// What has changed of the grants that are for this principal and make something seen.
    pub(super) fn past(&self, read: &Read<'_>, changes: &[Change]) -> Result<Past, SqlError> {
        let mut past = Past::default();
        if self.by.is_system() {
            return Ok(past);
        }
        let mut came = BTreeSet::new();
        for change in changes.iter().filter(|change| shows(change.table)) {
            let known = match (&change.before, change.table) {
                (Some(before), _) => Some(before.clone()),
                (None, Table::TypeGrants) => read.type_grant_columns(&change.key)?,
                (None, Table::Owners) => read.owned_columns(&change.key)?,
                (None, _) => read.effective_columns(&change.key)?,
            };
            // What a grant was that has come and gone since is told by its going.
            let Some(columns) = known else {
                came.insert(&change.key);
                continue;
            };
            if let Some(on) = self.makes_seen(&columns) {
                let was = change.before.is_some() && !came.contains(&change.key);
                past.on.insert(change.key.clone(), on.clone());
                past.held.entry(on).or_default().entry(change.key.clone()).or_insert(was);
            }
        }
        Ok(past)
    }

    /// What a grant makes this principal see, if anything.
    fn makes_seen(&self, grant: &Columns) -> Option<String> {
        let text = |name: &str| grant.get(name).and_then(|value| value.as_str());
        let shows = matches!(text("permission"), Some("read" | "manage" | "spawn"));
        let on = text("entity_url").filter(|_| text("permission") != Some("spawn")).or(text("type"))?;
        let meant = self.is_meant(text("subject_kind")?, text("subject_value")?);
        (shows && meant).then(|| on.to_owned())
    }
}

impl Past {
    /// What a change gives or takes: the URL of an entity, or the name of a type.
    pub(super) fn of(&self, change: &Change) -> Option<&str> {
        self.on.get(&change.key).filter(|_| shows(change.table)).map(String::as_str)
    }

    /// Whether any grant on something has come or gone.
    pub(super) fn touches(&self, on: &str) -> bool {
        self.held.contains_key(on)
    }

    /// Whether any grant on something was in effect, when those that are now are.
    fn held(&self, on: &str, now: &[String]) -> bool {
        let changed = self.held.get(on);
        let had = changed.is_some_and(|changed| changed.values().any(|was| *was));
        had || now.iter().any(|key| changed.is_none_or(|changed| !changed.contains_key(key)))
    }
}

/// Whether a table says who sees rows of others.
fn shows(table: Table) -> bool {
    matches!(table, Table::EffectivePermissions | Table::TypeGrants | Table::Owners)
}
