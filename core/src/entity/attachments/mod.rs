//! Files that belong to an entity (control plane, section 10.9). The bytes of one are a closed stream of its own, below
//! the entity's URL; that it exists is a row of the entity's manifest, and what is served follows from that row. They
//! outlive their entity's end, like everything that it wrote.

mod copy;
mod delete;
mod download;
mod form;
mod place;
mod project;
mod upload;

pub(crate) use copy::{copy, is_key};
pub(crate) use delete::delete;
pub(crate) use download::download;
pub(crate) use place::owner_of;
pub(crate) use project::project;
pub(crate) use upload::upload;

use http::HeaderValue;

use super::send::NotAcceptingWrites;
use crate::dispatch::lock::ForkInProgress;
use crate::http::{Error, failure};
use crate::limits::{ATTACHMENTS, KEPT_HEADER};
use crate::store::{EntityRow, is_json};
use crate::stream::is_content_type;

failure! {
    /// The manifest knows of no such attachment, or its bytes are not there.
    AttachmentNotFound => NOT_FOUND "NOT_FOUND", "Attachment not found"
}

failure! {
    /// The manifest names another stream.
    Astray => CONFLICT "INVALID_REQUEST", "Attachment stream path does not match its entity and id"
}

failure! {
    /// It has as many as it may.
    TooMany { url: String } => CONFLICT "LIMIT_EXCEEDED", "{url} already has {ATTACHMENTS} attachments"
}

/// Refuses changes while the entity takes none.
fn check_open(entity: &EntityRow) -> Result<(), Error> {
    if !entity.status.accepts_writes() {
        return Err(NotAcceptingWrites.into());
    }
    if entity.locked { Err(ForkInProgress.into()) } else { Ok(()) }
}

/// What a file is served as: its type, if a header can carry it.
fn servable(mime: &str) -> &str {
    let fits = mime.len() <= KEPT_HEADER && is_content_type(mime) && HeaderValue::from_str(mime).is_ok();
    if fits { mime } else { BYTES }
}

/// The content type of a file's stream. A stream of JSON would hold messages, and give back other bytes than it got.
fn stream_type(mime: &str) -> &str {
    if is_json(mime) { BYTES } else { servable(mime) }
}

/// What a file is when nothing says what it is.
const BYTES: &str = "application/octet-stream";
