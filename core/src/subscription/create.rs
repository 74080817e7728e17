//! `PUT /__ds/subscriptions/{id}`: make a subscription, or confirm it (stream protocol, section 9.2).

use std::collections::BTreeSet;

use http::StatusCode;
use serde::Serialize;
use serde_json::Value as Json;

use super::follow;
use super::name::{check_owner, id, invalid, path};
use super::show::view;
use crate::egress;
use crate::engine::Done;
use crate::http::{Body, Call, Error, Refusal, Response, failure};
use crate::limits::{LEASE, LEASES, LINKS, PATTERNS, SEGMENTS, SUBSCRIPTION_TEXT, SUBSCRIPTIONS};
use crate::store::{Asked, Kind, PULL_WAKE, PatternRow, Tx, WEBHOOK};
use crate::stream::Owner;
use crate::time::Span;

failure! {
    /// The id is taken, by something else.
    AlreadyExists { id: String } => CONFLICT "SUBSCRIPTION_ALREADY_EXISTS",
    "subscription `{id}` exists with another configuration, or is somebody else's; delete it first, or add streams with `POST …/streams`"
}

failure! {
    /// The server may not call there.
    UrlRejected { why: String } => BAD_REQUEST "WEBHOOK_URL_REJECTED", "{why}"
}

failure! {
    /// As many as there may be.
    TooMany { what: &'static str, most: i64 } => CONFLICT "INVALID_REQUEST", "there are {most} {what} already: delete some first"
}

/// Makes the subscription that the path names: 201, or 200 when it exists with the same configuration.
pub(crate) fn create(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let tx = call.store;
    let by = call.by()?;
    let id = id(call)?;
    if id.len() > SUBSCRIPTION_TEXT {
        return Err(invalid("the subscription's id is too long").into());
    }
    let asks = Asks::of(&Body::of(call.request)?)?;
    let config = serde_json::to_string(&asks.normal()).expect("our own values serialise");
    if let Some(existing) = tx.plain_by_name(&id)? {
        if tx.asked(existing.id)?.is_none_or(|asked| asked.config != config) || check_owner(tx, by, &existing).is_err()
        {
            return Err(AlreadyExists { id }.into());
        }
        return Ok(Response::json(StatusCode::OK, &view(tx, &existing)?).into());
    }
    if let Kind::Webhook { url } = &asks.kind {
        egress::judge(&tx.config.egress, url).map_err(|refused| UrlRejected { why: refused.to_string() })?;
    }
    if let Kind::Stream { path } = &asks.kind {
        follow::check_path(tx, path)?;
        Owner::of(tx, path)?.check_unowned(by, path)?;
    }
    let (all, patterns) = tx.asked_for()?;
    if all >= SUBSCRIPTIONS {
        return Err(TooMany { what: "subscriptions", most: SUBSCRIPTIONS }.into());
    }
    if asks.pattern.is_some() && patterns >= PATTERNS {
        return Err(TooMany { what: "subscriptions with a pattern", most: PATTERNS }.into());
    }

    let subscription = tx.insert_subscription(true, &id, asks.kind.clone(), asks.lease)?;
    tx.insert_asked(subscription.id, &Asked { owner: by.url(), config })?;
    for path in &asks.streams {
        follow::explicitly(tx, by, &subscription, path)?;
    }
    if let Some(pattern) = &asks.pattern {
        let row = PatternRow { subscription: subscription.id, pattern: pattern.clone(), owner: by.url() };
        tx.insert_pattern(&row)?;
        follow::existing(tx, by, &subscription, pattern)?;
    }
    Ok(Response::json(StatusCode::CREATED, &view(tx, &subscription)?).into())
}

/// What a request asks a subscription to be.
struct Asks {
    kind: Kind,
    pattern: Option<String>,
    /// Paths, in the order given.
    streams: Vec<String>,
    /// Kept for a webhook, which does not use it.
    wake_stream: Option<String>,
    lease: Span,
    description: Option<String>,
}

/// The same, so that two that ask for the same are equal.
#[derive(Serialize)]
struct Normal<'a> {
    r#type: &'a str,
    pattern: Option<&'a str>,
    streams: BTreeSet<&'a str>,
    url: Option<&'a str>,
    wake_stream: Option<&'a str>,
    lease_ttl_ms: Span,
    description: Option<&'a str>,
}

