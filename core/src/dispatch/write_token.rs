//! Write tokens: given out by a claim, stored hashed with it, checked in the transaction of the append.

use http::StatusCode;
use sha2::{Digest, Sha256};

use crate::http::{Error, failure};
use crate::store::{EntityRow, SubscriptionRow, Tx};
use crate::stream::{Cause, Class};

failure! {
    /// No claim, or not the one that lives, wrote this.
    InvalidWriteToken => UNAUTHORIZED "UNAUTHORIZED", "Invalid write token"
}

/// What is stored of a token.
pub(crate) fn hash(token: &str) -> Vec<u8> {
    Sha256::digest(token).to_vec()
}

/// Gives out a new token for the entity of `stream` under the wake in flight, and forgets the one before. The row is the
/// caller's to write.
pub(crate) fn mint(tx: &Tx<'_>, subscription: &mut SubscriptionRow, stream: i64) -> Option<String> {
    let wake = subscription.wake.as_mut()?;
    let token = tx.draw.uuid();
    wake.claimed = Some(stream);
    wake.write_hash = Some(hash(&token));
    Some(token)
}

/// Whether a token may write to an entity's stream now; if so, what an append under it is caused by.
pub(crate) fn check(tx: &Tx<'_>, entity: &EntityRow, token: Option<&str>) -> Result<Cause<'static>, Error> {
    let given = hash(token.ok_or(InvalidWriteToken)?);
    let holder = tx.subscriptions_of(entity.id)?.into_iter().find(|s| opens(s, entity.id, &given));
    let Some(subscription) = holder else { return Err(InvalidWriteToken.into()) };
    let depth = subscription.serving.max(subscription.depth) + 1;
    Ok(Cause { author: Some(entity.id), depth, ..Cause::outside(Class::Any) })
}

/// Whether the hash of a token is that of the live claim on the entity's stream. Hashes are compared, so how long it
/// takes says nothing about the token.
fn opens(subscription: &SubscriptionRow, stream: i64, given: &[u8]) -> bool {
    subscription
        .wake
        .as_ref()
        .is_some_and(|w| w.held && w.claimed == Some(stream) && w.write_hash.as_deref() == Some(given))
}

/// The cause of what is sent in an agent's name: its own claim's, when the token is valid.
pub(crate) fn cause_of(tx: &Tx<'_>, agent: &EntityRow, token: &str) -> Result<Option<Cause<'static>>, Error> {
    match check(tx, agent, Some(token)) {
        Ok(cause) => Ok(Some(cause)),
        Err(Error::Refused(refusal)) if refusal.status == StatusCode::UNAUTHORIZED => Ok(None),
        Err(error) => Err(error),
    }
}
