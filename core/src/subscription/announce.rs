//! Announcing a wake: a signed webhook, or an event on the runner's wake stream. Either is a row before it leaves.

use percent_encoding::utf8_percent_encode;
use serde::Serialize;
use serde_json::json;

use super::name::relative;
use super::show::{Info, all_links};
use super::wake::state;
use super::{compact, token, wake};
use crate::dispatch::journal::{self, step};
use crate::dispatch::machine::{Action, Event, Facts, step as decide};
use crate::dispatch::{dead, enrich, status};
use crate::effect::{EffectId, Fetch, Fetched};
use crate::egress;
use crate::limits::{ANSWER, DELIVERIES, FETCH_SLACK, FETCH_TIME, REMIND};
use crate::schedule::backoff;
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
                    next_attempt(subscription);
                    return failed(tx, subscription, &refused.to_string(), None);
                }
                Ok(()) if is_tired(subscription) => return failed(tx, subscription, "no answer came", None),
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
    again_at(tx, subscription, again)
}

/// An announcement failed: it comes again, or was once too often. The row is the caller's to write.
pub(super) fn failed(
    tx: &Tx<'_>,
    subscription: &mut SubscriptionRow,
    why: &str,
    answer: Option<&Fetched>,
) -> Result<(), SqlError> {
    subscription.error = Some(step::cut(why).to_owned());
    let attempt = subscription.wake.as_ref().map_or(0, |w| w.attempt);
    let event = Event::DeliveryFailed { last: is_tired(subscription) };
    match decide(state(subscription), event, Facts::OPEN).1 {
        Action::Bury => give_up(tx, subscription, why, answer),
        Action::Retry => {
            let again = tx.now + jittered(tx, attempt);
            journal::note(subscription, step::retried(tx, attempt, why, again))?;
            again_at(tx, subscription, again)
        }
        _ => Ok(()),
    }
}

/// Gives up the wake in flight, if there is one: it is a dead letter until somebody takes it back. The row is the
/// caller's to write.
fn give_up(
    tx: &Tx<'_>,
    subscription: &mut SubscriptionRow,
    why: &str,
    answer: Option<&Fetched>,
) -> Result<(), SqlError> {
    let Some(wake) = subscription.wake.take() else { return Ok(()) };
    subscription.serving = 0;
    // Nobody held it, so that its entity cannot be one that stops when its claim ends.
    status::released(tx, wake.trigger)?;
    dead::bury(tx, subscription, wake.trigger, (&wake.id, wake.attempt), (why, answer))
}

fn again_at(tx: &Tx<'_>, subscription: &mut SubscriptionRow, again: Time) -> Result<(), SqlError> {
    if let Some(wake) = &mut subscription.wake {
        wake.due_at = Some(again);
    }
    arm(tx, subscription, again)
}

/// Whether a dispatch has been delivered as often as it is; a client's own subscription never tires.
fn is_tired(subscription: &SubscriptionRow) -> bool {
    !subscription.plain && subscription.wake.as_ref().is_some_and(|w| w.attempt >= DELIVERIES)
}

/// The backoff of an attempt, up to a fifth more or less.
fn jittered(tx: &Tx<'_>, attempt: i64) -> Span {
    let base = backoff(attempt).as_millis();
    let fifth = base / 5;
    let jitter = i64::try_from(tx.draw.below(u64::try_from(2 * fifth + 1).unwrap_or(1))).unwrap_or(0);
    Span::millis(base - fifth + jitter)
}

/// Sees that the subscription's timer fires at `at` or before. A timer that is due earlier arms itself again.
pub(super) fn arm(tx: &Tx<'_>, subscription: &mut SubscriptionRow, at: Time) -> Result<(), SqlError> {
    match subscription.timer_at {
        // A place in line is before any clock, and comes nobody knows when: nothing that is due by the clock waits for it.
        Some(armed) if armed <= at && (armed >= Time::LINE || at < Time::LINE) => return Ok(()),
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
    let emitted = step::emitted(tx, &subscription.kind, attempt);
    journal::note(subscription, emitted)?;
    tx.fetch(Fetch {
        id: EffectId::Delivery { subscription: subscription.id, generation: subscription.generation, attempt },
        method: http::Method::POST,
        url,
        headers: vec![("content-type", "application/json".to_owned()), ("webhook-signature", signature)],
        body,
        wanted: &[],
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
            let emitted = step::emitted(tx, &subscription.kind, attempt);
            journal::note(subscription, emitted)?;
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
        (Owner::Members(_) | Owner::Shape(..) | Owner::State(_) | Owner::Server | Owner::Ingress { .. }, _) => {
            return Ok(Err(format!("the wake stream `{path}` is the server's")));
        }
        (Owner::Attachment(_), _) => return Ok(Err(format!("the wake stream `{path}` is an attachment's"))),
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
