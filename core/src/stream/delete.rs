//! `DELETE` on a stream: it is gone with its reply, and its path is free (stream protocol, section 7).

use http::StatusCode;

use super::access::Owner;
use crate::engine::Done;
use crate::http::{Call, Error, Refusal, Response};
use crate::store::Tx;

/// Deletes the stream at the request's path.
pub(crate) fn delete(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let tx = call.store;
    call.by()?;
    let path = call.stream_path()?;
    Owner::of(tx, path)?.check_write(path)?;
    let stream =
        tx.stream(path)?.ok_or_else(|| Refusal::plain(StatusCode::NOT_FOUND, format!("no stream at `{path}`")))?;
    tx.delete_stream(stream.id)?;
    Ok(Response::empty(StatusCode::NO_CONTENT).into())
}
