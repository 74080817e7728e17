//! What a new entity is given: what its parent's grants say of children, and what its spawner asks for (control plane,
//! section 4.3).

use super::spread::{add, check_room, give};
use super::{Asked, TooManyGrants};
use crate::http::Error;
use crate::limits::FROM_ABOVE;
use crate::store::{EntityGrant, EntityRow, Tx};
use crate::tenant::Principal;

/// Puts an entity that is being spawned under the grants that reach it.
pub(crate) fn bestow(
    tx: &Tx<'_>,
    by: &Principal,
    parent: Option<&EntityRow>,
    entity: &EntityRow,
    asked: &[Asked],
) -> Result<(), Error> {
    let copies = match parent {
        Some(parent) => copied(tx, by, parent, entity)?,
        None => Vec::new(),
    };
    check_room(copies.len(), asked.len(), &entity.url)?;
    if let Some(parent) = parent {
        inherit(tx, parent, entity)?;
    }
    for mut copy in copies {
        add(tx, entity, &mut copy)?;
    }
    for grant in asked {
        give(tx, by, entity, grant)?;
    }
    Ok(())
}

/// Puts a new entity under the grants that reach what is below its parent.
pub(crate) fn inherit(tx: &Tx<'_>, parent: &EntityRow, entity: &EntityRow) -> Result<(), Error> {
    let above = tx.grants_from_above(parent.id, FROM_ABOVE + 1)?;
    if above.len() > FROM_ABOVE {
        return Err(TooManyGrants { what: entity.url.clone() }.into());
    }
    above.into_iter().try_for_each(|grant| Ok(tx.insert_effective(entity.id, grant)?))
}

/// The copies that a child is given of the grants on its parent that say so.
fn copied(tx: &Tx<'_>, by: &Principal, parent: &EntityRow, child: &EntityRow) -> Result<Vec<EntityGrant>, Error> {
    let all = tx.grants_on_entity(parent.id)?;
    let copies = all.into_iter().filter(|grant| grant.copies && grant.held.holds(tx.now));
    let copy = |grant: EntityGrant| EntityGrant {
        id: tx.next_id(),
        entity: child.id,
        descendants: false,
        created_by: Some(by.url()),
        created_at: tx.now,
        ..grant
    };
    Ok(copies.map(copy).collect())
}
