//! What a row of a manifest says of an attachment is kept, whoever wrote it: nothing is read back to serve a file.

use serde_json::Value as Json;

use super::place::{Place, id_of};
use super::{BYTES, TooMany, servable};
use crate::http::Error;
use crate::limits::{ATTACHMENT_NAME, ATTACHMENTS};
use crate::store::{AttachmentRow, EntityRow, Tx};

/// Keeps what a row says, if it is about an attachment; a row that was taken away says nothing, its `value` is null.
pub(crate) fn project(tx: &Tx<'_>, owner: &EntityRow, key: &str, value: &Json) -> Result<(), Error> {
    let Some(id) = id_of(key) else { return Ok(()) };
    let place = Place::of(owner, id)?;
    if value["kind"] != "attachment" {
        return Ok(tx.delete_attachment(owner.id, &place.name)?);
    }
    if tx.attachment(owner.id, &place.name)?.is_none() && tx.attachments_of(owner.id)? >= ATTACHMENTS {
        return Err(TooMany { url: owner.url.clone() }.into());
    }
    let text = |name: &str| value[name].as_str();
    let row = AttachmentRow {
        complete: text("status") == Some("complete"),
        astray: text("streamPath") != Some(&place.path),
        mime: servable(text("mimeType").unwrap_or(BYTES)).to_owned(),
        filename: text("filename").filter(|name| name.len() <= ATTACHMENT_NAME).map(str::to_owned),
    };
    Ok(tx.write_attachment(owner.id, &place.name, &row)?)
}
