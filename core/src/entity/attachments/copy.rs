//! A fork has the files of its source.

use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use super::place::{Place, id_of};
use super::upload::AlreadyExists;
use crate::entropy::hex;
use crate::http::Error;
use crate::store::{EntityRow, SqlError, StreamRow, Tx};
use crate::stream::{self, Offset};
use crate::subscription;

/// Gives `fork` the bytes of the file of `source` that a row of their manifests names, if they are there: where `meant` is that row, if
/// they are what it tells of.
pub(crate) fn copy(
    tx: &Tx<'_>,
    source: &EntityRow,
    fork: &EntityRow,
    key: &str,
    meant: Option<&Json>,
) -> Result<(), Error> {
    let Some(id) = id_of(key) else { return Ok(()) };
    let Ok(from) = Place::of(source, id) else { return Ok(()) };
    let Some(bytes) = tx.live_stream(&from.path)? else { return Ok(()) };
    if meant.map_or(Ok(false), |row| is_another(tx, &bytes, row))? {
        return Ok(());
    }
    let to = Place::of(fork, id)?;
    if tx.is_taken(&to.path)? {
        return Err(AlreadyExists { id: to.id }.into());
    }
    let tail = bytes.tail;
    let mut stream = stream::copy(tx, bytes, tail, 0, &to.path)?;
    Ok(subscription::has_come(tx, &mut stream)?)
}

/// Whether a file is not the one that a row tells of.
fn is_another(tx: &Tx<'_>, bytes: &StreamRow, row: &Json) -> Result<bool, SqlError> {
    let Some(told) = row["sha256"].as_str() else { return Ok(false) };
    if row["byteLength"] != bytes.tail.bytes() {
        return Ok(true);
    }
    let mut digest = Sha256::new();
    tx.entries(bytes, Offset::ZERO, usize::MAX, |_, entry| digest.update(entry))?;
    Ok(hex(&digest.finalize()) != told)
}

/// Whether a row of a manifest is about a file.
pub(crate) fn is_key(key: &str) -> bool {
    id_of(key).is_some()
}
