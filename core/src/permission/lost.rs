//! What follows when somebody may read an entity, or what belongs to it, no more: whoever was told of it by that alone is
//! told no more.

use super::Subject;
use crate::observe::members;
use crate::store::{EntityRow, SqlError, Tx};
use crate::stream::shared_state;
use crate::tenant::Principal;
use crate::wake::register::{forget_lost, may_read};

/// Those whom `subject` means may have lost an entity: it leaves their membership streams, and their wakes and
/// subscriptions leave it, its shared states and the shapes that are followed for it. Gives how many wakes that were.
pub(crate) fn lost(tx: &Tx<'_>, subject: &Subject, entity: &EntityRow) -> Result<usize, SqlError> {
    members::changed(tx, entity)?;
    let mut forgotten = forget_lost(tx, subject, &entity.url)?;
    unfollow(tx, subject, entity.id, &entity.url)?;
    for state in tx.states_of(entity.id)? {
        forgotten += lost_stream(tx, subject, &shared_state::path(&state))?;
    }
    for shape in tx.pg_syncs_for(&entity.url)? {
        if let Some(stream) = tx.stream_by_id(shape)? {
            forgotten += lost_stream(tx, subject, &stream.path)?;
        }
    }
    Ok(forgotten)
}

/// A shared state belongs to an entity no more: whoever read it by that may have lost it.
pub(crate) fn lost_state(tx: &Tx<'_>, id: &str) -> Result<(), SqlError> {
    let path = shared_state::path(id);
    for kind in Principal::KINDS {
        lost_stream(tx, &Subject::Kind(kind.to_owned()), &path)?;
    }
    Ok(())
}

fn lost_stream(tx: &Tx<'_>, subject: &Subject, path: &str) -> Result<usize, SqlError> {
    if let Some(stream) = tx.stream(path)? {
        unfollow(tx, subject, stream.id, path)?;
    }
    forget_lost(tx, subject, path)
}

/// What clients have subscribed to follows only what its owner may read.
fn unfollow(tx: &Tx<'_>, subject: &Subject, stream: i64, source: &str) -> Result<(), SqlError> {
    for url in tx.followers(stream)? {
        let owner = Principal::parse(&url).filter(|owner| subject.means(owner));
        if let Some(owner) = owner
            && !may_read(tx, &owner, source)?
        {
            tx.delete_links_of_owner(stream, &url)?;
        }
    }
    Ok(())
}
