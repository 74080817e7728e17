//! Rows of collections to which others may only add: nobody adds another under a key that is taken, which in everybody's
//! view would stand in place of what somebody else wrote (control plane, section 10.8).

use std::collections::BTreeSet;

use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::schema::read;
use crate::store::{CollectionRow, EntityTypeRow, Read, SqlError, StreamRow, Tx};
use crate::stream::{Event, Offset, split};
use crate::tenant::Principal;

/// The event types whose rows others may add and not change, of those that a type lets others write.
pub(crate) fn only_added(kind: Option<&EntityTypeRow>) -> BTreeSet<String> {
    let collections = kind.and_then(|kind| kind.definition.externally_writable_collections.as_deref());
    let collections = collections.and_then(|all| read(all.get()).ok()).unwrap_or_default();
    let (mut added, mut changed) = (BTreeSet::new(), BTreeSet::new());
    for collection in collections.as_object().into_iter().flat_map(|all| all.values()) {
        let kind = collection["type"].as_str().unwrap_or_default();
        let lets = |operation| match collection["operations"].as_array() {
            Some(operations) => operations.iter().any(|o| o == operation),
            None => operation == "insert",
        };
        if lets("insert") {
            added.insert(kind.to_owned());
        }
        if lets("update") || lets("delete") {
            changed.insert(kind.to_owned());
        }
    }
    &added - &changed
}

/// Which row of a stream: a hash of its event type and its key.
pub(crate) fn row(kind: &str, key: &str) -> Vec<u8> {
    hash(&[kind, key])
}

/// What somebody says in a row.
pub(crate) fn said(by: &Principal, value: Option<&RawValue>) -> Vec<u8> {
    hash(&[&by.url(), value.map_or("", RawValue::get)])
}

/// The row of a stream, if it is there. A fork has what its source had where it branched off.
pub(crate) fn find(read: &Read<'_>, stream: &StreamRow, row: &[u8]) -> Result<Option<CollectionRow>, SqlError> {
    let (mut id, mut fork, mut until) = (stream.id, stream.fork, Offset::END);
    loop {
        if let Some(known) = read.collection_row(id, row, until)? {
            let gone = known.gone.is_some_and(|gone| gone <= until);
            return Ok((!gone).then_some(known));
        }
        let Some(from) = fork else { return Ok(None) };
        until = until.min(from.at);
        let Some(source) = read.stream_by_id(from.source)? else { return Ok(None) };
        (id, fork) = (source.id, source.fork);
    }
}

/// What was appended to an entity's stream, and ends at `at`: which rows of these event types are there now.
pub(crate) fn note(
    tx: &Tx<'_>,
    stream: &StreamRow,
    kinds: &BTreeSet<String>,
    messages: &[&str],
    at: Offset,
    said: &[u8],
) -> Result<(), SqlError> {
    if kinds.is_empty() {
        return Ok(());
    }
    for event in messages.iter().map(|message| Event::of(message)) {
        let (Some(kind), Some(key)) = (event.kind.filter(|kind| kinds.contains(&**kind)), event.key) else { continue };
        let row = row(&kind, &key);
        let there = find(tx, stream, &row)?;
        match (event.operation.as_deref() == Some("delete"), there) {
            (true, Some(known)) => {
                tx.write_collection_row(stream.id, &row, &CollectionRow { gone: Some(at), ..known })?;
            }
            (false, None) => {
                tx.write_collection_row(stream.id, &row, &CollectionRow { at, gone: None, said: said.to_vec() })?;
            }
            (true, None) | (false, Some(_)) => {}
        }
    }
    Ok(())
}

/// A fork has the first messages of the append after `at` in its own stream.
pub(crate) fn taken_along(tx: &Tx<'_>, kind: &str, fork: &StreamRow, at: Offset) -> Result<(), SqlError> {
    let kinds = only_added(tx.entity_type(kind)?.as_ref());
    let taken = if kinds.is_empty() { None } else { tx.entry_after(fork, at)? };
    let Some((end, entry)) = taken else { return Ok(()) };
    let text = std::str::from_utf8(&entry).map_err(|_| SqlError::new(format!("the entry at {end} is damaged")))?;
    note(tx, fork, &kinds, &split(text), end, &[])
}

fn hash(parts: &[&str]) -> Vec<u8> {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize()[..16].to_vec()
}
