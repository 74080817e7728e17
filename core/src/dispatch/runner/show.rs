//! `GET` on runners: one's own.

use http::StatusCode;

use super::{View, own};
use crate::engine::Reply;
use crate::http::{Call, Error, Refusal, Response};
use crate::limits::LIST;
use crate::store::Read;
use crate::tenant::Principal;

/// The runner that the path names.
pub(crate) fn show(call: &Call<'_, Read<'_>>) -> Result<Reply, Error> {
    let runner = own(call, call.store)?;
    Ok(Reply::Whole(Response::json(StatusCode::OK, &View::of(&runner))))
}

/// The caller's runners, newest first.
pub(crate) fn list(call: &Call<'_, Read<'_>>) -> Result<Reply, Error> {
    let by = call.by()?;
    if let Some(asked) = call.request.query_one("owner_principal").filter(|o| !o.is_empty()) {
        let owner = Principal::parse(&asked).ok_or_else(|| {
            let message =
                format!("owner_principal must be a valid principal URL (e.g. /principal/user%3Aalice), got: {asked}");
            Refusal::new(StatusCode::BAD_REQUEST, "INVALID_REQUEST", message)
        })?;
        if owner != *by {
            return Err(super::NotTheOwner.into());
        }
    }
    let runners = call.store.runners_of(&by.url(), LIST)?;
    let views: Vec<View<'_>> = runners.iter().map(View::of).collect();
    Ok(Reply::Whole(Response::json(StatusCode::OK, &views)))
}
