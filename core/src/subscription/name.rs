//! Naming a subscription, and what refuses whoever may not.

use crate::http::{Call, Error, Refusal, canonical_path, failure};
use crate::store::{Read, SubscriptionRow};
use crate::tenant::Principal;

failure! {
    /// There is no such subscription, or none that this route serves.
    SubscriptionNotFound { id: String } => NOT_FOUND "SUBSCRIPTION_NOT_FOUND", "there is no subscription `{id}`"
}

failure! {
    /// The request asks for something that cannot be.
    InvalidRequest { why: String } => BAD_REQUEST "INVALID_REQUEST", "{why}"
}

failure! {
    /// Somebody else made it.
    NotTheOwners { id: String } => UNAUTHORIZED "UNAUTHORIZED", "Principal is not allowed to use subscription {id}"
}

failure! {
    /// Only a pull-wake subscription is claimed.
    NotPullWake => BAD_REQUEST "INVALID_REQUEST", "Subscription is not pull-wake"
}

failure! {
    /// It follows an entity, by that entity's policy.
    Dispatches { id: String } => CONFLICT "INVALID_REQUEST",
    "`{id}` dispatches an entity: change the entity's policy instead, and claim through its runner"
}

/// The id in the path.
pub(super) fn id<S>(call: &Call<'_, S>) -> Result<String, Refusal> {
    call.decoded("id")
}

/// The client's subscription that the path names, which `by` may use.
pub(super) fn own(read: &Read<'_>, by: &Principal, id: &str) -> Result<SubscriptionRow, Error> {
    let Some(subscription) = read.plain_by_name(id)? else {
        return Err(match read.dispatch_by_name(id)? {
            Some(_) if by.is_system() => Dispatches { id: id.to_owned() }.into(),
            _ => SubscriptionNotFound { id: id.to_owned() }.into(),
        });
    };
    check_owner(read, by, &subscription)?;
    Ok(subscription)
}

/// Refuses who did not make a subscription; the system may use all.
pub(super) fn check_owner(read: &Read<'_>, by: &Principal, subscription: &SubscriptionRow) -> Result<(), Error> {
    let owns = by.is_system() || read.asked(subscription.id)?.is_some_and(|asked| asked.owner == by.url());
    if owns { Ok(()) } else { Err(NotTheOwners { id: subscription.name.clone() }.into()) }
}

/// The path of a stream from what a request calls it: without slashes around it, and as a URL's parser would leave it.
pub(super) fn path(given: &str) -> String {
    let path = format!("/{}", given.trim().trim_matches('/'));
    format!("/{}", canonical_path(&path).trim_matches('/'))
}

/// What the wire calls the stream at a path.
pub(super) fn relative(path: &str) -> &str {
    path.strip_prefix('/').unwrap_or(path)
}

pub(super) fn invalid(why: impl Into<String>) -> Refusal {
    InvalidRequest { why: why.into() }.into()
}
