//! Rows of an entity's manifest that routes write. What a row stands for follows from it, in the transaction that appends it.

use serde_json::json;

use super::send::NotAcceptingWrites;
use crate::http::Error;
use crate::store::{EntityRow, Tx};
use crate::stream::{Cause, Class, Content, write};
use crate::tenant::Principal;

/// Appends a row; what it stands for is judged as asked for by `by`. Gives the row's `txid`.
pub(crate) fn write_row(
    tx: &Tx<'_>,
    by: &Principal,
    entity: &EntityRow,
    key: &str,
    operation: &str,
    value: Option<&str>,
) -> Result<String, Error> {
    let stream = tx.stream_by_id(entity.id)?.filter(|s| !s.closed);
    let mut stream = stream.ok_or(NotAcceptingWrites)?;
    let txid = tx.draw.uuid();
    let headers = json!({ "operation": operation, "timestamp": tx.now.iso(), "txid": txid });
    let value = value.map_or(String::new(), |value| format!("\"value\":{value},"));
    let event = format!(r#"{{"type":"manifest","key":{},{value}"headers":{headers}}}"#, json!(key));
    let cause = Cause { asked_by: Some(by), ..Cause::outside(Class::Named) };
    write(tx, &mut stream, &Content::Json(vec![&event]), cause)?;
    Ok(txid)
}
