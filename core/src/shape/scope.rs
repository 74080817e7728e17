//! Who sees which rows (electric shapes, section 2.3).

use super::columns::{Row, Spec};
use crate::store::{Read, SqlError, Table};
use crate::tenant::Principal;

/// As whom a shape is read.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    pub(super) by: Principal,
    /// Its URL.
    pub(super) url: String,
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
            Table::Entities => &[Table::Entities],
            Table::EntityTypes => &[Table::EntityTypes],
            Table::Runners => &[Table::Runners],
            Table::RunnerDiagnostics => &[Table::RunnerDiagnostics],
            Table::Users => &[Table::Users],
            Table::EffectivePermissions => &[Table::EffectivePermissions],
            Table::DispatchState => &[Table::DispatchState],
            Table::WakeNotifications => &[Table::WakeNotifications],
            Table::ConsumerClaims => &[Table::ConsumerClaims],
            Table::TypeGrants => &[],
        }
    }

    /// Whether a row is seen.
    pub(super) fn sees(&self, _read: &Read<'_>, spec: &Spec, row: &Row) -> Result<bool, SqlError> {
        Ok(match spec.table {
            Table::Runners | Table::RunnerDiagnostics => row.get(spec, "owner_principal") == Some(&self.url),
            Table::Users | Table::EntityTypes => true,
            _ if self.by.is_system() => true,
            Table::Entities => row.get(spec, "created_by") == Some(&self.url),
            _ => false,
        })
    }
}
