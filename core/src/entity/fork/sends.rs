//! What was sent before a fork branched off is not sent again. At a place in the past a row may still schedule a message
//! that its copy has already: the one between a message and the row which says that it was sent, and any before that for
//! a message to somebody below, who is copied as of now.

use super::build::Copy;
use super::remap::Names;
use crate::store::{SqlError, Tx};
use crate::stream::producer::Accepted;

/// Has each copy know which of the messages that are scheduled for it have come. All were copied as they are now, but the
/// first perhaps as it was in the past.
pub(super) fn remember(tx: &Tx<'_>, names: &Names, copies: &[Copy], past: bool) -> Result<(), SqlError> {
    let root = &copies[0].source;
    for copy in copies {
        for scheduled in copy.told.scheduled() {
            let Some(url) = names.url(&scheduled.target) else { continue };
            let has_come = match tx.entity(&scheduled.target)? {
                Some(target) if past && target.id == root.id => {
                    copy.source.id == root.id && copy.told.has_come(&scheduled.producer)
                }
                Some(target) => tx.producer(target.id, &scheduled.producer)?.is_some(),
                None => false,
            };
            if let Some(target) = tx.entity(url)?.filter(|_| has_come) {
                tx.write_producer(target.id, &scheduled.producer, Accepted { epoch: 0, seq: 0 })?;
            }
        }
    }
    Ok(())
}
