//! Forks: a stream that begins with what another holds, without copying it (stream protocol, section 8).
//!
//! A fork keeps a reference to its source and reads through it, so a source that is deleted stays until its forks are
//! gone. Offsets are its source's up to where it branches. What a sub-offset takes of the entry after that is copied:
//! it is the fork's own first entry.

use std::collections::BTreeSet;

use http::StatusCode;
use serde_json::value::RawValue;

use super::access::Owner;
use super::content::Content;
use super::lifetime::Lifetime;
use super::number::plain_digits;
use super::offset::Offset;
use super::write::close;
use crate::http::{Error, Refusal, Request, canonical_path};
use crate::limits::FORKS;
use crate::store::{Fork, SqlError, StreamRow, Tx};
use crate::tenant::Principal;

/// The fork headers of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AskedFork {
    /// The source's path below the stream root.
    pub(super) source: String,
    /// Where to branch; the source's tail when `None`.
    pub(super) at: Option<Offset>,
    /// How many messages or bytes past that.
    pub(super) sub: i64,
}

impl AskedFork {
    pub(super) fn of(request: &Request, root: &str) -> Result<Option<Self>, Refusal> {
        let raw = |name: &str| request.headers.get(name).map(|v| v.to_str().unwrap_or("").trim());
        let (source, at, sub) = (raw("stream-forked-from"), raw("stream-fork-offset"), raw("stream-fork-sub-offset"));
        let Some(source) = source else {
            return if at.or(sub).is_some() {
                Err(refuse("`stream-fork-offset` and `stream-fork-sub-offset` go with `stream-forked-from`"))
            } else {
                Ok(None)
            };
        };
        let path = canonical_path(source);
        let below = path.strip_prefix(root).filter(|below| source.starts_with('/') && below.len() > 1);
        let source = below.ok_or_else(|| refuse("`stream-forked-from` is the path of a stream on this server"))?;
        let at = match at {
            None => None,
            Some(at) => Some(Offset::parse(at).ok_or_else(|| refuse("`stream-fork-offset` is not an offset"))?),
        };
        let sub = match sub {
            None => 0,
            Some(sub) => {
                plain_digits(sub).ok_or_else(|| refuse("`stream-fork-sub-offset` is a whole number, without sign"))?
            }
        };
        Ok(Some(Self { source: source.to_owned(), at, sub }))
    }
}

/// Where a fork branches off, checked.
pub(super) struct Origin {
    pub(super) source: StreamRow,
    fork: Fork,
    /// What is copied of the entry after that.
    copied: Vec<u8>,
}

/// Finds what a fork would begin with.
pub(super) fn resolve(tx: &Tx<'_>, by: &Principal, asked: &AskedFork) -> Result<Origin, Error> {
    let path = &asked.source;
    let source = tx.stream(path)?;
    let over = |s: &StreamRow| s.lifetime.is_over(tx.now);
    if source.as_ref().is_some_and(|s| s.deleted || s.refs > 0 && over(s)) {
        return Err(Refusal::plain(StatusCode::CONFLICT, format!("`{path}` was deleted")).into());
    }
    let source = source.filter(|s| !over(s));
    let source =
        source.ok_or_else(|| Refusal::plain(StatusCode::NOT_FOUND, format!("no stream at `{path}` to fork")))?;
    Owner::of(tx, path)?.check_read(tx, by, path)?;
    check_depth(tx, &source)?;
    let at = asked.at.unwrap_or(source.tail);
    if at > source.tail {
        return Err(refuse(&format!("`{path}` ends at {}: nothing branches off after that", source.tail)).into());
    }
    let copied = if asked.sub == 0 { Vec::new() } else { copied(tx, &source, at, asked.sub)? };
    Ok(Origin { fork: Fork { source: source.id, at, sub: asked.sub }, source, copied })
}

/// Creates the fork, and takes its reference to the source.
pub(super) fn branch(
    tx: &Tx<'_>,
    path: &str,
    content_type: &str,
    lifetime: Lifetime,
    origin: &Origin,
) -> Result<StreamRow, SqlError> {
    let text = std::str::from_utf8(&origin.copied).unwrap_or("");
    let content = if origin.source.is_json() { Content::Json(split(text)) } else { Content::Bytes(&origin.copied) };
    let base = if content.is_empty() { origin.fork.at } else { origin.fork.at.after(content.length()) };
    let stream = tx.insert_stream_with(path, content_type, lifetime, Some((origin.fork, base)), false)?;
    if !content.is_empty() {
        // Not an append: it wakes nobody.
        tx.insert_entry(stream.id, base, content.messages(), &content.stored(&content.events(false), base))?;
    }
    let source = StreamRow { refs: origin.source.refs + 1, ..origin.source.clone() };
    tx.update_stream(&source)?;
    Ok(stream)
}