impl Asks {
    fn of(body: &Body<'_>) -> Result<Self, Refusal> {
        let text = |name: &str| match body.json(name) {
            None | Some(Json::Null) => Ok(None),
            Some(Json::String(text)) if text.len() <= SUBSCRIPTION_TEXT => Ok(Some(text)),
            Some(Json::String(_)) => Err(invalid(format!("`{name}` is longer than {SUBSCRIPTION_TEXT} bytes"))),
            Some(_) => Err(invalid(format!("`{name}` must be a string"))),
        };
        let pull = match body.json("type").as_ref().and_then(Json::as_str) {
            Some(WEBHOOK) => false,
            Some(PULL_WAKE) => true,
            _ => return Err(invalid("`type` must be `webhook` or `pull-wake`")),
        };
        let streams = match body.json("streams") {
            Some(Json::Array(list)) => paths(&list)?,
            _ => Vec::new(),
        };
        let pattern = text("pattern")?.map(|p| p.trim().to_owned()).filter(|p| !p.is_empty());
        if pattern.as_ref().is_some_and(|p| p.split('/').count() > SEGMENTS) {
            return Err(invalid(format!("a `pattern` has at most {SEGMENTS} segments")));
        }
        if pattern.is_none() && streams.is_empty() {
            return Err(invalid("a subscription has a `pattern` or at least one of `streams`"));
        }
        let lease = lease(body)?;
        let url = body.json("webhook").and_then(|w| w.get("url").and_then(Json::as_str).map(str::to_owned));
        let wake_stream = text("wake_stream")?.filter(|w| !name_of(w).is_empty()).map(|w| path(&w));
        let kind = match (pull, url.filter(|u| !u.is_empty()), &wake_stream) {
            (false, Some(url), _) if url.len() <= SUBSCRIPTION_TEXT => Kind::Webhook { url },
            (false, Some(_), _) => {
                return Err(invalid(format!("`webhook.url` is longer than {SUBSCRIPTION_TEXT} bytes")));
            }
            (false, None, _) => return Err(invalid("a webhook subscription has a `webhook.url`")),
            (true, _, Some(path)) => Kind::Stream { path: path.clone() },
            (true, _, None) => return Err(invalid("a pull-wake subscription has a `wake_stream`")),
        };
        body.check()?;
        let description = match body.json("description") {
            Some(Json::String(text)) if text.len() <= SUBSCRIPTION_TEXT => Some(text),
            Some(Json::String(_)) => return Err(invalid("the `description` is too long")),
            _ => None,
        };
        Ok(Self { kind, pattern, streams, wake_stream, lease, description })
    }

    fn normal(&self) -> Normal<'_> {
        Normal {
            r#type: if matches!(self.kind, Kind::Webhook { .. }) { WEBHOOK } else { PULL_WAKE },
            pattern: self.pattern.as_deref(),
            streams: self.streams.iter().map(String::as_str).collect(),
            url: if let Kind::Webhook { url } = &self.kind { Some(url) } else { None },
            wake_stream: self.wake_stream.as_deref(),
            lease_ttl_ms: self.lease,
            description: self.description.as_deref(),
        }
    }
}

/// The paths that a list of streams names, each once.
pub(super) fn paths(list: &[Json]) -> Result<Vec<String>, Refusal> {
    let most = usize::try_from(LINKS).unwrap_or(usize::MAX);
    if list.len() > most {
        return Err(invalid(format!("a subscription follows at most {LINKS} streams")));
    }
    let mut seen = BTreeSet::new();
    let mut paths = Vec::with_capacity(list.len());
    for item in list {
        let given = item.as_str().filter(|text| !name_of(text).is_empty() && text.len() <= SUBSCRIPTION_TEXT);
        let path = path(given.ok_or_else(|| invalid("`streams` must be paths: strings that are not empty"))?);
        if seen.insert(path.clone()) {
            paths.push(path);
        }
    }
    Ok(paths)
}

fn name_of(text: &str) -> &str {
    text.trim().trim_matches('/')
}

fn lease(body: &Body<'_>) -> Result<Span, Refusal> {
    let given = match body.raw("lease_ttl_ms").map(serde_json::value::RawValue::get) {
        None | Some("null") => return Ok(LEASE),
        Some(text) => text,
    };
    let [least, most] = LEASES;
    let whole = given.parse::<f64>().ok().filter(|n| n.fract() == 0.0 && n.abs() < 1e12);
    #[allow(clippy::cast_possible_truncation, reason = "whole, and of at most 40 bits")]
    let lease = whole.map(|n| Span::millis(n as i64)).filter(|lease| (least..=most).contains(lease));
    lease.ok_or_else(|| {
        let (least, most) = (least.as_millis(), most.as_millis());
        invalid(format!("`lease_ttl_ms` is a whole number from {least} to {most}"))
    })
}
