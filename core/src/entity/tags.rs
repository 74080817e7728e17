//! `…/tags/{key}`: tags of an entity, set and taken away; its stream says so in the same commit (control plane, section
//! 10.10; wake specification, section 7.2).

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::{Value as Json, json};

use super::principal;
use super::save::save;
use super::send::NotAcceptingWrites;
use super::show::find_to_write;
use super::view::View;
use crate::dispatch::lock::ForkInProgress;
use crate::engine::Done;
use crate::http::{Body, Call, Error, Response, failure};
use crate::limits::{TAG, TAGGED, TAGS};
use crate::store::{EntityRow, SqlError, Tx};
use crate::stream::{Cause, Class, Content, write};
use crate::tenant::{Permission, permission};

failure! {
    /// It has as many as it may.
    TooManyTags { url: String } => CONFLICT "LIMIT_EXCEEDED", "{url} already has the most tags that an entity may"
}

failure! {
    /// What it has of arguments and tags is too long.
    TagsTooLong { url: String } => CONFLICT "LIMIT_EXCEEDED",
    "the arguments and tags of {url} would be longer than {TAGGED} bytes"
}

failure! {
    /// The key or the value is too long.
    TagTooLong => BAD_REQUEST "INVALID_REQUEST", "a tag's key and value are at most {TAG} bytes long"
}

/// `POST {"value"}`: sets a tag. 200 with the entity, and the `txid` when something changed.
pub(crate) fn set(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let value = |call: &Call<'_, Tx<'_>>| {
        let body = Body::of(call.request)?;
        let value = body.required_text("value");
        body.check()?;
        Ok(Some(value))
    };
    change(call, value)
}

/// `DELETE`: takes a tag away. The same answer, also when there was none.
pub(crate) fn remove(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    change(call, |_| Ok(None))
}

fn change(
    call: &Call<'_, Tx<'_>>,
    value: impl Fn(&Call<'_, Tx<'_>>) -> Result<Option<String>, Error>,
) -> Result<Done, Error> {
    let (tx, by) = (call.store, call.by()?);
    let mut entity = find_to_write(call)?;
    let (key, value) = (call.decoded("key")?, value(call)?);
    permission::check(tx, by, Permission::Write, &entity)?;
    principal::refuse(&entity, if value.is_some() { "tag updated" } else { "tag deleted" })?;
    if !entity.status.accepts_writes() {
        return Err(NotAcceptingWrites.into());
    }
    if entity.locked {
        return Err(ForkInProgress.into());
    }
    if key.len() > TAG || value.as_ref().is_some_and(|v| v.len() > TAG) {
        return Err(TagTooLong.into());
    }
    let changed = apply(tx, &mut entity, &key, value.as_deref())?;
    let mut view = View::of(&entity);
    view.txid = changed.then(|| tx.txid());
    Ok(Response::json(StatusCode::OK, &view).into())
}

/// Sets a tag, or takes it away. Says whether that changed anything.
fn apply(tx: &Tx<'_>, entity: &mut EntityRow, key: &str, value: Option<&str>) -> Result<bool, Error> {
    let mut tags = parse(entity)?;
    let before = match value {
        Some(value) => tags.insert(key.to_owned(), value.to_owned()),
        None => tags.remove(key),
    };
    if before.as_deref() == value {
        return Ok(false);
    }
    if tags.len() > TAGS {
        return Err(TooManyTags { url: entity.url.clone() }.into());
    }
    entity.tags = serde_json::to_string(&tags).expect("texts serialise");
    if value.is_some() && entity.args.len() + entity.tags.len() > TAGGED {
        return Err(TagsTooLong { url: entity.url.clone() }.into());
    }
    entity.updated_at = tx.now;
    save(tx, entity)?;
    let event = event(tx, key, value, before.is_some());
    if let Some(mut stream) = tx.stream_by_id(entity.id)? {
        write(tx, &mut stream, &Content::Json(vec![&event.to_string()]), Cause::outside(Class::Named))?;
    }
    Ok(true)
}

/// The tags of an entity with others added or put in their place, for a fork of it.
pub(super) fn with(entity: &EntityRow, more: &[(String, String)]) -> Result<String, Error> {
    if more.is_empty() {
        return Ok(entity.tags.clone());
    }
    let mut tags = parse(entity)?;
    tags.extend(more.iter().cloned());
    if tags.len() > TAGS {
        return Err(TooManyTags { url: entity.url.clone() }.into());
    }
    let tags = serde_json::to_string(&tags).expect("texts serialise");
    if entity.args.len() + tags.len() > TAGGED {
        return Err(TagsTooLong { url: entity.url.clone() }.into());
    }
    Ok(tags)
}

fn parse(entity: &EntityRow) -> Result<BTreeMap<String, String>, SqlError> {
    serde_json::from_str(&entity.tags)
        .map_err(|e| SqlError::new(format!("the stored tags of `{}` do not parse: {e}", entity.url)))
}

fn event(tx: &Tx<'_>, key: &str, value: Option<&str>, was_there: bool) -> Json {
    let operation = match value {
        None => "delete",
        Some(_) if was_there => "update",
        Some(_) => "insert",
    };
    let headers = json!({ "timestamp": tx.now.iso(), "operation": operation });
    match value {
        Some(value) => {
            json!({ "type": "tags", "key": key, "value": { "key": key, "value": value }, "headers": headers })
        }
        None => json!({ "type": "tags", "key": key, "headers": headers }),
    }
}
