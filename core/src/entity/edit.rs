//! `…/inbox/{key}`: a message that was sent is changed or taken back (control plane, section 10.7). The stream says so,
//! in the order in which it was asked; whether there is such a message, the readers of the stream know.

use http::StatusCode;
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};

use super::send::NotAcceptingWrites;
use super::show::find_to_write;
use crate::engine::Done;
use crate::http::{Body, Call, Error, Refusal, Response, failure};
use crate::store::{EntityRow, Tx};
use crate::stream::{Cause, Class, Content, write};
use crate::tenant::{Permission, permission};
use crate::time::Time;

failure! {
    /// The body changes nothing.
    NothingToUpdate => BAD_REQUEST "INVALID_REQUEST", "No inbox fields to update"
}

/// `PATCH {"payload"?, "position"?, "mode"?, "status"?}`: changes what it names of a message: 200 `{"txid"}`.
pub(crate) fn update(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let (tx, by) = (call.store, call.by()?);
    let entity = find_to_write(call)?;
    let key = call.decoded("key")?;
    let edit = Edit::of(&Body::of(call.request)?)?;
    permission::check(tx, by, Permission::Write, &entity)?;
    check_status(&entity)?;
    let value = edit.value(tx.now).ok_or(NothingToUpdate)?;
    append(tx, &entity, &key, "update", Some(&value))
}

/// `DELETE`: takes a message back: 200 `{"txid"}`.
pub(crate) fn delete(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let (tx, by) = (call.store, call.by()?);
    let entity = find_to_write(call)?;
    let key = call.decoded("key")?;
    permission::check(tx, by, Permission::Write, &entity)?;
    check_status(&entity)?;
    append(tx, &entity, &key, "delete", None)
}

/// What of a message is to be changed.
struct Edit<'a> {
    payload: Option<&'a RawValue>,
    position: Option<String>,
    mode: Option<String>,
    status: Option<String>,
}

impl<'a> Edit<'a> {
    fn of(body: &Body<'a>) -> Result<Self, Refusal> {
        let edit = Self {
            payload: body.raw("payload"),
            position: body.text("position"),
            mode: body.choice("mode", &["immediate", "queued", "paused", "steer"]),
            status: body.choice("status", &["pending", "processed", "cancelled"]),
        };
        body.check()?;
        Ok(edit)
    }

    /// The row's new members and nothing else, as JSON; `None` when there are none.
    fn value(&self, now: Time) -> Option<String> {
        let stamp = match self.status.as_deref() {
            Some("processed") => Some("processed_at"),
            Some("cancelled") => Some("cancelled_at"),
            _ => None,
        };
        let text = |name, text: &Option<String>| text.as_ref().map(|text| format!("\"{name}\":{}", json!(text)));
        let members = [
            self.payload.map(|payload| format!("\"payload\":{}", payload.get())),
            text("position", &self.position),
            text("mode", &self.mode),
            text("status", &self.status),
            stamp.map(|name| format!("\"{name}\":\"{}\"", now.iso())),
        ];
        let members: Vec<String> = members.into_iter().flatten().collect();
        (!members.is_empty()).then(|| format!("{{{}}}", members.join(",")))
    }
}

fn check_status(entity: &EntityRow) -> Result<(), Error> {
    if entity.status.accepts_writes() { Ok(()) } else { Err(NotAcceptingWrites.into()) }
}

/// Appends what becomes of a message. A paused entity stays paused: who edits its queue does not continue it.
fn append(tx: &Tx<'_>, entity: &EntityRow, key: &str, operation: &str, value: Option<&str>) -> Result<Done, Error> {
    let stream = tx.stream_by_id(entity.id)?.filter(|stream| !stream.closed);
    let mut stream = stream.ok_or(NotAcceptingWrites)?;
    let txid = tx.draw.uuid();
    let headers = json!({ "txid": txid, "operation": operation });
    let value = value.map_or(String::new(), |value| format!("\"value\":{value},"));
    let event = format!(r#"{{"type":"inbox","key":{},{value}"headers":{headers}}}"#, Json::from(key));
    write(tx, &mut stream, &Content::Json(vec![&event]), Cause::outside(Class::Named))?;
    Ok(Response::json(StatusCode::OK, &json!({ "txid": txid })).into())
}
