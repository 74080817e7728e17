//! `DELETE …/pg-sync-observations/{ref}`: an entity no longer observes a shape, which goes on for others (control plane,
//! section 10.14).

use http::StatusCode;
use serde_json::json;

use crate::engine::Done;
use crate::entity::{find_to_write, manifest_row, principal};
use crate::http::{Call, Error, Response};
use crate::store::Tx;
use crate::tenant::{Permission, permission};

/// Takes the observation out of the entity's manifest, and its wake with it: 200 `{"txid"}`, also when there is none.
pub(crate) fn unobserve(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let (tx, by) = (call.store, call.by()?);
    let entity = find_to_write(call)?;
    let key = format!("source:pgSync:{}", call.decoded("reference")?);
    permission::check(tx, by, Permission::Write, &entity)?;
    principal::refuse(&entity, "unobserved a pg-sync source")?;
    let txid = manifest_row::write_row(tx, by, &entity, &key, "delete", None)?;
    Ok(Response::json(StatusCode::OK, &json!({ "txid": txid })).into())
}
