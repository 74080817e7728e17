//! Where an attachment stands: its row in the manifest, and its stream.

use percent_encoding::utf8_percent_encode;

use crate::http::{Refusal, failure};
use crate::limits::{ATTACHMENT_NAME, PATH};
use crate::store::EntityRow;
use crate::tenant::principal::COMPONENT;

failure! {
    /// The id cannot be a segment of a path.
    BadId => BAD_REQUEST "INVALID_REQUEST", "attachment id must not be empty, start with \".\", or contain forward slashes"
}

failure! {
    /// The id is longer than we keep.
    IdTooLong => BAD_REQUEST "INVALID_REQUEST",
    "an attachment's id is at most {ATTACHMENT_NAME} bytes long, the path of its stream at most {PATH}"
}

/// The place of an attachment of an entity.
pub(super) struct Place {
    pub(super) id: String,
    /// Its id as it stands in a path: what it is stored under.
    pub(super) name: String,
    /// The path of its stream.
    pub(super) path: String,
}

impl Place {
    /// The place that an id has, if it can have one.
    pub(super) fn of(entity: &EntityRow, id: &str) -> Result<Self, Refusal> {
        if id.is_empty() || id.starts_with('.') || id.contains('/') {
            return Err(BadId.into());
        }
        let name = name(id);
        let path = path(entity, &name);
        if id.len() > ATTACHMENT_NAME || path.len() > PATH {
            return Err(IdTooLong.into());
        }
        Ok(Self { id: id.to_owned(), name, path })
    }

    /// Its key in the manifest.
    pub(super) fn key(&self) -> String {
        format!("{KEY}{}", self.id)
    }
}

/// The id in the key of a manifest's row, if that is an attachment's.
pub(super) fn id_of(key: &str) -> Option<&str> {
    key.strip_prefix(KEY)
}

/// The URL of the entity to which a path's attachment would belong: `/{type}/{id}/attachments/{name}`.
pub(crate) fn owner_of(path: &str) -> Option<&str> {
    let (rest, name) = path.rsplit_once('/')?;
    let url = rest.strip_suffix("/attachments")?;
    let mut segments = url.strip_prefix('/')?.split('/');
    let two = |segment: Option<&str>| segment.is_some_and(|s| !s.is_empty());
    (!name.is_empty() && two(segments.next()) && two(segments.next()) && segments.next().is_none()).then_some(url)
}

/// An id as a segment of a path.
fn name(id: &str) -> String {
    utf8_percent_encode(id, COMPONENT).to_string()
}

fn path(entity: &EntityRow, name: &str) -> String {
    format!("{}/attachments/{name}", entity.url)
}

const KEY: &str = "attachment:";

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn whose_attachment_a_path_is() {
        for (path, owner) in [
            ("/task/t1/attachments/a", Some("/task/t1")),
            ("/task/a%2Fb/attachments/main", Some("/task/a%2Fb")),
            ("/attachments/attachments/attachments/attachments", Some("/attachments/attachments")),
            ("/task/t1/attachments/", None),
            ("/task/t1/attachments", None),
            ("/task/t1/attachments/a/b", None),
            ("/task/attachments/a", None),
            ("//t1/attachments/a", None),
            ("/x/task/t1/attachments/a", None),
            ("/task/t1/main", None),
        ] {
            assert_eq!(owner_of(path), owner, "{path}");
        }
    }
}
