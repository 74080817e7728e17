//! An entity as the wire shows it (control plane, section 5.1).

use serde::Serialize;
use serde_json::value::RawValue;

use crate::store::EntityRow;

/// The public entity. The answer to a spawn echoes its request: it has no `spawn_args` when none were sent.
#[derive(Serialize)]
pub(super) struct View<'a> {
    url: &'a str,
    r#type: &'a str,
    status: &'static str,
    streams: Streams,
    #[serde(skip_serializing_if = "Option::is_none")]
    dispatch_policy: Option<Box<RawValue>>,
    tags: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) spawn_args: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sandbox: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<&'a str>,
    created_by: &'a str,
    created_at: i64,
    updated_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) externally_writable_collections: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) txid: Option<i64>,
}

#[derive(Serialize)]
struct Streams {
    main: String,
}

impl<'a> View<'a> {
    pub(super) fn of(entity: &'a EntityRow) -> Self {
        Self {
            url: &entity.url,
            r#type: &entity.kind,
            status: entity.status.as_str(),
            streams: Streams { main: format!("{}/main", entity.url) },
            dispatch_policy: entity.policy.as_deref().map(raw),
            tags: raw(&entity.tags),
            spawn_args: Some(raw(&entity.args)),
            sandbox: entity.sandbox.as_deref().map(raw),
            parent: entity.parent.as_deref(),
            created_by: &entity.created_by,
            created_at: entity.created_at.as_millis(),
            updated_at: entity.updated_at.as_millis(),
            externally_writable_collections: None,
            txid: None,
        }
    }
}

/// Stored JSON text as it is.
pub(crate) fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned())
}
