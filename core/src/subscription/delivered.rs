//! The outcome of a webhook delivery.

use super::ack::acknowledge_seen;
use super::announce::arm;
use super::lease::{end, hold};
use crate::dispatch::status;
use crate::effect::{EffectId, Fetched};
use crate::schedule::backoff;
use crate::store::{SqlError, SubscriptionRow, Tx};
use crate::time::{Span, Time};

/// Takes an outcome: leased when the agent took it, finished when it says `{"done":true}`, tried again otherwise. An
/// outcome of a wake or an attempt that is no longer current changes nothing.
pub(crate) fn delivered(tx: &Tx<'_>, effect: &EffectId, result: &Fetched) -> Result<(), SqlError> {
    let EffectId::Delivery { subscription, generation, attempt } = effect else { return Ok(()) };
    let Some(mut subscription) = tx.subscription(*subscription)? else { return Ok(()) };
    let Some(wake) =
        subscription.wake.as_ref().filter(|w| subscription.generation == *generation && w.attempt == *attempt)
    else {
        return Ok(());
    };
    let trigger = wake.trigger;
    match result {
        Ok(answer) if (200..300).contains(&answer.status) && says_done(&answer.body) => {
            acknowledge_seen(tx, &subscription)?;
            subscription.error = None;
            end(tx, &mut subscription)?;
            return Ok(());
        }
        Ok(answer) if (200..300).contains(&answer.status) => {
            subscription.error = None;
            if !wake.held {
                hold(tx, &mut subscription, None)?;
                if !subscription.plain {
                    status::claimed(tx, trigger)?;
                }
            }
        }
        // The agent called back before its endpoint failed: its claim decides now.
        _ if wake.held => return Ok(()),
        failure => {
            let why = match failure {
                Ok(answer) => &format!("the webhook answered {}", answer.status),
                Err(why) => why,
            };
            let again = failed(tx, &mut subscription, *attempt, why);
            if let Some(wake) = &mut subscription.wake {
                wake.due_at = Some(again);
            }
            arm(tx, &mut subscription, again)?;
        }
    }
    tx.update_subscription(&subscription)
}

/// Notes why an attempt failed, and says when the next one is due.
pub(super) fn failed(tx: &Tx<'_>, subscription: &mut SubscriptionRow, attempt: i64, why: &str) -> Time {
    subscription.error = Some(why.chars().take(500).collect());
    tx.now + jittered(tx, attempt)
}

/// A JSON object whose `done` is the boolean `true`.
fn says_done(body: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(body)
        .is_ok_and(|v| v.get("done") == Some(&serde_json::Value::Bool(true)))
}

/// The backoff of an attempt, up to a fifth more or less.
fn jittered(tx: &Tx<'_>, attempt: i64) -> Span {
    let base = backoff(attempt).as_millis();
    let fifth = base / 5;
    let jitter = i64::try_from(tx.draw.below(u64::try_from(2 * fifth + 1).unwrap_or(1))).unwrap_or(0);
    Span::millis(base - fifth + jitter)
}
