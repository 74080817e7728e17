//! Announcing a wake: a signed webhook, or an event on the runner's wake stream. Either is a row before it leaves.

use percent_encoding::utf8_percent_encode;
use serde::Serialize;
use serde_json::json;

use super::name::relative;
use super::show::{Info, all_links};
use super::{compact, delivered, token, wake};
use crate::dispatch::enrich;
use crate::effect::{EffectId, Fetch};
use crate::egress;
use crate::limits::{ANSWER, FETCH_SLACK, FETCH_TIME, REMIND};
use crate::store::{Kind, Link, SqlError, StreamRow, SubscriptionRow, TimerKind, Tx};
use crate::stream::{Cause, Content, Owner, compact as json_text, make_wake_stream, write};
use crate::tenant::principal::COMPONENT;
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
                Ok(()) if !tx.take_slot() => tx.place_in_line(),
                Ok(()) => deliver(tx, subscription, links, url)?,
            }
        }
        Kind::Runner { runner } => {
            let path = tx.runner(runner)?.map(|r| r.wake_stream);
            notice(tx, subscription, links, path.as_deref())?
        }
        Kind::Stream { path } => {
            let path = path.clone();
            notice(tx, subscription, links, Some(&path))?
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
    let body = if subscription.plain { body(tx, subscription)? } else { enrich::webhook(tx, subscription, links)? };
    let body = body.into_bytes();
    let signature = tx.keys.ring.signer(tx.now).sign(tx.now, &body);
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

/// What a plain webhook carries: the wake, and every stream of the subscription (stream protocol, section 9.7).
fn body(tx: &Tx<'_>, subscription: &SubscriptionRow) -> Result<String, SqlError> {
    let wake = subscription.wake.as_ref().map_or("", |w| w.id.as_str());
    let name = utf8_percent_encode(&subscription.name, COMPONENT);
    let links = all_links(tx, subscription)?;
    let body = Webhook {
        subscription_id: &subscription.name,
        wake_id: wake,
        generation: subscription.generation,
        streams: links.iter().map(Info::of).collect(),
        callback_url: format!("{}/__ds/subscriptions/{name}/callback", tx.root_url()?),
        callback_token: token::mint(tx.keys, wake, subscription.generation),
    };
    Ok(serde_json::to_string(&body).expect("our own values serialise"))
}

#[derive(Serialize)]
struct Webhook<'a> {
    subscription_id: &'a str,
    wake_id: &'a str,
    generation: i64,
    streams: Vec<Info<'a>>,
    callback_url: String,
    callback_token: String,
}

/// Writes the event on the wake stream; while nobody claims the wake, it is written again, ever more seldom.
fn notice(
    tx: &Tx<'_>,
    subscription: &mut SubscriptionRow,
    links: &[Link],
    path: Option<&str>,
) -> Result<Time, SqlError> {
    let attempt = next_attempt(subscription);
    let doublings = u32::try_from((attempt - 1).clamp(0, 10)).unwrap_or(0);
    let patience = Span::millis(subscription.lease.as_millis().saturating_mul(1 << doublings).min(REMIND.as_millis()));
    let trigger = subscription.wake.as_ref().map(|w| w.trigger);
    let about = links.iter().find(|l| l.stream == trigger).or_else(|| wake::primary(links));
    match path.map(|path| wake_stream(tx, path, &subscription.kind)).transpose()? {
        Some(Ok(mut stream)) => {
            let event = json_text(&json!({
                "type": "wake",
                "subscription_id": subscription.name,
                "stream": about.map_or("", |l| relative(&l.path)),
                "generation": subscription.generation,
                "ts": tx.now,
            }));
            let end = write(tx, &mut stream, &Content::Json(vec![&event]), Cause::notice())?;
            subscription.error = None;
            let before = subscription.wake.as_mut().and_then(|wake| wake.announced.replace(end));
            if let (Some(before), Kind::Runner { runner }) = (before, &subscription.kind) {
                compact::forget(tx, runner, before)?;
            }
        }
        Some(Err(why)) => subscription.error = Some(why),
        None => subscription.error = Some("its runner is gone".to_owned()),
    }
    Ok(tx.now + patience)
}

/// The stream on which wakes are announced, made when it does not exist; or why it cannot be written.
fn wake_stream(tx: &Tx<'_>, path: &str, kind: &Kind) -> Result<Result<StreamRow, String>, SqlError> {
    match (Owner::of(tx, path)?, kind) {
        (Owner::Nobody, _) | (Owner::Runner(_), Kind::Runner { .. }) => {}
        (Owner::Runner(_), _) => return Ok(Err(format!("the wake stream `{path}` is a runner's"))),
        (Owner::Entity(_), _) => return Ok(Err(format!("the wake stream `{path}` is an entity's"))),
    }
    Ok(match tx.stream(path)? {
        None => Ok(make_wake_stream(tx, path)?),
        Some(stream) if stream.deleted || stream.lifetime.is_over(tx.now) => {
            Err(format!("the wake stream `{path}` was deleted"))
        }
        Some(stream) if stream.closed => Err(format!("the wake stream `{path}` is closed")),
        Some(stream) if !stream.is_json() => Err(format!("the wake stream `{path}` holds no JSON")),
        Some(stream) => Ok(stream),
    })
}

fn next_attempt(subscription: &mut SubscriptionRow) -> i64 {
    subscription.wake.as_mut().map_or(0, |wake| {
        wake.attempt += 1;
        wake.attempt
    })
}
