//! What is forked together: an entity and those below it, parents before their children.

use super::TooLarge;
use crate::http::Error;
use crate::limits::{FORK_ARGS, FORK_ENTITIES};
use crate::store::{EntityRow, Tx};

/// An entity and everything below it.
pub(super) fn whole(tx: &Tx<'_>, root: EntityRow) -> Result<Vec<EntityRow>, Error> {
    descend(tx, vec![root], 0)
}

/// An entity and everything below these of its children.
pub(super) fn chosen(tx: &Tx<'_>, root: EntityRow, children: &[String]) -> Result<Vec<EntityRow>, Error> {
    let mut all = vec![root];
    for url in children {
        add(&mut all, tx.entity(url)?)?;
    }
    descend(tx, all, 1)
}

/// Adds what is below the entities of a list from the one at `next` on.
fn descend(tx: &Tx<'_>, mut all: Vec<EntityRow>, mut next: usize) -> Result<Vec<EntityRow>, Error> {
    while let Some(parent) = all.get(next).map(|entity| entity.id) {
        let (mut after, mut more) = (0, true);
        while more {
            let page = tx.children_after(parent, after, FORK_ENTITIES)?;
            after = page.rows.last().map_or(after, |last| last.id);
            more = page.more;
            add(&mut all, page.rows)?;
        }
        next += 1;
    }
    Ok(all)
}

fn add(all: &mut Vec<EntityRow>, more: impl IntoIterator<Item = EntityRow>) -> Result<(), TooLarge> {
    all.extend(more);
    if all.len() > FORK_ENTITIES {
        let what = format!("it would be more than {FORK_ENTITIES} entities");
        return Err(TooLarge { url: all[0].url.clone(), what });
    }
    if all.iter().map(|entity| entity.args.len() + entity.tags.len()).sum::<usize>() > FORK_ARGS {
        let what = format!("their arguments and tags are more than {FORK_ARGS} bytes");
        return Err(TooLarge { url: all[0].url.clone(), what });
    }
    Ok(())
}
