//! `POST …/attachments`: a file comes to belong to an entity.

use http::StatusCode;
use serde::Serialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::form::Upload;
use super::place::Place;
use super::{TooMany, check_open, stream_type};
use crate::engine::Done;
use crate::entity::{find_to_write, manifest_row, principal, raw};
use crate::entropy::hex;
use crate::http::{Call, Error, Response, failure};
use crate::limits::{ATTACHMENTS, READ};
use crate::store::{EntityRow, Tx};
use crate::stream::{self, Cause, Class, Content, close, write};
use crate::subscription;
use crate::tenant::{Permission, Principal, permission};

failure! {
    /// Another has the id.
    AlreadyExists { id: String } => CONFLICT "INVALID_REQUEST", "Attachment already exists at id \"{id}\""
}

/// Attaches the file in the request's form: 201 `{"txid", "attachment"}`, with the row of the manifest.
pub(crate) fn upload(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let (tx, by) = (call.store, call.by()?);
    let entity = find_to_write(call)?;
    permission::check(tx, by, Permission::Write, &entity)?;
    principal::refuse(&entity, "given attachments")?;
    let upload = Upload::of(call.request)?;
    check_open(&entity)?;
    let place = Place::of(&entity, &upload.id.clone().unwrap_or_else(|| tx.draw.uuid()))?;
    upload.check_lengths()?;
    make_room(tx, &entity, &place)?;
    store(tx, &place.path, stream_type(&upload.mime), upload.bytes)?;
    let entry = entry(tx, by, &place, &upload);
    let txid = manifest_row::write_row(tx, by, &entity, &place.key(), "upsert", Some(&entry))?;
    Ok(Response::json(StatusCode::CREATED, &Attached { txid: &txid, attachment: raw(&entry) }).into())
}

/// Refuses an id that is taken, and one attachment too many. A stream of which the manifest knows nothing any more gives
/// way, so that the bytes under an id are always those that came with it.
fn make_room(tx: &Tx<'_>, entity: &EntityRow, place: &Place) -> Result<(), Error> {
    let known = tx.attachment(entity.id, &place.name)?.is_some();
    if let Some(stream) = tx.stream(&place.path)? {
        if known && !stream.deleted {
            return Err(AlreadyExists { id: place.id.clone() }.into());
        }
        stream::give_way(tx, stream)?;
    }
    if !known && tx.attachments_of(entity.id)? >= ATTACHMENTS {
        return Err(TooMany { url: entity.url.clone() }.into());
    }
    Ok(())
}

/// Writes the bytes to a stream that is closed with the last of them. They lie in entries that a read can take one by one.
fn store(tx: &Tx<'_>, path: &str, content_type: &str, bytes: &[u8]) -> Result<(), Error> {
    let mut stream = tx.insert_stream(path, content_type)?;
    subscription::has_come(tx, &mut stream)?;
    let mut pieces = bytes.chunks(READ).peekable();
    while let Some(piece) = pieces.next() {
        stream.closed = pieces.peek().is_none();
        write(tx, &mut stream, &Content::Bytes(piece), Cause::outside(Class::Named))?;
    }
    Ok(close(tx, &mut stream)?)
}

/// The answer: the row as it was written, and what says so on the stream.
#[derive(Serialize)]
struct Attached<'a> {
    txid: &'a str,
    attachment: Box<RawValue>,
}

/// An attachment's row in the manifest.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    key: String,
    kind: &'static str,
    id: &'a str,
    stream_path: &'a str,
    status: &'static str,
    subject: Subject<'a>,
    role: &'a str,
    mime_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<&'a str>,
    byte_length: usize,
    sha256: String,
    created_at: String,
    created_by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Subject<'a> {
    r#type: &'a str,
    key: &'a str,
}

fn entry(tx: &Tx<'_>, by: &Principal, place: &Place, upload: &Upload<'_>) -> String {
    let entry = Entry {
        key: place.key(),
        kind: "attachment",
        id: &place.id,
        stream_path: &place.path,
        status: "complete",
        subject: Subject { r#type: &upload.subject.kind, key: &upload.subject.key },
        role: &upload.role,
        mime_type: &upload.mime,
        filename: upload.filename.as_deref(),
        byte_length: upload.bytes.len(),
        sha256: hex(&Sha256::digest(upload.bytes)),
        created_at: tx.now.iso(),
        created_by: by.url(),
        meta: upload.meta.as_deref(),
    };
    serde_json::to_string(&entry).expect("our own values serialise")
}
