//! The catalogue: contracts of webhook sources, as the host has them. What is admitted can be used: names are what URLs may
//! hold, templates render, schemas check.

use std::collections::BTreeSet;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::resolve::{flaw, is_endpoint};
use crate::entity::validate;

/// The contracts of a server's webhook sources, read from JSON text: an array of [`Contract`]s, or an object that has it as
/// `webhookSources`, the form in which `GET /_electric/webhook-sources` answers.
#[derive(Clone, Debug, Default)]
pub struct Catalogue(Vec<Contract>);

/// A webhook source.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the members of the wire's contract")]
pub struct Contract {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_id: Option<String>,
    /// What subscriptions name it by.
    pub webhook_key: String,
    /// `webhook`.
    pub source_type: SourceType,
    /// What its stream's path names it by.
    pub endpoint_key: String,
    pub status: Status,
    pub label: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether agents see it and may subscribe to it.
    pub agent_visible: bool,
    pub buckets: Vec<Bucket>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<String>,
    pub revision: i64,
}

/// The one kind of source that there is.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "there is one")]
pub enum SourceType {
    Webhook,
}

/// Whether a source is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the words of the wire")]
pub enum Status {
    Active,
    Disabled,
    Revoked,
}

/// A part of a source, told apart by parameters.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the members of the wire's bucket")]
pub struct Bucket {
    pub key: String,
    pub label: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The path below the source's, with `:name` for each parameter.
    pub path_template: String,
    /// JSON Schema of the parameters.
    pub params_schema: Json,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_types: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<Filter>,
}

/// What lets some events of a bucket through.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "the members of the wire's filter")]
pub struct Filter {
    pub key: String,
    pub label: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON Schema of the `value` of those events; without it every event passes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<Json>,
}

/// The text is no catalogue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {why}")]
pub struct BadCatalogue {
    at: String,
    why: String,
}

impl Catalogue {
    /// The contract that subscriptions name by a key.
    #[must_use]
    pub fn contract(&self, key: &str) -> Option<&Contract> {
        self.0.iter().find(|contract| contract.webhook_key == key)
    }

    /// The contracts whose streams stand at an endpoint.
    pub(super) fn at<'a>(&'a self, endpoint: &'a str) -> impl Iterator<Item = &'a Contract> {
        self.0.iter().filter(move |contract| contract.endpoint_key == endpoint)
    }

    /// The contracts that agents see: active ones that are not hidden.
    pub fn shown(&self) -> impl Iterator<Item = &Contract> {
        self.0.iter().filter(|contract| contract.is_shown())
    }
}

impl Contract {
    /// Whether agents see it and may subscribe to it.
    #[must_use]
    pub fn is_shown(&self) -> bool {
        self.agent_visible && self.status == Status::Active
    }

    /// The bucket that has a key.
    #[must_use]
    pub fn bucket(&self, key: &str) -> Option<&Bucket> {
        self.buckets.iter().find(|bucket| bucket.key == key)
    }
}

impl Bucket {
    /// The filter that has a key.
    #[must_use]
    pub fn filter(&self, key: &str) -> Option<&Filter> {
        self.filters.iter().find(|filter| filter.key == key)
    }
}

impl FromStr for Catalogue {
    type Err = BadCatalogue;

    fn from_str(text: &str) -> Result<Self, BadCatalogue> {
        let json: Json = serde_json::from_str(text).map_err(|e| bad("the catalogue", format!("is no JSON: {e}")))?;
        let Some(list) = json.get("webhookSources").unwrap_or(&json).as_array() else {
            return Err(bad("the catalogue", "is an array of webhook sources"));
        };
        let mut contracts = Vec::with_capacity(list.len());
        for (i, contract) in list.iter().enumerate() {
            let at = format!("webhookSources[{i}]");
            let contract: Contract = serde_json::from_value(contract.clone()).map_err(|e| bad(&at, e.to_string()))?;
            contract.check(&at)?;
            contracts.push(contract);
        }
        unique("the catalogue", "webhookKey", contracts.iter().map(|contract| contract.webhook_key.as_str()))?;
        Ok(Self(contracts))
    }
}

impl Contract {
    fn check(&self, at: &str) -> Result<(), BadCatalogue> {
        if !is_endpoint(&self.endpoint_key) {
            let why =
                format!("`{}` is not lower-case letters, digits, `.`, `_` and `-`, at most 63", self.endpoint_key);
            return Err(bad(&format!("{at}.endpointKey"), why));
        }
        unique(at, "buckets", self.buckets.iter().map(|bucket| bucket.key.as_str()))?;
        self.buckets.iter().enumerate().try_for_each(|(i, bucket)| bucket.check(&format!("{at}.buckets[{i}]")))
    }
}

