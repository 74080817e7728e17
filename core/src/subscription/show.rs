//! `GET /__ds/subscriptions/{id}`, and how a subscription and its streams look on the wire (stream protocol, section 9.4).

use http::StatusCode;
use serde::Serialize;
use serde_json::Value as Json;

use super::name::{SubscriptionNotFound, check_owner, id, relative};
use crate::engine::Reply;
use crate::http::{Call, Error, Response};
use crate::store::{Kind, Link, PULL_WAKE, Read, SqlError, SubscriptionRow, WEBHOOK};

/// The subscription that the path names. The system also sees those that dispatch entities.
pub(crate) fn show(call: &Call<'_, Read<'_>>) -> Result<Reply, Error> {
    let read = call.store;
    let by = call.by()?;
    let id = id(call)?;
    let subscription = match read.plain_by_name(&id)? {
        Some(plain) => {
            check_owner(read, by, &plain)?;
            plain
        }
        None if by.is_system() => read.dispatch_by_name(&id)?.ok_or(SubscriptionNotFound { id })?,
        None => return Err(SubscriptionNotFound { id }.into()),
    };
    Ok(Reply::Whole(Response::json(StatusCode::OK, &view(read, &subscription)?)))
}

/// A subscription as the wire has it.
#[derive(Serialize)]
pub(super) struct View {
    id: String,
    subscription_id: String,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pattern: Option<String>,
    streams: Vec<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook: Option<Webhook>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wake_stream: Option<String>,
    lease_ttl_ms: i64,
    created_at: String,
    status: &'static str,
    /// How the last announcement failed. Ours: the reference keeps it to itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

#[derive(Serialize)]
struct Webhook {
    url: String,
    signing: Signing,
}

#[derive(Serialize)]
struct Signing {
    alg: &'static str,
    kid: String,
    jwks_url: String,
}

/// A subscription as the wire has it.
pub(super) fn view(read: &Read<'_>, subscription: &SubscriptionRow) -> Result<View, SqlError> {
    let config: Json = match read.asked(subscription.id)? {
        Some(asked) => serde_json::from_str(&asked.config)
            .map_err(|e| SqlError::new(format!("a stored configuration does not parse: {e}")))?,
        None => Json::Null,
    };
    let asked = |name: &str| config.get(name).and_then(Json::as_str).map(str::to_owned);
    let webhook = match &subscription.kind {
        Kind::Webhook { url } => Some(Webhook {
            url: url.clone(),
            signing: Signing {
                alg: "ed25519",
                kid: read.keys()?.ring.signer(read.now).id().to_owned(),
                jwks_url: format!("{}/__ds/jwks.json", read.root_url()?),
            },
        }),
        Kind::Runner { .. } | Kind::Stream { .. } => None,
    };
    let wake_stream = match &subscription.kind {
        Kind::Webhook { .. } => asked("wake_stream"),
        Kind::Stream { path } => Some(path.clone()),
        Kind::Runner { runner } => read.runner(runner)?.map(|r| r.wake_stream),
    };
    let links = all_links(read, subscription)?;
    Ok(View {
        id: subscription.name.clone(),
        subscription_id: subscription.name.clone(),
        r#type: if webhook.is_some() { WEBHOOK } else { PULL_WAKE },
        pattern: asked("pattern"),
        streams: links.iter().map(|link| serde_json::json!(Stream::of(link))).collect(),
        webhook,
        wake_stream: wake_stream.map(|path| relative(&path).to_owned()),
        lease_ttl_ms: subscription.lease.as_millis(),
        created_at: subscription.created_at.iso(),
        status: if subscription.error.is_some() { "failed" } else { "active" },
        last_error: subscription.error.clone(),
        description: asked("description"),
    })
}

/// The streams that a subscription follows, in order, those included that do not exist yet.
pub(super) fn all_links(read: &Read<'_>, subscription: &SubscriptionRow) -> Result<Vec<Link>, SqlError> {
    let mut links = read.links(subscription.id)?;
    if subscription.plain {
        links.extend(read.awaited_by(subscription.id)?);
        links.sort_by_key(|link| link.serial);
    }
    Ok(links)
}

/// What a subscription says of each of its streams, and a wake of each.
#[derive(Serialize)]
pub(super) struct Stream<'a> {
    path: &'a str,
    link_type: &'static str,
    acked_offset: String,
}

/// What a wake says of each of its streams.
#[derive(Serialize)]
pub(super) struct Info<'a> {
    #[serde(flatten)]
    stream: Stream<'a>,
    tail_offset: String,
    has_pending: bool,
}

impl<'a> Stream<'a> {
    fn of(link: &'a Link) -> Self {
        Self {
            path: relative(&link.path),
            link_type: if link.reasons.is_explicit() { "explicit" } else { "glob" },
            acked_offset: link.acked.map_or_else(|| "-1".to_owned(), |acked| acked.to_string()),
        }
    }
}

impl<'a> Info<'a> {
    pub(super) fn of(link: &'a Link) -> Self {
        Self { stream: Stream::of(link), tail_offset: link.tail.to_string(), has_pending: link.is_pending() }
    }
}
