//! Following: which streams a subscription is linked to, as they come (stream protocol, section 9.3).

use super::glob::{Matcher, matches, prefix};
use super::name::invalid;
use crate::http::{Error, is_stream};
use crate::limits::LINKS;
use crate::observe::asleep;
use crate::store::{Kind, Reasons, SqlError, StreamRow, SubscriptionRow, Tx};
use crate::stream::{Offset, Owner};
use crate::tenant::Principal;

/// Follows a stream that a client asked for, from its tail on; one that does not exist yet is awaited.
pub(super) fn explicitly(tx: &Tx<'_>, by: &Principal, subscription: &SubscriptionRow, path: &str) -> Result<(), Error> {
    check_path(tx, path)?;
    if is_own_wake_stream(subscription, path) {
        return Err(invalid("a subscription cannot follow its own wake stream").into());
    }
    Owner::of(tx, path)?.check_read(tx, by, path)?;
    match tx.live_stream(path)? {
        Some(stream) => tx.insert_link(stream.id, subscription.id, Some(stream.tail), Reasons::EXPLICIT)?,
        None => tx.await_path(path, subscription.id)?,
    }
    asleep::is_observed(tx, path)
}

/// Refuses a path at which no stream can stand.
pub(super) fn check_path(tx: &Tx<'_>, path: &str) -> Result<(), Error> {
    if is_stream(tx.config, path) { Ok(()) } else { Err(invalid(format!("there can be no stream at `{path}`")).into()) }
}

/// Follows each existing stream that matches a new pattern, from its tail on.
pub(super) fn existing(
    tx: &Tx<'_>,
    by: &Principal,
    subscription: &SubscriptionRow,
    pattern: &str,
) -> Result<(), Error> {
    let below = prefix(pattern);
    let mut after = String::new();
    let mut held = tx.links_held(subscription.id)?;
    loop {
        let page = tx.paths_below(&below, &after, PAGE)?;
        for (id, path) in &page {
            if !matches(pattern, path) || is_own_wake_stream(subscription, path) {
                continue;
            }
            let stream = tx.stream_by_id(*id)?.filter(|s| !s.deleted && !s.lifetime.is_over(tx.now));
            let Some(stream) = stream.filter(|_| may_read(tx, by, path)) else { continue };
            held += 1;
            if held > LINKS {
                return Err(invalid(format!("`{pattern}` matches more than {LINKS} streams")).into());
            }
            tx.insert_link(stream.id, subscription.id, Some(stream.tail), Reasons::GLOB)?;
        }
        match page.last() {
            Some((_, last)) if page.len() == PAGE => after.clone_from(last),
            _ => return Ok(()),
        }
    }
}

/// A stream was created: whoever awaited it follows it, from its start on.
pub(crate) fn has_come(tx: &Tx<'_>, stream: &mut StreamRow) -> Result<(), SqlError> {
    let awaiting = tx.awaiting(&stream.path)?;
    if awaiting.is_empty() {
        return Ok(());
    }
    for (subscription, serial) in awaiting {
        let owner = tx.asked(subscription)?.and_then(|asked| Principal::parse(&asked.owner));
        if owner.is_some_and(|owner| may_read(tx, &owner, &stream.path)) {
            tx.insert_link_at(serial, stream.id, subscription, Some(Offset::ZERO), Reasons::EXPLICIT)?;
            stream.followed = true;
        }
    }
    tx.awaited_has_come(&stream.path)
}

/// The first append to a stream: each pattern that matches follows it, and all that it holds is pending. A stream that
/// was there when the pattern came is linked already.
pub(crate) fn match_patterns(tx: &Tx<'_>, stream: &mut StreamRow) -> Result<(), SqlError> {
    let patterns = tx.patterns()?;
    if patterns.is_empty() {
        return Ok(());
    }
    let path = stream.path.clone();
    let matcher = Matcher::new(&path);
    for row in patterns.into_iter().filter(|row| matcher.matches(&row.pattern)) {
        let (Some(owner), Some(subscription)) = (Principal::parse(&row.owner), tx.subscription(row.subscription)?)
        else {
            continue;
        };
        if is_own_wake_stream(&subscription, &stream.path) || !may_read(tx, &owner, &stream.path) {
            continue;
        }
        if tx.links_held(subscription.id)? >= LINKS {
            let error =
                format!("`{}` follows {LINKS} streams, and no more: `{}` is left out", row.pattern, stream.path);
            tx.update_subscription(&SubscriptionRow { error: Some(error), ..subscription })?;
            continue;
        }
        tx.insert_link(stream.id, subscription.id, None, Reasons::GLOB)?;
        stream.followed = true;
    }
    Ok(())
}

/// A subscription does not wake by its own announcements.
fn is_own_wake_stream(subscription: &SubscriptionRow, path: &str) -> bool {
    matches!(&subscription.kind, Kind::Stream { path: own } if own == path)
}

fn may_read(tx: &Tx<'_>, by: &Principal, path: &str) -> bool {
    Owner::of(tx, path).is_ok_and(|owner| owner.check_read(tx, by, path).is_ok())
}

/// How many paths are looked at together.
const PAGE: usize = 1000;
