//! A fork has the files of its source.

use super::place::{Place, id_of};
use super::upload::AlreadyExists;
use crate::http::Error;
use crate::store::{EntityRow, Tx};
use crate::stream;
use crate::subscription;

/// Gives `fork` the bytes of the file of `source` that a row of their manifests names, if they are there.
pub(crate) fn copy(tx: &Tx<'_>, source: &EntityRow, fork: &EntityRow, key: &str) -> Result<(), Error> {
    let Some(id) = id_of(key) else { return Ok(()) };
    let Ok(from) = Place::of(source, id) else { return Ok(()) };
    let Some(bytes) = tx.live_stream(&from.path)? else { return Ok(()) };
    let to = Place::of(fork, id)?;
    if tx.is_taken(&to.path)? {
        return Err(AlreadyExists { id: to.id }.into());
    }
    let tail = bytes.tail;
    let mut stream = stream::copy(tx, bytes, tail, 0, &to.path)?;
    Ok(subscription::has_come(tx, &mut stream)?)
}

/// Whether a row of a manifest is about a file.
pub(crate) fn is_key(key: &str) -> bool {
    id_of(key).is_some()
}
