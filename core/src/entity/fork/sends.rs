//! What was sent before a fork branched off is not sent again. At a place in the past a row may still schedule a message
//! that its copy has already: the one between a message and the row which says that it was sent, and any before that for
//! a message to somebody below, who is copied as of now.

use std::collections::BTreeMap;

use super::build::Copy;
use super::point::Point;
use crate::store::{SqlError, Tx};
use crate::stream::producer::Accepted;

/// Has each copy know which of the messages that are scheduled for it have come.
pub(super) fn remember(tx: &Tx<'_>, copies: &[Copy], point: Option<&Point>) -> Result<(), SqlError> {
    let by_source: BTreeMap<&str, (usize, &Copy)> =
        copies.iter().enumerate().map(|(n, copy)| (copy.source.url.as_str(), (n, copy))).collect();
    for scheduled in copies.iter().flat_map(|copy| copy.told.scheduled()) {
        let Some((n, target)) = by_source.get(scheduled.target.as_str()) else { continue };
        let has_come = match point {
            Some(_) if *n == 0 => target.told.has_come(&scheduled.producer),
            _ => tx.producer(target.source.id, &scheduled.producer)?.is_some(),
        };
        if has_come {
            tx.write_producer(target.entity.id, &scheduled.producer, Accepted { epoch: 0, seq: 0 })?;
        }
    }
    Ok(())
}
