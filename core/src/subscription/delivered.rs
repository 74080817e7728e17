//! The outcome of a webhook delivery.

use super::ack::acknowledge_seen;
use super::announce::failed;
use super::lease::{Ending, end, hold};
use crate::dispatch::machine::Event;
use crate::dispatch::status;
use crate::effect::{EffectId, Fetched};
use crate::store::{SqlError, Tx};

/// Takes an outcome: leased when the agent took it, finished when it says `{"done":true}`, tried again otherwise, until
/// that was once too often. An outcome of a wake or an attempt that is no longer current changes nothing.
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
            return end(tx, &mut subscription, Ending::Done).map(drop);
        }
        Ok(answer) if (200..300).contains(&answer.status) => {
            subscription.error = None;
            if hold(tx, &mut subscription, Event::Delivered)? && !subscription.plain {
                status::claimed(tx, trigger)?;
            }
        }
        // The agent called back before its endpoint failed: its claim decides now.
        _ if wake.held => return Ok(()),
        Ok(answer) => {
            failed(tx, &mut subscription, &format!("the webhook answered {}", answer.status), Some(result))?;
        }
        Err(why) => failed(tx, &mut subscription, why, None)?,
    }
    tx.update_subscription(&subscription)
}

/// A JSON object whose `done` is the boolean `true`.
fn says_done(body: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(body)
        .is_ok_and(|v| v.get("done") == Some(&serde_json::Value::Bool(true)))
}
