//! Forks: an entity, and all that is below it, comes to be a second time, with what it has said so far (control plane,
//! section 10.12). It is made in one transaction, so nothing is locked and a fork that fails was never there. What has to be read
//! back for it is read before, in several when it is long.
//!
//! Streams are forked and not copied (`stream/fork.rs`); what names an entity, a shared state or an attachment in a
//! manifest is made to name its copy. What a fork begins with wakes nobody.

mod ask;
mod build;
mod ids;
mod point;
mod reading;
mod reconcile;
mod remap;
mod replay;
mod sends;
mod subtree;
mod wait;

pub(crate) use ask::fork;
pub(crate) use wait::Waiting;

use crate::http::failure;

failure! {
    /// What would have to be copied is more than fits.
    TooLarge { url: String, what: String } => CONFLICT "LIMIT_EXCEEDED", "{url} is too large to be forked: {what}"
}
