//! `GET` on runners: one's own.

use http::StatusCode;

use super::{View, own, owned};
use crate::engine::Reply;
use crate::http::{Call, Error, Refusal, Response};
use crate::limits::LIST;
use crate::store::{MAX_INT, Read};
use crate::tenant::Principal;

/// The runner that the path names.
pub(crate) fn show(call: &Call<'_, Read<'_>>) -> Result<Reply, Error> {
    let runner = own(call, call.store)?;
    Ok(Reply::Whole(Response::json(StatusCode::OK, &View::of(&runner))))
}

/// The caller's runners, newest first: those that are older than the one named `after`, and fewer at once where they are
/// large. Where there may be more, a header names the last.
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
    let before = match call.request.query_one("after").filter(|after| !after.is_empty()) {
        Some(id) => owned(call, call.store, &id)?.serial,
        None => MAX_INT,
    };
    let page = call.store.runners_of(&by.url(), before, LIST)?;
    let views: Vec<View<'_>> = page.rows.iter().map(View::of).collect();
    let last = page.rows.last().filter(|_| page.more).map(|last| last.id.as_str());
    Ok(Reply::Whole(Response::json(StatusCode::OK, &views).paged(last)))
}
