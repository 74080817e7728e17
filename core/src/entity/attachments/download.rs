//! `GET …/attachments/{id}`: the bytes of a file.

use http::StatusCode;
use percent_encoding::{AsciiSet, utf8_percent_encode};

use super::place::Place;
use super::{Astray, AttachmentNotFound};
use crate::engine::Reply;
use crate::entity::find;
use crate::http::{Call, Error, Response, failure};
use crate::limits::ATTACHMENT;
use crate::store::{Read, SqlError, StreamRow};
use crate::stream::Offset;
use crate::tenant::{Permission, permission, principal};

failure! {
    /// Not all of it is there yet, or it never came.
    NotComplete => CONFLICT "INVALID_REQUEST", "Attachment is not complete"
}

/// Serves the attachment at the request's path.
pub(crate) fn download(call: &Call<'_, Read<'_>>) -> Result<Reply, Error> {
    let (read, by) = (call.store, call.by()?);
    let entity = find(call, read)?;
    let id = call.decoded("attachment")?;
    permission::check(read, by, Permission::Read, &entity)?;
    let place = Place::of(&entity, &id)?;
    let row = read.attachment(entity.id, &place.name)?.ok_or(AttachmentNotFound)?;
    if !row.complete {
        return Err(NotComplete.into());
    }
    if row.astray {
        return Err(Astray.into());
    }
    let stream = read.live_stream(&place.path)?.filter(is_whole).ok_or(AttachmentNotFound)?;
    let response = Response { body: bytes(read, &stream)?, ..Response::empty(StatusCode::OK) }
        .with("content-type", &row.mime)
        .with("cache-control", "private, max-age=31536000, immutable")
        .with("content-disposition", disposition(row.filename.as_deref()));
    Ok(Reply::Whole(response))
}

/// Whether a stream can be an attachment's: one that somebody made there before paths of attachments were the server's is
/// not served.
fn is_whole(stream: &StreamRow) -> bool {
    stream.closed && usize::try_from(stream.tail.bytes()).is_ok_and(|length| length <= ATTACHMENT)
}

/// All bytes of a stream.
fn bytes(read: &Read<'_>, stream: &StreamRow) -> Result<Vec<u8>, SqlError> {
    let mut all = Vec::with_capacity(usize::try_from(stream.tail.bytes()).unwrap_or(0));
    read.entries(stream, Offset::ZERO, usize::MAX, |_, entry| all.extend_from_slice(entry))?;
    Ok(all)
}

/// Never shown in place, whatever it is; under its name, once in ASCII and once in full (RFC 6266, RFC 8187).
fn disposition(filename: Option<&str>) -> String {
    let Some(name) = filename.filter(|name| !name.is_empty()) else { return "attachment".to_owned() };
    let plain = |c: char| (' '..='~').contains(&c) && c != '"' && c != '\\';
    let ascii: String = name.chars().flat_map(|c| if plain(c) { vec![c] } else { vec!['_'; c.len_utf16()] }).collect();
    format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{}", utf8_percent_encode(name, ATTR_CHAR))
}

/// What an extended value has as it is, and no component of a URL escapes.
const ATTR_CHAR: &AsciiSet = &principal::COMPONENT.add(b'\'').add(b'(').add(b')').add(b'*');

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn names_in_a_header() {
        for (name, want) in [
            (None, "attachment"),
            (Some(""), "attachment"),
            (Some("f.txt"), "attachment; filename=\"f.txt\"; filename*=UTF-8''f.txt"),
            (Some("ünï.txt"), "attachment; filename=\"_n_.txt\"; filename*=UTF-8''%C3%BCn%C3%AF.txt"),
            (Some("a b\"\\c"), "attachment; filename=\"a b__c\"; filename*=UTF-8''a%20b%22%5Cc"),
            (Some("😀\r\nx: y"), "attachment; filename=\"____x: y\"; filename*=UTF-8''%F0%9F%98%80%0D%0Ax%3A%20y"),
            (
                Some("it's (1)*!~.txt"),
                "attachment; filename=\"it's (1)*!~.txt\"; filename*=UTF-8''it%27s%20%281%29%2A!~.txt",
            ),
        ] {
            assert_eq!(disposition(name), want);
        }
    }
}