/// Creates a fork of a stream at a path that has none: what comes before `at`, and `sub` messages of the entry after
/// that. It holds what its source does, and is closed where its source ends closed. Nobody who waits for it is told.
pub(crate) fn copy(tx: &Tx<'_>, source: StreamRow, at: Offset, sub: i64, path: &str) -> Result<StreamRow, Error> {
    let closed = source.closed && at == source.tail;
    let copied = if sub == 0 { Vec::new() } else { copied(tx, &source, at, sub)? };
    let (content_type, lifetime) = (source.content_type.clone(), source.lifetime.inherited(tx.now));
    let origin = Origin { fork: Fork { source: source.id, at, sub }, source, copied };
    let mut stream = branch(tx, path, &content_type, lifetime, &origin)?;
    if closed {
        close(tx, &mut stream)?;
    }
    Ok(stream)
}

/// Whether a stream came from where a request says.
pub(super) fn is_like(fork: Option<Fork>, source: Option<&StreamRow>, asked: Option<&AskedFork>) -> bool {
    match (fork, source, asked) {
        (None, _, None) => true,
        (Some(fork), Some(source), Some(asked)) => {
            source.path == asked.source && asked.at.is_none_or(|at| at == fork.at) && asked.sub == fork.sub
        }
        _ => false,
    }
}

/// The first `sub` messages, or bytes, of the entry after `at`.
fn copied(tx: &Tx<'_>, source: &StreamRow, at: Offset, sub: i64) -> Result<Vec<u8>, Error> {
    let past = || refuse(&format!("`stream-fork-sub-offset` {sub} lies past the next append to `{}`", source.path));
    let (end, entry) = tx.entry_after(source, at)?.ok_or_else(past)?;
    let sub = usize::try_from(sub).map_err(|_| past())?;
    if !source.is_json() {
        return Ok(entry.get(..sub).ok_or_else(past)?.to_vec());
    }
    let text = std::str::from_utf8(&entry).map_err(|_| SqlError::new(format!("the entry at {end} is damaged")))?;
    let messages = split(text);
    Ok(messages.get(..sub).ok_or_else(past)?.join(",").into_bytes())
}

/// The messages of a stored JSON entry.
pub(crate) fn split(entry: &str) -> Vec<&str> {
    let mut messages = Vec::new();
    let mut rest = entry;
    while !rest.is_empty() {
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<&RawValue>();
        let Some(Ok(value)) = values.next() else { break };
        messages.push(value.get());
        rest = rest[values.byte_offset()..].trim_start().strip_prefix(',').unwrap_or("");
    }
    messages
}

/// Refuses a fork of too many forks.
fn check_depth(tx: &Tx<'_>, source: &StreamRow) -> Result<(), Error> {
    if is_too_deep(tx, source)? {
        return Err(refuse(&format!("`{}` is a fork {FORKS} deep already", source.path)).into());
    }
    Ok(())
}

/// Whether a stream is a fork of as many forks as there may be: each read of it goes through all of them.
pub(crate) fn is_too_deep(tx: &Tx<'_>, source: &StreamRow) -> Result<bool, SqlError> {
    let mut seen = BTreeSet::new();
    let mut next = source.fork;
    while let Some(fork) = next {
        if !seen.insert(fork.source) || seen.len() >= FORKS {
            return Ok(true);
        }
        next = tx.stream_by_id(fork.source)?.and_then(|s| s.fork);
    }
    Ok(false)
}

fn refuse(message: &str) -> Refusal {
    Refusal::plain(StatusCode::BAD_REQUEST, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn an_entry_is_split_at_its_values_and_not_at_its_commas() {
        for (entry, messages) in [
            (r#"{"a":1,"b":2},{"c":[1,2]}"#, vec![r#"{"a":1,"b":2}"#, r#"{"c":[1,2]}"#]),
            (r#"1,"x,y",null"#, vec!["1", r#""x,y""#, "null"]),
            ("12345678901234567890", vec!["12345678901234567890"]),
            ("", vec![]),
        ] {
            assert_eq!(split(entry), messages, "{entry}");
        }
    }
}
