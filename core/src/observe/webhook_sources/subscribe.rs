//! `…/webhook-source-subscriptions/{id}`: an entity observes what a webhook source brings. A subscription is a row of its
//! manifest, and its registration follows from that row (control plane, section 10.13).

use http::StatusCode;
use serde_json::{Map, Value as Json, json};

use super::catalogue::Contract;
use super::resolve::{Place, Wish, resolve};
use crate::engine::Done;
use crate::entity::{find_to_write, manifest_row, principal};
use crate::http::{Body, Call, Error, Refusal, Response, failure};
use crate::limits::PATH;
use crate::store::{EntityRow, Tx};
use crate::stream;
use crate::tenant::{Permission, permission};
use crate::time::Time;
use crate::wake::register::TooMany;

failure! {
    /// The server has no webhook sources.
    NoCatalogue => NOT_FOUND "NOT_FOUND", "No webhook source catalog is configured"
}

failure! {
    /// The catalogue has no such source.
    UnknownSource { key: String } => NOT_FOUND "NOT_FOUND", "Webhook source \"{key}\" not found"
}

failure! {
    /// The moment at which it is to end is none.
    BadLifetime => BAD_REQUEST "INVALID_REQUEST", "Invalid expires_at lifetime timestamp"
}

failure! {
    /// The source does not have what is asked of it.
    Unresolved { why: String } => BAD_REQUEST "INVALID_REQUEST", "{why}"
}

/// `PUT`: a subscription, in the place of the one that had its id: 200 `{"txid", "subscription"}`.
pub(crate) fn subscribe(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let (tx, by) = (call.store, call.by()?);
    let entity = find_to_write(call)?;
    let id = call.decoded("subscription")?;
    let asked = Asked::of(&Body::of(call.request)?)?;
    permission::check(tx, by, Permission::Write, &entity)?;
    principal::refuse(&entity, "subscribed to webhook sources")?;
    let catalogue = tx.config.webhook_sources.as_ref().ok_or(NoCatalogue)?;
    let contract = catalogue.contract(&asked.key).ok_or_else(|| UnknownSource { key: asked.key.clone() })?;
    if asked.until.as_ref().is_some_and(|at| Time::parse_iso(at).is_none()) {
        return Err(BadLifetime.into());
    }
    let place = resolve(contract, &asked.wish()).map_err(|why| Unresolved { why })?;
    let path = place.path(contract);
    if path.len() > PATH {
        let why = format!("the path of this bucket would be longer than {PATH} bytes");
        return Err(Unresolved { why }.into());
    }
    stream::make_if_free(tx, &path)?;
    let subscription = asked.subscription(&id, contract, &place, tx.now);
    let key = key(&id);
    let row = row(&key, contract, &place, &subscription);
    let txid = manifest_row::write_row(tx, by, &entity, &key, "upsert", Some(&row.to_string()))?;
    if tx.registrations_of(entity.id, &key)?.is_empty() {
        return Err(TooMany { url: entity.url }.into());
    }
    let subscription = told(subscription, &entity, &key, &path);
    Ok(Response::json(StatusCode::OK, &json!({ "txid": txid, "subscription": subscription })).into())
}

/// `DELETE`: takes a subscription away: 200 `{"txid"}`, also when there is none.
pub(crate) fn unsubscribe(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let (tx, by) = (call.store, call.by()?);
    let entity = find_to_write(call)?;
    let key = key(&call.decoded("subscription")?);
    permission::check(tx, by, Permission::Write, &entity)?;
    principal::refuse(&entity, "unsubscribed from webhook sources")?;
    let txid = manifest_row::write_row(tx, by, &entity, &key, "delete", None)?;
    Ok(Response::json(StatusCode::OK, &json!({ "txid": txid })).into())
}

/// What a body asks for.
struct Asked {
    key: String,
    bucket: Option<String>,
    params: Map<String, Json>,
    filter: Option<String>,
    lifetime: Json,
    /// When it is to end, as it was given.
    until: Option<String>,
    reason: Option<String>,
}

impl Asked {
    fn of(body: &Body<'_>) -> Result<Self, Refusal> {
        let lifetime = body.object("lifetime").and_then(|raw| body.value("lifetime", raw));
        let lifetime = lifetime.unwrap_or_else(|| json!({ "kind": "until_entity_stopped" }));
        match (lifetime["kind"].as_str(), &lifetime["at"]) {
            (Some("until_entity_stopped" | "manual"), _) | (Some("expires_at"), Json::String(_)) => {}
            (Some("expires_at"), Json::Null) => {
                body.complain("/lifetime".to_owned(), "must have required property 'at'");
            }
            (Some("expires_at"), _) => body.complain("/lifetime/at".to_owned(), "must be string"),
            _ => body.complain("/lifetime".to_owned(), "must match a schema in anyOf"),
        }
        let params = body.object("params").and_then(|raw| body.value("params", raw)).map(serde_json::from_value);
        let params = params.and_then(Result::ok);
        let asked = Self {
            key: body.required_text("webhookKey"),
            bucket: body.text("bucketKey"),
            params: params.unwrap_or_default(),
            filter: body.text("filterKey"),
            until: lifetime["at"].as_str().filter(|_| lifetime["kind"] == "expires_at").map(str::to_owned),
            lifetime,
            reason: body.text("reason"),
        };
        body.check()?;
        Ok(asked)
    }

    fn wish(&self) -> Wish<'_> {
        Wish { bucket: self.bucket.as_deref(), params: &self.params, filter: self.filter.as_deref() }
    }

    /// The subscription, as the manifest keeps it.
    fn subscription(&self, id: &str, contract: &Contract, place: &Place, now: Time) -> Json {
        let mut subscription = json!({
            "id": id, "webhookKey": self.key, "params": self.params, "filterApplied": place.filtered,
            "contractRevision": contract.revision, "lifetime": self.lifetime, "createdBy": "tool", "createdAt": now.iso(),
        });
        for (name, value) in [("bucketKey", &self.bucket), ("filterKey", &self.filter), ("reason", &self.reason)] {
            if let Some(value) = value {
                subscription[name] = value.as_str().into();
            }
        }
        subscription
    }
}

/// The row of the manifest that stands for a subscription.
fn row(key: &str, contract: &Contract, place: &Place, subscription: &Json) -> Json {
    let mut config = json!({ "endpointKey": contract.endpoint_key, "streamUrl": place.path(contract) });
    if let Some(bucket) = &place.bucket {
        config["bucket"] = bucket.as_str().into();
    }
    config["webhookSource"] = subscription.clone();
    json!({
        "key": key, "kind": "source", "sourceType": "webhook", "sourceRef": place.reference(contract), "config": config,
        "wake": { "on": "change", "collections": ["webhook_event"], "ops": ["insert"] },
    })
}

/// The subscription, as it is answered.
fn told(mut subscription: Json, entity: &EntityRow, key: &str, path: &str) -> Json {
    subscription["entityUrl"] = entity.url.as_str().into();
    subscription["sourceUrl"] = path.into();
    subscription["sourceType"] = "webhook".into();
    subscription["manifestKey"] = key.into();
    subscription
}

fn key(id: &str) -> String {
    format!("webhook-source:{id}")
}
