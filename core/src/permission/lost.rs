//! What follows when somebody may no longer read what they could: whoever was told of it is told no more.

use super::Subject;
use crate::http::Error;
use crate::observe::members;
use crate::store::{EntityRow, Read, SqlError, Tx};
use crate::stream::{Owner, shared_state};
use crate::tenant::Principal;
use crate::wake;

/// Those whom `subject` means may have lost an entity: it leaves their membership streams, and their wakes and
/// subscriptions leave what is read by who may read it. Gives how many wakes that were.
pub(crate) fn lost(tx: &Tx<'_>, subject: &Subject, entity: &EntityRow) -> Result<usize, SqlError> {
    members::changed(tx, entity)?;
    let mut forgotten = wake::register::forget_lost(tx, Some(subject), &entity.url)?;
    unfollow(tx, Some(subject), entity.id, &format!("{}/main", entity.url))?;
    for state in tx.states_of(entity.id)? {
        forgotten += left(tx, Some(subject), &shared_state::path(&state))?;
    }
    for path in tx.shapes_for(&entity.url)? {
        forgotten += left(tx, Some(subject), &path)?;
    }
    Ok(forgotten)
}

/// Those whom `subject` means, or all when it is absent, may have lost a stream: their wakes and subscriptions leave it.
/// Gives how many wakes that were.
pub(crate) fn left(tx: &Tx<'_>, subject: Option<&Subject>, path: &str) -> Result<usize, SqlError> {
    if let Some(stream) = tx.stream(path)? {
        unfollow(tx, subject, stream.id, path)?;
    }
    wake::register::forget_lost(tx, subject, path)
}

/// What clients have subscribed to follows only what its owner may read.
fn unfollow(tx: &Tx<'_>, subject: Option<&Subject>, stream: i64, path: &str) -> Result<(), SqlError> {
    for url in tx.followers(stream)? {
        let owner = Principal::parse(&url).filter(|owner| subject.is_none_or(|subject| subject.means(owner)));
        if let Some(owner) = owner
            && !may_read(tx, &owner, path)?
        {
            tx.delete_links_of_owner(stream, &url)?;
        }
    }
    Ok(())
}

fn may_read(read: &Read<'_>, by: &Principal, path: &str) -> Result<bool, SqlError> {
    match Owner::of(read, path)?.check_read(read, by, path) {
        Ok(()) => Ok(true),
        Err(Error::Refused(_)) => Ok(false),
        Err(Error::Store(error)) => Err(error),
    }
}
