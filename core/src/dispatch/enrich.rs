//! What a delivery carries: the wake, and the entity's context, so that an agent can begin without asking
//! (wake specification, sections 5.2 and 6.4).

use percent_encoding::utf8_percent_encode;
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::entity::raw;
use crate::store::{EntityRow, Link, SqlError, SubscriptionRow, Tx};
use crate::stream::Offset;
use crate::subscription::{primary, token};
use crate::tenant::principal;

/// The body of a webhook: the wake as the stream protocol has it, and the notification that the runtime reads.
pub(crate) fn webhook(tx: &Tx<'_>, subscription: &SubscriptionRow, links: &[Link]) -> Result<String, SqlError> {
    let base = tx.public_url()?;
    let name = utf8_percent_encode(&subscription.name, principal::COMPONENT);
    let wake = subscription.wake.as_ref().map_or("", |w| &w.id);
    let token = token::mint(tx.keys, wake, subscription.generation);
    let seen =
        links.iter().find(|l| l.stream == subscription.wake.as_ref().map(|w| w.trigger)).or_else(|| primary(links));
    let notification = notification(tx, subscription, seen.into_iter(), "inbox")?;
    let body = Webhook {
        subscription_id: &subscription.name,
        wake_id: wake,
        generation: subscription.generation,
        callback_url: format!("{base}/__ds/subscriptions/{name}/callback"),
        callback_token: &token,
        notification,
    };
    Ok(serde_json::to_string(&body).expect("our own values serialise"))
}

/// The answer to a runner's claim.
pub(crate) fn claim(tx: &Tx<'_>, subscription: &SubscriptionRow, links: &[Link]) -> Result<String, SqlError> {
    let notification = notification(tx, subscription, links.iter(), "message_received")?;
    Ok(serde_json::to_string(&notification).expect("our own values serialise"))
}

fn notification<'a>(
    tx: &Tx<'_>,
    subscription: &SubscriptionRow,
    links: impl Iterator<Item = &'a Link>,
    trigger: &'static str,
) -> Result<Notification, SqlError> {
    let wake = subscription.wake.as_ref().map_or("", |w| &w.id);
    let links: Vec<&Link> = links.collect();
    let about = links.iter().find(|l| l.is_pending()).or_else(|| links.first());
    let path = about.map_or(String::new(), |l| l.path.clone());
    let entity = match about {
        Some(Link { stream: Some(stream), .. }) => tx.entity_by_id(*stream)?,
        _ => None,
    };
    Ok(Notification {
        entity: entity.as_ref().map(Context::of),
        principal: entity.as_ref().map(|e| principal::describe(&e.created_by)),
        trigger_event: trigger,
        callback: format!("{}/_electric/wake-callbacks/{wake}", tx.public_url()?),
        consumer_id: wake.to_owned(),
        epoch: subscription.generation,
        wake_id: wake.to_owned(),
        stream_path: path,
        streams: links.iter().map(|l| At { path: l.path.clone(), offset: l.tail }).collect(),
        claim_token: token::mint(tx.keys, wake, subscription.generation),
    })
}

#[derive(Serialize)]
struct Webhook<'a> {
    subscription_id: &'a str,
    wake_id: &'a str,
    generation: i64,
    callback_url: String,
    callback_token: &'a str,
    #[serde(flatten)]
    notification: Notification,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Notification {
    #[serde(skip_serializing_if = "Option::is_none")]
    entity: Option<Context>,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<serde_json::Value>,
    trigger_event: &'static str,
    callback: String,
    consumer_id: String,
    epoch: i64,
    wake_id: String,
    stream_path: String,
    streams: Vec<At>,
    claim_token: String,
}

#[derive(Serialize)]
struct At {
    path: String,
    offset: Offset,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Context {
    r#type: String,
    status: &'static str,
    url: String,
    streams: serde_json::Value,
    tags: Box<RawValue>,
    spawn_args: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sandbox: Option<Box<RawValue>>,
    created_by: String,
}

impl Context {
    fn of(entity: &EntityRow) -> Self {
        Self {
            r#type: entity.kind.clone(),
            status: entity.status.as_str(),
            url: entity.url.clone(),
            streams: json!({ "main": format!("{}/main", entity.url) }),
            tags: raw(&entity.tags),
            spawn_args: raw(&entity.args),
            sandbox: entity.sandbox.as_deref().map(raw),
            created_by: entity.created_by.clone(),
        }
    }
}
