//! Acknowledgements: how far each stream of a wake has been dealt with (stream protocol, section 9.8).

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::Value as Json;

use super::name::path;
use super::show::all_links;
use crate::http::{Body, Error, Refusal};
use crate::store::{Seen, SqlError, SubscriptionRow, Tx};
use crate::stream::Offset;

/// A stream as the body names it, and the offset up to which it is done; `None` for a text that is no offset.
pub(crate) type Ack = (String, Option<Offset>);

/// The acknowledgements of a body. A text that is no offset lies before every stream.
pub(crate) fn acks(body: &Body<'_>) -> Vec<Ack> {
    let Some(list) = body.json("acks").filter(|acks| !acks.is_null()) else { return Vec::new() };
    let Some(list) = list.as_array() else {
        body.complain("/acks".to_owned(), "must be array");
        return Vec::new();
    };
    let mut acks = Vec::new();
    for (i, ack) in list.iter().enumerate() {
        let named = ack.get("stream").or(ack.get("path")).and_then(Json::as_str);
        let offset = ack.get("offset").and_then(Json::as_str).map(Offset::parse);
        match (named, offset) {
            (Some(named), Some(offset)) => acks.push((named.to_owned(), offset)),
            (None, _) => body.complain(format!("/acks/{i}"), "must have required property 'path'"),
            (_, None) => body.complain(format!("/acks/{i}/offset"), "must be string"),
        }
    }
    acks
}

/// Acknowledges streams of a subscription, all or none: never backwards, never past the tail. What the wake in flight
/// brought and is no longer followed, or has been deleted and made again, is passed over.
pub(crate) fn acknowledge(tx: &Tx<'_>, subscription: &SubscriptionRow, acks: &[Ack]) -> Result<(), Error> {
    if acks.is_empty() {
        return Ok(());
    }
    let links = all_links(tx, subscription)?;
    let mut cursors: BTreeMap<_, _> = links.iter().map(|l| (l.path.as_str(), (l, l.acked))).collect();
    let seen = tx.seen(subscription.id)?;
    let brought: BTreeMap<&str, i64> = seen.iter().filter_map(Seen::named).collect();
    for (named, offset) in acks {
        // As the wake told it; or, since a path may have slashes of its own, with more or fewer around it.
        let told =
            Some(format!("/{named}")).filter(|p| cursors.contains_key(p.as_str()) || brought.contains_key(p.as_str()));
        let path = told.unwrap_or_else(|| path(named));
        let (cursor, was) = (cursors.get_mut(path.as_str()), brought.get(path.as_str()));
        let Some((link, acked)) = cursor.filter(|(link, _)| was.is_none_or(|was| link.stream == Some(*was))) else {
            if was.is_some() {
                continue;
            }
            return Err(out_of_place(&path));
        };
        let Some(offset) = offset.filter(|o| acked.is_none_or(|acked| acked <= *o) && *o <= link.tail) else {
            return Err(out_of_place(&path));
        };
        if let Some(stream) = link.stream.filter(|_| *acked != Some(offset)) {
            tx.acknowledge(stream, subscription.id, offset)?;
        }
        *acked = Some(offset);
    }
    Ok(())
}

/// Acknowledges everything that was there when the wake in flight began.
pub(super) fn acknowledge_seen(tx: &Tx<'_>, subscription: &SubscriptionRow) -> Result<(), SqlError> {
    let links = tx.links(subscription.id)?;
    let cursors: BTreeMap<_, _> = links.iter().filter_map(|l| Some((l.stream?, l.acked))).collect();
    for seen in tx.seen(subscription.id)? {
        let (Seen::Named(stream, tail, _) | Seen::Bare(stream, tail)) = seen;
        let tail = Offset::at(tail);
        if cursors.get(&stream).is_some_and(|acked| acked.is_none_or(|acked| acked < tail)) {
            tx.acknowledge(stream, subscription.id, tail)?;
        }
    }
    Ok(())
}

fn out_of_place(path: &str) -> Error {
    let message = format!("an acknowledgement of `{path}` must lie between what is acknowledged and its tail");
    Refusal::new(StatusCode::CONFLICT, "INVALID_OFFSET", message).into()
}