impl Bucket {
    fn check(&self, at: &str) -> Result<(), BadCatalogue> {
        check_schema(&format!("{at}.paramsSchema"), &self.params_schema)?;
        if let Some(flaw) = flaw(&self.path_template) {
            return Err(bad(&format!("{at}.pathTemplate"), flaw));
        }
        unique(at, "filters", self.filters.iter().map(|filter| filter.key.as_str()))?;
        for (i, condition) in self.filters.iter().enumerate().filter_map(|(i, f)| Some((i, f.condition.as_ref()?))) {
            check_schema(&format!("{at}.filters[{i}].condition"), condition)?;
        }
        Ok(())
    }
}

fn check_schema(at: &str, schema: &Json) -> Result<(), BadCatalogue> {
    validate::admit(&schema.to_string()).map_err(|why| bad(at, why))
}

fn unique<'a>(at: &str, what: &str, mut keys: impl Iterator<Item = &'a str>) -> Result<(), BadCatalogue> {
    let mut seen = BTreeSet::new();
    match keys.find(|key| key.is_empty() || !seen.insert(*key)) {
        None => Ok(()),
        Some("") => Err(bad(at, format!("{what}: a key is empty"))),
        Some(twice) => Err(bad(at, format!("{what}: `{twice}` is there twice"))),
    }
}

fn bad(at: &str, why: impl Into<String>) -> BadCatalogue {
    BadCatalogue { at: at.to_owned(), why: why.into() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn contract() -> Json {
        json!({
            "webhookKey": "github", "sourceType": "webhook", "endpointKey": "gh", "status": "active", "label": "GitHub",
            "agentVisible": true, "revision": 3,
            "buckets": [{
                "key": "repo", "label": "A repository", "pathTemplate": "repos/:repo", "paramsSchema": { "type": "object" },
                "filters": [{ "key": "pushes", "label": "Pushes", "condition": { "type": "object" } }],
            }],
        })
    }

    #[test]
    fn a_catalogue_is_read_from_either_form_and_told_as_it_was() {
        for text in [json!([contract()]), json!({ "webhookSources": [contract()] })] {
            let catalogue: Catalogue = text.to_string().parse().expect("a catalogue");
            let github = catalogue.contract("github").expect("there");
            assert_eq!(serde_json::to_value(github).expect("serialises"), contract());
            assert!(github.is_shown() && github.bucket("repo").and_then(|repo| repo.filter("pushes")).is_some());
        }
        assert_eq!("[]".parse::<Catalogue>().expect("empty").shown().count(), 0);
    }

    #[test]
    fn only_what_is_active_and_visible_is_shown() {
        for (status, visible, shown) in
            [("active", true, true), ("active", false, false), ("disabled", true, false), ("revoked", true, false)]
        {
            let mut contract = contract();
            (contract["status"], contract["agentVisible"]) = (status.into(), visible.into());
            let catalogue: Catalogue = json!([contract]).to_string().parse().expect("a catalogue");
            assert_eq!(catalogue.shown().count() == 1, shown, "{status} {visible}");
        }
    }

    #[test]
    fn what_could_not_be_used_is_refused_and_named() {
        let refuses = |pointer: &str, value: Json, at: &str, why: &str| {
            let mut list = json!([contract()]);
            match list.pointer_mut(pointer) {
                Some(place) => *place = value,
                None => list[0][pointer] = value,
            }
            let error = list.to_string().parse::<Catalogue>().expect_err(pointer).to_string();
            assert!(error.starts_with(at) && error.contains(why), "{error}");
        };
        refuses("/0/endpointKey", json!("Git Hub"), "webhookSources[0].endpointKey", "Git Hub");
        refuses("/0/buckets/0/pathTemplate", json!("//:a"), "webhookSources[0].buckets[0].pathTemplate", "template");
        refuses("/0/status", json!("on"), "webhookSources[0]", "unknown variant");
        refuses("labell", json!("x"), "webhookSources[0]", "unknown field `labell`");
        refuses(
            "/0/buckets/0/paramsSchema",
            json!({ "if": {} }),
            "webhookSources[0].buckets[0].paramsSchema",
            "keyword",
        );
        refuses("/0/buckets/0/filters/0/condition", json!([]), "webhookSources[0].buckets[0].filters[0]", "schema");
        let mut twice = contract()["buckets"].clone();
        twice.as_array_mut().expect("buckets").push(contract()["buckets"][0].clone());
        refuses("/0/buckets", twice, "webhookSources[0]", "`repo` is there twice");
        let error = json!([contract(), contract()]).to_string().parse::<Catalogue>().expect_err("twice").to_string();
        assert!(error.contains("`github` is there twice"), "{error}");
        for text in ["", "{}", "7"] {
            assert!(text.parse::<Catalogue>().is_err(), "{text}");
        }
    }
}
