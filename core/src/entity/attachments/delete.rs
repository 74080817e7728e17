//! `DELETE …/attachments/{id}`: the row goes, and the bytes with it.

use http::StatusCode;
use serde_json::json;

use super::place::Place;
use super::{Astray, AttachmentNotFound, check_open};
use crate::engine::Done;
use crate::entity::{find_to_write, manifest_row, principal};
use crate::http::{Call, Error, Response};
use crate::store::Tx;
use crate::stream;
use crate::tenant::{Permission, permission};

/// Deletes the attachment at the request's path: 200 `{"txid"}`.
pub(crate) fn delete(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let (tx, by) = (call.store, call.by()?);
    let entity = find_to_write(call)?;
    let id = call.decoded("attachment")?;
    permission::check(tx, by, Permission::Write, &entity)?;
    principal::refuse(&entity, "stripped of attachments")?;
    check_open(&entity)?;
    let place = Place::of(&entity, &id)?;
    let row = tx.attachment(entity.id, &place.name)?.ok_or(AttachmentNotFound)?;
    if row.astray {
        return Err(Astray.into());
    }
    let txid = manifest_row::write_row(tx, by, &entity, &place.key(), "delete", None)?;
    if let Some(stream) = tx.live_stream(&place.path)? {
        stream::remove(tx, stream)?;
    }
    Ok(Response::json(StatusCode::OK, &json!({ "txid": txid })).into())
}
