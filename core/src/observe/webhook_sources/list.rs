//! `GET /_electric/webhook-sources`: the sources that agents may subscribe to (control plane, section 11).

use http::StatusCode;
use serde_json::json;

use super::catalogue::Contract;
use crate::engine::Reply;
use crate::http::{Call, Error, Response};
use crate::store::Read;

/// The contracts that are shown: `{"webhookSources": […]}`, nothing without a catalogue.
pub(crate) fn list(call: &Call<'_, Read<'_>>) -> Result<Reply, Error> {
    call.by()?;
    let shown: Vec<&Contract> = call.store.config.webhook_sources.iter().flat_map(|all| all.shown()).collect();
    Ok(Reply::Whole(Response::json(StatusCode::OK, &json!({ "webhookSources": shown }))))
}
