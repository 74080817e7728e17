//! Announcing a wake: a signed webhook, or an event on the runner's wake stream. Either is a row before it leaves.

use serde_json::json;

use super::{delivered, wake};
use crate::dispatch::enrich;
use crate::effect::{EffectId, Fetch};
use crate::egress;
use crate::limits::{ANSWER, FETCH_SLACK, FETCH_TIME, REMIND};
use crate::store::{Kind, Link, SqlError, SubscriptionRow, TimerKind, Tx};
use crate::stream::{Cause, Class, Content, compact, write};
use crate::time::{Span, Time};

/// Announces the wake in flight, once more if need be, and says when to do so again. The row is the caller's to write.
pub(super) fn announce(tx: &Tx<'_>, subscription: &mut SubscriptionRow, links: &[Link]) -> Result<(), SqlError> {
    let again = match &subscription.kind {
        Kind::Webhook { url } => {
            let url = url.clone();
            match egress::judge(&tx.config.egress, &url) {
                Err(refused) => {
                    let attempt = next_attempt(subscription);
                    delivered::failed(tx, subscription, attempt, &refused.to_string())
                }
                Ok(()) if !tx.take_slot() => Time::ZERO,
                Ok(()) => deliver(tx, subscription, links, url)?,
            }
        }
        Kind::Runner { runner } => {
            let runner = runner.clone();
            notice(tx, subscription, links, &runner)?
        }
    };
    if let Some(wake) = &mut subscription.wake {
        wake.due_at = Some(again);
    }
    arm(tx, subscription, again)
}

/// Sees that the subscription's timer fires at `at` or before. A timer that is due earlier arms itself again.
pub(super) fn arm(tx: &Tx<'_>, subscription: &mut SubscriptionRow, at: Time) -> Result<(), SqlError> {
    match subscription.timer_at {
        Some(armed) if armed <= at => return Ok(()),
        Some(armed) => tx.disarm(armed, TimerKind::Subscription, subscription.id)?,
        None => {}
    }
    subscription.timer_at = Some(at);
    tx.arm(at, TimerKind::Subscription, subscription.id)
}

/// Sends the webhook; a lost outcome repeats it.
fn deliver(tx: &Tx<'_>, subscription: &mut SubscriptionRow, links: &[Link], url: String) -> Result<Time, SqlError> {
    let body = enrich::webhook(tx, subscription, links)?.to_string().into_bytes();
    let signature = tx.keys.signer.sign(tx.now, &body);
    let attempt = next_attempt(subscription);
    tx.fetch(Fetch {
        id: EffectId::Delivery { subscription: subscription.id, generation: subscription.generation, attempt },
        method: http::Method::POST,
        url,
        headers: vec![("content-type", "application/json".to_owned()), ("webhook-signature", signature)],
        body,
        time_limit: FETCH_TIME,
        size_limit: ANSWER,
    });
    Ok(tx.now + FETCH_TIME + FETCH_SLACK)
}

/// Writes the event on the runner's wake stream; while nobody claims it, it is written again, ever more seldom.
fn notice(tx: &Tx<'_>, subscription: &mut SubscriptionRow, links: &[Link], runner: &str) -> Result<Time, SqlError> {
    let attempt = next_attempt(subscription);
    let doublings = u32::try_from((attempt - 1).clamp(0, 10)).unwrap_or(0);
    let patience = Span::millis(subscription.lease.as_millis().saturating_mul(1 << doublings).min(REMIND.as_millis()));
    let about = wake::primary(links).map_or("", |l| l.path.trim_start_matches('/'));
    if let Some(runner) = tx.runner(runner)?
        && let Some(stream) = tx.stream(&runner.wake_stream)?
    {
        let event = compact(&json!({
            "type": "wake",
            "subscription_id": subscription.name,
            "stream": about,
            "generation": subscription.generation,
            "ts": tx.now,
        }));
        write(tx, &stream, &Content::Json(vec![&event]), Cause::outside(Class::Named))?;
    }
    Ok(tx.now + patience)
}

fn next_attempt(subscription: &mut SubscriptionRow) -> i64 {
    subscription.wake.as_mut().map_or(0, |wake| {
        wake.attempt += 1;
        wake.attempt
    })
}
