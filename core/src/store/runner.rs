//! Runners: processes behind a NAT that pull their work.

use super::change::{columns, tenant, timestamp};
use super::tx::count;
use super::{Columns, Page, Read, Row, SqlError, Table, Tx};
use crate::time::Time;

/// A runner.
#[derive(Clone, Debug)]
pub(crate) struct RunnerRow {
    pub(crate) id: String,
    /// Order of registration.
    pub(crate) serial: i64,
    /// The principal URL of its owner.
    pub(crate) owner: String,
    pub(crate) label: String,
    pub(crate) kind: String,
    pub(crate) enabled: bool,
    /// The path of its wake stream.
    pub(crate) wake_stream: String,
    /// A JSON array.
    pub(crate) profiles: String,
    pub(crate) created_at: Time,
    pub(crate) updated_at: Time,
    pub(crate) last_seen_at: Option<Time>,
    pub(crate) lease_until: Option<Time>,
    pub(crate) wake_offset: Option<String>,
    /// A JSON object.
    pub(crate) diagnostics: Option<String>,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, serial, owner, label, kind, status, wake_stream, profiles, created_at, updated_at, last_seen_at, lease_until, \
             wake_offset, diagnostics FROM runner ",
            $rest
        )
    };
}

impl RunnerRow {
    /// The row as clients see it.
    pub(crate) fn columns(&self) -> Columns {
        columns([
            ("tenant_id", tenant()),
            ("id", Some(self.id.clone())),
            ("owner_principal", Some(self.owner.clone())),
            ("label", Some(self.label.clone())),
            ("kind", Some(self.kind.clone())),
            ("admin_status", Some(self.admin_status().to_owned())),
            ("wake_stream", Some(self.wake_stream.clone())),
            ("sandbox_profiles", Some(self.profiles.clone())),
            ("created_at", timestamp(self.created_at)),
            ("updated_at", timestamp(self.updated_at)),
        ])
    }

    /// How it is, as clients see that, once it has said so.
    pub(crate) fn diagnostics_columns(&self) -> Option<Columns> {
        let seen = self.last_seen_at?;
        Some(columns([
            ("tenant_id", tenant()),
            ("runner_id", Some(self.id.clone())),
            ("owner_principal", Some(self.owner.clone())),
            ("wake_stream_offset", self.wake_offset.clone()),
            ("last_seen_at", timestamp(seen)),
            ("liveness_lease_expires_at", timestamp(self.lease_until.unwrap_or(seen))),
            ("diagnostics", self.diagnostics.clone()),
            ("updated_at", timestamp(seen)),
        ]))
    }

    fn from(row: Row<'_>) -> Result<Self, SqlError> {
        let time = |i| row.opt_int(i).map(|at| at.map(Time::from_millis));
        Ok(Self {
            id: row.text(0)?.to_owned(),
            serial: row.int(1)?,
            owner: row.text(2)?.to_owned(),
            label: row.text(3)?.to_owned(),
            kind: row.text(4)?.to_owned(),
            enabled: row.text(5)? == ENABLED,
            wake_stream: row.text(6)?.to_owned(),
            profiles: row.text(7)?.to_owned(),
            created_at: Time::from_millis(row.int(8)?),
            updated_at: Time::from_millis(row.int(9)?),
            last_seen_at: time(10)?,
            lease_until: time(11)?,
            wake_offset: row.opt_text(12)?.map(str::to_owned),
            diagnostics: row.opt_text(13)?.map(str::to_owned),
        })
    }

    /// `enabled` or `disabled`.
    pub(crate) fn admin_status(&self) -> &'static str {
        if self.enabled { ENABLED } else { DISABLED }
    }
}

impl Read<'_> {
    pub(crate) fn runner(&self, id: &str) -> Result<Option<RunnerRow>, SqlError> {
        self.one(select!("WHERE id = ?1"), &[id.into()], RunnerRow::from)
    }

    /// The runner whose wake stream stands at a path.
    pub(crate) fn runner_of(&self, path: &str) -> Result<Option<String>, SqlError> {
        let Some(id) = path.strip_prefix("/runners/").and_then(|rest| rest.strip_suffix("/wake")) else {
            return Ok(None);
        };
        Ok(self.runner(id)?.map(|r| r.id))
    }

    /// The runners of an owner, newest first: those that are older than the one with a serial.
    pub(crate) fn runners_of(&self, owner: &str, before: i64, limit: usize) -> Result<Page<RunnerRow>, SqlError> {
        let sql = select!("WHERE owner = ?1 AND serial < ?2 ORDER BY serial DESC LIMIT ?3");
        self.page(sql, &[owner.into(), before.into(), count(limit)], limit, RunnerRow::from)
    }

    /// The runners of an owner after the one with a serial, oldest first.
    pub(crate) fn runners_after(&self, owner: &str, serial: i64, limit: usize) -> Result<Page<RunnerRow>, SqlError> {
        let sql = select!("WHERE owner = ?1 AND serial > ?2 ORDER BY serial LIMIT ?3");
        self.page(sql, &[owner.into(), serial.into(), count(limit)], limit, RunnerRow::from)
    }
}

impl Tx<'_> {
    /// Writes a runner whole.
    pub(crate) fn write_runner(&self, r: &RunnerRow) -> Result<(), SqlError> {
        let before = self.runner(&r.id)?;
        self.log_write(Table::Runners, &r.id, before.as_ref().map(RunnerRow::columns), Some(&r.columns()))?;
        let said = before.as_ref().and_then(RunnerRow::diagnostics_columns);
        self.log_write(Table::RunnerDiagnostics, &r.id, said, r.diagnostics_columns().as_ref())?;
        self.write(
            "INSERT INTO runner (id, serial, owner, label, kind, status, wake_stream, profiles, created_at, updated_at, last_seen_at, lease_until, \
             wake_offset, diagnostics) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) \
             ON CONFLICT (id) DO UPDATE SET label = ?4, kind = ?5, status = ?6, wake_stream = ?7, profiles = ?8, updated_at = ?10, \
             last_seen_at = ?11, lease_until = ?12, wake_offset = ?13, diagnostics = ?14",
            &[
                (&r.id).into(),
                r.serial.into(),
                (&r.owner).into(),
                (&r.label).into(),
                (&r.kind).into(),
                r.admin_status().into(),
                (&r.wake_stream).into(),
                (&r.profiles).into(),
                r.created_at.into(),
                r.updated_at.into(),
                r.last_seen_at.into(),
                r.lease_until.into(),
                r.wake_offset.as_ref().into(),
                r.diagnostics.as_ref().into(),
            ],
        )
    }
}

const ENABLED: &str = "enabled";
const DISABLED: &str = "disabled";
