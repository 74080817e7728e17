//! Webhook sources: what a host takes in from others by webhooks, and writes to streams of ours, where agents observe it
//! (wake specification, section 8; control plane, sections 10.13 and 11). The catalogue of them is the host's; an entity
//! subscribes to a source, or to a bucket of it, through a filter if need be and for a while if need be.

mod catalogue;
mod lapse;
mod list;
mod resolve;
mod subscribe;

pub use catalogue::{BadCatalogue, Bucket, Catalogue, Contract, Filter, Status};
pub(crate) use lapse::{arm, due};
pub(crate) use list::list;
pub(crate) use resolve::{FilterName, filter};
pub(crate) use subscribe::{subscribe, unsubscribe};

use crate::config::Config;

/// Where the streams of webhook sources stand.
const PREFIX: &str = "/_webhooks/";

/// Whether a path is one at which what comes by webhooks is written.
pub(crate) fn is_ingress(path: &str) -> bool {
    path.starts_with(PREFIX)
}

/// Whether everybody may read what comes by webhooks at a path: where there is a catalogue, when it shows the source.
pub(crate) fn is_shown(config: &Config, path: &str) -> bool {
    let endpoint = path.strip_prefix(PREFIX).and_then(|rest| rest.split('/').next()).unwrap_or("");
    let shows = |catalogue: &Catalogue| {
        let mut there = catalogue.at(endpoint).peekable();
        there.peek().is_some() && there.all(Contract::is_shown)
    };
    config.webhook_sources.as_ref().is_none_or(shows)
}
