//! A wake begins: a stream has moved, and nothing is in flight.

use super::announce::announce;
use crate::limits::{SNAPSHOT, SNAPSHOT_PATHS};
use crate::store::{EntityRow, Link, Seen, SqlError, StreamRow, SubscriptionRow, Tx, WakeInFlight};

/// A stream has moved: each subscription that follows it wakes, or remembers how deep the cause was.
pub(crate) fn moved(tx: &Tx<'_>, stream: &StreamRow, entity: Option<&EntityRow>, depth: i64) -> Result<(), SqlError> {
    let admits = entity.is_none_or(|e| e.status.dispatches());
    for mut subscription in tx.subscriptions_of(stream.id)? {
        if subscription.wake.is_some() || !(admits || subscription.plain) {
            if depth > subscription.depth {
                subscription.depth = depth;
                tx.update_subscription(&subscription)?;
            }
            continue;
        }
        subscription.depth = subscription.depth.max(depth);
        begin(tx, &mut subscription, stream.id)?;
        tx.update_subscription(&subscription)?;
    }
    Ok(())
}

/// A stream may be served again: what is pending for its idle subscriptions wakes them.
pub(crate) fn resume(tx: &Tx<'_>, stream: i64) -> Result<(), SqlError> {
    for mut subscription in tx.dispatches_of(stream)? {
        let pending = tx.links(subscription.id)?.iter().any(|l| l.stream == Some(stream) && l.is_pending());
        if pending && subscription.wake.is_none() {
            begin(tx, &mut subscription, stream)?;
            tx.update_subscription(&subscription)?;
        }
    }
    Ok(())
}

/// Begins a wake of an idle subscription because of the stream `trigger`, and announces it. The row is the caller's to
/// write.
pub(crate) fn begin(tx: &Tx<'_>, subscription: &mut SubscriptionRow, trigger: i64) -> Result<(), SqlError> {
    let links = tx.links(subscription.id)?;
    subscription.generation += 1;
    subscription.serving = std::mem::take(&mut subscription.depth);
    subscription.wake = Some(WakeInFlight {
        id: id(subscription.id, &tx.draw.hex::<7>()),
        trigger,
        snapshot: Some(snapshot(&links)),
        held: false,
        holder: None,
        claimed_at: None,
        heartbeat_at: None,
        lease_until: None,
        attempt: 0,
        announced: None,
        due_at: None,
        claimed: None,
        write_hash: None,
    });
    tx.count(|c| c.dispatches += 1);
    announce(tx, subscription, &links)
}

/// What is pending, as it is stored: with paths while they are short together, else without. What does not fit even so
/// is left out, and stays pending when the wake is done.
fn snapshot(links: &[Link]) -> String {
    let pending = || links.iter().filter(|l| l.is_pending()).filter_map(|l| Some((l.stream?, l.tail.bytes(), &l.path)));
    let seen: Vec<Seen> = if pending().map(|(.., path)| path.len()).sum::<usize>() <= SNAPSHOT_PATHS {
        pending().map(|(stream, tail, path)| Seen::Named(stream, tail, path.clone())).collect()
    } else {
        pending().take(SNAPSHOT).map(|(stream, tail, _)| Seen::Bare(stream, tail)).collect()
    };
    serde_json::to_string(&seen).expect("numbers and texts serialise")
}

/// The stream that a wake is chiefly about: the first with something pending, else the first.
pub(crate) fn primary(links: &[Link]) -> Option<&Link> {
    links.iter().find(|l| l.is_pending()).or_else(|| links.first())
}

/// A wake's id: `w_` and 24 hexadecimal digits. It names its subscription, so that a callback finds it without an index.
fn id(subscription: i64, random: &str) -> String {
    format!("w_{subscription:010x}{random}")
}

/// The subscription that a wake's id names.
pub(crate) fn subscription_of(wake: &str) -> Option<i64> {
    let hex = wake.strip_prefix("w_").filter(|hex| hex.len() == 24)?;
    i64::from_str_radix(hex.get(..10)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_wakes_id_names_its_subscription() {
        assert_eq!(id(254, "0123456789abcd"), "w_00000000fe0123456789abcd");
        assert_eq!(subscription_of("w_00000000fe0123456789abcd"), Some(254));
        for bad in ["", "w_", "w_zz000000fe0123456789abcd", "x_00000000fe0123456789abcd", "w_é0000000fe0123456789abc"]
        {
            assert_eq!(subscription_of(bad), None, "{bad}");
        }
    }
}
