//! Runners: processes behind a NAT that tail their wake stream, claim, work, and acknowledge
//! (wake specification, section 6).

pub(crate) mod claim;
pub mod health;
pub(crate) mod heartbeat;
pub(crate) mod profiles;
pub(crate) mod register;
pub(crate) mod show;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::entity::raw;
use crate::http::{Call, Error, failure};
use crate::store::{Read, RunnerRow};

failure! {
    /// No runner has this id.
    UnknownRunner => NOT_FOUND "NOT_FOUND", "Runner not found"
}

failure! {
    /// The caller does not own the runner.
    NotTheOwner => FORBIDDEN "UNAUTHORIZED", "Runner access requires the authenticated owner"
}

/// A runner as the wire shows it.
#[derive(Serialize)]
struct View<'a> {
    id: &'a str,
    owner_principal: &'a str,
    label: &'a str,
    kind: &'a str,
    admin_status: &'static str,
    wake_stream: &'a str,
    sandbox_profiles: Box<RawValue>,
    created_at: String,
    updated_at: String,
    #[serde(flatten)]
    runtime: Runtime,
}

/// What only the answer to a heartbeat shows.
#[derive(Default, Serialize)]
struct Runtime {
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    liveness_lease_expires_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wake_stream_offset: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    diagnostics: Option<serde_json::Value>,
}

impl<'a> View<'a> {
    fn of(runner: &'a RunnerRow) -> Self {
        Self {
            id: &runner.id,
            owner_principal: &runner.owner,
            label: &runner.label,
            kind: &runner.kind,
            admin_status: runner.admin_status(),
            wake_stream: &runner.wake_stream,
            sandbox_profiles: raw(&runner.profiles),
            created_at: runner.created_at.iso(),
            updated_at: runner.updated_at.iso(),
            runtime: Runtime::default(),
        }
    }
}

/// The runner that the path names, if the caller owns it.
pub(super) fn own<S>(call: &Call<'_, S>, read: &Read<'_>) -> Result<RunnerRow, Error> {
    owned(call, read, &call.decoded("id")?)
}

/// The runner with an id, if the caller owns it.
fn owned<S>(call: &Call<'_, S>, read: &Read<'_>, id: &str) -> Result<RunnerRow, Error> {
    let by = call.by()?;
    let runner = read.runner(id)?.ok_or(UnknownRunner)?;
    if runner.owner == by.url() { Ok(runner) } else { Err(NotTheOwner.into()) }
}
