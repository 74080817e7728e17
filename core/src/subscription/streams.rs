//! `…/streams`: follow more, or less (stream protocol, section 9.1). Neither begins or ends a wake.

use http::StatusCode;
use percent_encoding::percent_decode_str;
use serde_json::Value as Json;

use super::create::paths;
use super::follow;
use super::name::{id, invalid, own, path};
use crate::engine::Done;
use crate::http::{Body, Call, Error, Response};
use crate::limits::LINKS;
use crate::store::{Reasons, Tx};

/// `POST …/streams {"streams": […]}`: follows them from their tails on; what is followed already keeps its cursor.
pub(crate) fn add(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let tx = call.store;
    let by = call.by()?;
    let asked = match Body::of(call.request)?.json("streams") {
        Some(Json::Array(list)) => paths(&list)?,
        _ => return Err(invalid("`streams` must be a list of paths").into()),
    };
    let subscription = own(tx, by, &id(call)?)?;
    for path in &asked {
        follow::explicitly(tx, by, &subscription, path)?;
    }
    if tx.links_held(subscription.id)? > LINKS {
        return Err(invalid(format!("a subscription follows at most {LINKS} streams")).into());
    }
    Ok(Response::empty(StatusCode::NO_CONTENT).into())
}

/// `DELETE …/streams/{path}`: follows it no longer, unless its pattern does.
pub(crate) fn remove(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let tx = call.store;
    let by = call.by()?;
    let subscription = own(tx, by, &id(call)?)?;
    let given = percent_decode_str(call.param("path")).decode_utf8();
    let path = path(&given.map_err(|_| invalid("the stream's path is not UTF-8 when percent-decoded"))?);
    tx.stop_awaiting(&path, subscription.id)?;
    let link = tx.links(subscription.id)?.into_iter().find(|link| link.path == path && link.reasons.is_explicit());
    if let Some(link) = link
        && let Some(stream) = link.stream
    {
        tx.unlink(stream, subscription.id, link.reasons, Reasons::EXPLICIT)?;
    }
    Ok(Response::empty(StatusCode::NO_CONTENT).into())
}
