//! Where a grant is in effect. It is given to an entity, reaches what is below it, and ends: each in the transaction
//! that begins it, and beyond so many entities a chunk at a time. What is granted is there when the grant reaches it;
//! what is taken away is gone everywhere at once, and only its rows are swept later.
//!
//! A child has a larger row id than its parent. So a grant goes through what it has reached by row id, and comes to the
//! children of each: what it adds lies ahead of it, and one number more says how far it is.

use super::lost::lost;
use super::{Asked, Permission, TooManyGrants};
use crate::http::Error;
use crate::limits::{GRANTS, REGISTRATIONS};
use crate::observe::members;
use crate::store::{EntityGrant, EntityRow, Place, SqlError, TimerKind, Tx};
use crate::tenant::Principal;

/// Gives a grant on an entity.
pub(crate) fn give(tx: &Tx<'_>, by: &Principal, entity: &EntityRow, asked: &Asked) -> Result<EntityGrant, Error> {
    let held = asked.held()?;
    let mut grant = EntityGrant {
        id: tx.next_id(),
        entity: entity.id,
        held,
        descendants: asked.descendants,
        copies: asked.copies,
        created_by: Some(by.url()),
        created_at: tx.now,
        place: None,
        ended: false,
    };
    add(tx, entity, &mut grant)?;
    Ok(grant)
}

/// Refuses one more grant on an entity that has enough.
pub(super) fn check_room(held: usize, more: usize, url: &str) -> Result<(), Error> {
    if held + more > GRANTS { Err(TooManyGrants { what: url.to_owned() }.into()) } else { Ok(()) }
}

/// Writes a new grant and has it reach what it can at once.
pub(super) fn add(tx: &Tx<'_>, entity: &EntityRow, grant: &mut EntityGrant) -> Result<(), SqlError> {
    grant.place = grant.descendants.then_some(Place { at: entity.id, after: 0 });
    tx.insert_entity_grant(grant)?;
    if let Some(end) = grant.held.expires_at {
        tx.arm(end.max(grant.created_at), TimerKind::GrantEnds, grant.id)?;
    }
    reach(tx, grant, entity)?;
    if grant.descendants { spread(tx, grant) } else { Ok(()) }
}

/// A grant ends: it was revoked, or its time is over.
pub(super) fn end(tx: &Tx<'_>, grant: &EntityGrant) -> Result<(), SqlError> {
    tx.end_grant(grant.id)?;
    if let Some(end) = grant.held.expires_at {
        tx.disarm(end.max(grant.created_at), TimerKind::GrantEnds, grant.id)?;
    }
    sweep(tx, grant)
}

/// The time of a grant is over.
pub(crate) fn expire(tx: &Tx<'_>, id: i64) -> Result<(), SqlError> {
    match tx.entity_grant(id)?.filter(|grant| !grant.ended) {
        Some(grant) => end(tx, &grant),
        None => tx.delete_type_grant(id),
    }
}

/// Goes on with a grant that has not been everywhere.
pub(crate) fn go_on(tx: &Tx<'_>, id: i64) -> Result<(), SqlError> {
    match tx.entity_grant(id)? {
        Some(grant) if grant.ended => sweep(tx, &grant),
        Some(mut grant) => spread(tx, &mut grant),
        None => Ok(()),
    }
}

/// Reaches the next entities below.
fn spread(tx: &Tx<'_>, grant: &mut EntityGrant) -> Result<(), SqlError> {
    let Some(mut place) = grant.place else { return Ok(()) };
    let mut left = tx.config.fan_out;
    while left > 0 {
        let children = tx.children_after(place.at, place.after, left)?;
        for child in &children.rows {
            reach(tx, grant, child)?;
            place.after = child.id;
        }
        left -= children.rows.len();
        if children.more {
            continue;
        }
        // Those were its last children.
        let Some(next) = tx.reached_by(grant.id, place.at, 1)?.pop() else {
            grant.place = None;
            return tx.move_grant(grant.id, None);
        };
        place = Place { at: next, after: 0 };
        left -= 1;
    }
    grant.place = Some(place);
    tx.move_grant(grant.id, grant.place)?;
    tx.arm(tx.now, TimerKind::GrantSpreads, grant.id)
}

/// One that is over reaches nobody, so nobody is told that they lost what it gave.
fn reach(tx: &Tx<'_>, grant: &EntityGrant, entity: &EntityRow) -> Result<(), SqlError> {
    if grant.held.expires_at.is_some_and(|end| end <= tx.now) {
        return Ok(());
    }
    tx.insert_effective(entity.id, grant.id)?;
    if grant.held.permission.allows(Permission::Read) { members::changed(tx, entity) } else { Ok(()) }
}

/// Takes the rows of a grant that has ended away, and what followed from them.
fn sweep(tx: &Tx<'_>, grant: &EntityGrant) -> Result<(), SqlError> {
    let chunk = tx.reached_by(grant.id, 0, tx.config.fan_out)?;
    let mut forgotten = 0;
    for id in &chunk {
        tx.delete_effective(*id, grant.id)?;
        if grant.held.permission.allows(Permission::Read)
            && let Some(entity) = tx.entity_by_id(*id)?
        {
            forgotten += lost(tx, &grant.held.subject, &entity)?;
        }
        if forgotten > REGISTRATIONS {
            break;
        }
    }
    if chunk.len() < tx.config.fan_out && forgotten <= REGISTRATIONS {
        return tx.delete_entity_grant(grant.id);
    }
    tx.arm(tx.now, TimerKind::GrantSpreads, grant.id)
}
