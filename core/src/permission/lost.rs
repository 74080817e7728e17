//! What follows when a grant to read an entity ends: whoever was told of it by that grant alone is told no more.

use super::{Permission, Subject, may};
use crate::observe::members;
use crate::store::{EntityRow, SqlError, Tx};
use crate::stream::shared_state;
use crate::tenant::Principal;
use crate::wake;

/// Those whom `subject` means may have lost an entity: it leaves their membership streams, and their wakes and
/// subscriptions leave it. Gives how many wakes that were.
pub(crate) fn lost(tx: &Tx<'_>, subject: &Subject, entity: &EntityRow) -> Result<usize, SqlError> {
    members::changed(tx, entity)?;
    let mut forgotten = wake::register::forget_lost(tx, subject, &entity.url)?;
    for state in tx.states_of(entity.id)? {
        forgotten += wake::register::forget_lost(tx, subject, &shared_state::path(&state))?;
    }
    unfollow(tx, subject, entity)?;
    Ok(forgotten)
}

/// What clients have subscribed to follows only what its owner may read.
fn unfollow(tx: &Tx<'_>, subject: &Subject, entity: &EntityRow) -> Result<(), SqlError> {
    for url in tx.followers(entity.id)? {
        let owner = Principal::parse(&url).filter(|owner| subject.means(owner));
        if let Some(owner) = owner
            && !may(tx, &owner, Permission::Read, entity)?
        {
            tx.delete_links_of_owner(entity.id, &url)?;
        }
    }
    Ok(())
}
