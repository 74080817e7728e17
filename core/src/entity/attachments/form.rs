//! The form that an upload is: what its fields mean, and which of two mistakes is said.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::BYTES;
use crate::http::multipart::{Form, boundary};
use crate::http::{Refusal, Request, failure};
use crate::limits::{ATTACHMENT, ATTACHMENT_FIELDS, ATTACHMENT_NAME, BODY_DEPTH, KEPT_HEADER};
use crate::stream::json::parse;
use crate::stream::{depth, members, string};

failure! {
    /// The body is something else.
    NotMultipart => BAD_REQUEST "INVALID_REQUEST", "Attachment uploads must use multipart/form-data"
}

failure! {
    /// The body is not what its content type says.
    NotAForm => BAD_REQUEST "INVALID_REQUEST", "Invalid multipart form data"
}

failure! {
    /// There is no file in it.
    NoFile => BAD_REQUEST "INVALID_REQUEST", "Missing file field"
}

failure! {
    /// The role is none.
    BadRole => BAD_REQUEST "INVALID_REQUEST", "invalid attachment role"
}

failure! {
    /// The field is not JSON, or nests too deep.
    BadJson { field: &'static str } => BAD_REQUEST "INVALID_REQUEST", "Invalid JSON field: {field}"
}

failure! {
    /// The field is JSON, but no object.
    NoObject { field: &'static str } => BAD_REQUEST "INVALID_REQUEST", "attachment {field} must be an object"
}

failure! {
    /// The subject does not say what it is.
    SubjectIncomplete => BAD_REQUEST "INVALID_REQUEST", "attachment subject requires type and key"
}

failure! {
    /// Nothing of this kind has attachments.
    BadSubject => BAD_REQUEST "INVALID_REQUEST", "invalid attachment subject type"
}

failure! {
    /// It belongs to nothing.
    NoSubject => BAD_REQUEST "INVALID_REQUEST", "attachment subject is required"
}

failure! {
    /// What it belongs to has no key.
    NoSubjectKey => BAD_REQUEST "INVALID_REQUEST", "attachment subject key is required"
}

failure! {
    /// The file is larger than an attachment may be.
    TooLarge => PAYLOAD_TOO_LARGE "INVALID_REQUEST", "Attachment exceeds maximum size of {ATTACHMENT} bytes"
}

failure! {
    /// Something is longer than we keep.
    TooLong { what: &'static str, most: usize } => BAD_REQUEST "INVALID_REQUEST",
    "the {what} of an attachment may be {most} bytes long at most"
}

/// An upload.
#[derive(Debug)]
pub(super) struct Upload<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) id: Option<String>,
    pub(super) subject: Subject,
    pub(super) role: String,
    pub(super) mime: String,
    pub(super) filename: Option<String>,
    pub(super) meta: Option<Box<RawValue>>,
}

/// What an attachment belongs to.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) kind: String,
    pub(super) key: String,
}

impl<'a> Upload<'a> {
    /// Reads the body of a request.
    pub(super) fn of(request: &'a Request) -> Result<Self, Refusal> {
        let boundary = boundary(request.header("content-type").unwrap_or("")).ok_or(NotMultipart)?;
        let form = boundary.and_then(|boundary| Form::of(&boundary, &request.body)).ok_or(NotAForm)?;
        let file = form.file("file").ok_or(NoFile)?;
        if form.beside(file) > ATTACHMENT_FIELDS {
            return Err(TooLong { what: "fields beside the file", most: ATTACHMENT_FIELDS }.into());
        }
        let role = given(&form, "role").unwrap_or_else(|| "input".to_owned());
        if !["input", "output"].contains(&role.as_str()) {
            return Err(BadRole.into());
        }
        let meta = object(&form, "meta")?;
        let subject = Subject::of(&form)?;
        let own = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
        Ok(Self {
            bytes: file.bytes,
            id: given(&form, "id"),
            subject,
            role,
            mime: given(&form, "mimeType").or_else(|| own(&file.content_type)).unwrap_or_else(|| BYTES.to_owned()),
            filename: given(&form, "filename").or_else(|| own(&file.filename)),
            meta,
        })
    }

    /// What is looked at last: whether there is too much of something.
    pub(super) fn check_lengths(&self) -> Result<(), Refusal> {
        if self.subject.key.trim().is_empty() {
            return Err(NoSubjectKey.into());
        }
        if self.bytes.len() > ATTACHMENT {
            return Err(TooLarge.into());
        }
        if self.mime.len() > KEPT_HEADER {
            return Err(TooLong { what: "mimeType", most: KEPT_HEADER }.into());
        }
        if self.filename.as_ref().is_some_and(|name| name.len() > ATTACHMENT_NAME) {
            return Err(TooLong { what: "filename", most: ATTACHMENT_NAME }.into());
        }
        Ok(())
    }
}

impl Subject {
    /// The subject as JSON, or in two fields.
    fn of(form: &Form<'_>) -> Result<Self, Refusal> {
        let (kind, key) = match object(form, "subject")? {
            Some(subject) => {
                let named = members(subject.get());
                let find = |name: &str| named.iter().rfind(|(n, _)| n == name).and_then(|(_, value)| string(value));
                let both = find("type").zip(find("key")).ok_or(SubjectIncomplete)?;
                (both.0.into_owned(), both.1.into_owned())
            }
            None => {
                let both = given(form, "subjectType").zip(form.text("subjectKey").map(Cow::into_owned));
                both.ok_or(NoSubject)?
            }
        };
        if ["inbox", "run", "text", "tool_call", "context"].contains(&kind.as_str()) {
            Ok(Self { kind, key })
        } else {
            Err(BadSubject.into())
        }
    }
}

/// A text field; blank is absent.
fn given(form: &Form<'_>, name: &str) -> Option<String> {
    form.text(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// A field that is a JSON object; blank and null are absent.
fn object(form: &Form<'_>, field: &'static str) -> Result<Option<Box<RawValue>>, Refusal> {
    let Some(text) = given(form, field) else { return Ok(None) };
    if depth(&text) > BODY_DEPTH || parse(&text).is_err() {
        return Err(BadJson { field }.into());
    }
    let value: Box<RawValue> = serde_json::from_str(&text).map_err(|_| BadJson { field })?;
    match value.get() {
        "null" => Ok(None),
        json if json.starts_with('{') => Ok(Some(value)),
        _ => Err(NoObject { field }.into()),
    }
}
