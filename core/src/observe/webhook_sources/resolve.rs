//! From a contract and what a subscription asks of it to the stream that it is on: a function of the two, with the wire's
//! words for what cannot be.

use percent_encoding::utf8_percent_encode;
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json};

use super::PREFIX;
use super::catalogue::{Bucket, Contract};
use crate::config::Config;
use crate::entity::validate;
use crate::tenant::principal::COMPONENT;

/// What a subscription asks of a source.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish<'a> {
    pub(super) bucket: Option<&'a str>,
    /// The parameters of the bucket.
    pub(super) params: &'a Map<String, Json>,
    pub(super) filter: Option<&'a str>,
}

/// Where what was asked for stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The path of the bucket below the source's.
    pub(super) bucket: Option<String>,
    /// Whether the filter keeps anything back.
    pub(super) filtered: bool,
}

impl Place {
    /// `ENDPOINT` or `ENDPOINT/BUCKET`.
    pub(super) fn reference(&self, contract: &Contract) -> String {
        let below = self.bucket.as_ref().map_or(String::new(), |bucket| format!("/{bucket}"));
        format!("{}{below}", contract.endpoint_key)
    }

    /// The path of its stream.
    pub(super) fn path(&self, contract: &Contract) -> String {
        format!("{PREFIX}{}", self.reference(contract))
    }
}

/// Resolves what is asked of a source.
///
/// # Errors
/// A sentence that says what is wrong with it.
pub(super) fn resolve(contract: &Contract, wish: &Wish<'_>) -> Result<Place, String> {
    let key = &contract.webhook_key;
    if !contract.is_shown() {
        return Err(format!("Webhook source \"{key}\" is not active"));
    }
    let bucket = wish.bucket.map(|name| {
        contract.bucket(name).ok_or_else(|| format!("Unknown bucket \"{name}\" for webhook source \"{key}\""))
    });
    let bucket = bucket.transpose()?;
    let filter = wish.filter.map(|name| {
        let found = bucket.and_then(|bucket| bucket.filter(name));
        found.ok_or_else(|| format!("Unknown filter \"{name}\" for webhook source \"{key}\""))
    });
    let filtered = filter.transpose()?.is_some_and(|filter| filter.condition.is_some());
    let bucket = bucket.map(|bucket| path_of(bucket, wish.params)).transpose()?;
    Ok(Place { bucket, filtered })
}

/// The name of a filter, as a manifest has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterName {
    /// The key of its source.
    pub webhook: String,
    /// The key of its bucket.
    pub bucket: Option<String>,
    /// Its own key.
    pub filter: String,
}

/// The schema of a filter that the catalogue has; `None` when it lets everything through.
///
/// # Errors
/// A sentence that says what is not there.
pub(crate) fn filter(config: &Config, name: &FilterName) -> Result<Option<String>, String> {
    let FilterName { webhook, bucket, filter } = name;
    let catalogue = config.webhook_sources.as_ref().ok_or("No webhook source catalog is configured")?;
    let contract = catalogue.contract(webhook).ok_or_else(|| format!("Webhook source \"{webhook}\" not found"))?;
    let bucket = bucket.as_deref().and_then(|key| contract.bucket(key));
    let found = bucket.and_then(|bucket| bucket.filter(filter));
    let found = found.ok_or_else(|| format!("Unknown filter \"{filter}\" for webhook source \"{webhook}\""))?;
    Ok(found.condition.as_ref().map(Json::to_string))
}

/// The path of a bucket with parameters, below its source's.
fn path_of(bucket: &Bucket, params: &Map<String, Json>) -> Result<String, String> {
    check_params(bucket, params)?;
    fill(&bucket.path_template, params)
}

/// What is wrong with a template, whatever its parameters are.
pub(super) fn flaw(template: &str) -> Option<String> {
    let names = template.split(':').skip(1).map(name_at).filter(|name| !name.is_empty());
    let any = names.map(|name| (name.to_owned(), Json::from("x"))).collect();
    fill(template, &any).err()
}

fn fill(template: &str, params: &Map<String, Json>) -> Result<String, String> {
    let path = render(template, params)?;
    if path.trim().is_empty() {
        return Err("Bucket path template rendered an empty path".to_owned());
    }
    if path.contains("//") || path.starts_with('/') {
        return Err(format!("Invalid bucket path template: {template}"));
    }
    let path = path.trim_matches('/');
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._~!$&'()*+,;=:@-".contains(&byte);
    let segment = |part: &str| !part.is_empty() && part != "." && part != ".." && part.bytes().all(plain);
    if !path.split('/').all(segment) {
        return Err("[agent-runtime] webhook bucket must use non-empty URL-safe path segments".to_owned());
    }
    Ok(path.to_owned())
}

fn check_params(bucket: &Bucket, params: &Map<String, Json>) -> Result<(), String> {
    let text = serde_json::to_string(params).expect("JSON serialises");
    let value: &RawValue = serde_json::from_str(&text).expect("JSON parses");
    let complaints = validate::form(&bucket.params_schema.to_string(), value);
    if complaints.is_empty() {
        return Ok(());
    }
    let told: Vec<String> = complaints.iter().map(|(path, what)| format!("{} {what}", place(path, what))).collect();
    Err(format!("Bucket params do not match paramsSchema for \"{}\": {}", bucket.key, told.join("; ")))
}

/// Where a complaint points to: a member that lacks at the root by its name.
fn place(path: &str, what: &str) -> String {
    let missing = what.strip_prefix("must have required property '").and_then(|rest| rest.strip_suffix('\''));
    match (path, missing) {
        ("", Some(member)) => format!("/{member}"),
        ("", None) => "/".to_owned(),
        (path, _) => path.to_owned(),
    }
}

/// A template with the value of each parameter in the place of its `:name`, as a URL's component.
fn render(template: &str, params: &Map<String, Json>) -> Result<String, String> {
    let mut path = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once(':') {
        path.push_str(before);
        let name = name_at(after);
        if name.is_empty() {
            path.push(':');
        } else {
            let value = scalar(name, params.get(name))?;
            path.extend(utf8_percent_encode(&value, COMPONENT));
        }
        rest = &after[name.len()..];
    }
    path.push_str(rest);
    Ok(path)
}

/// The name of a parameter at the start of a text.
fn name_at(text: &str) -> &str {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return "";
    }
    &text[..text.find(|c| !is_name(c)).unwrap_or(text.len())]
}

fn scalar(name: &str, value: Option<&Json>) -> Result<String, String> {
    let text = match value {
        None | Some(Json::Null) => return Err(format!("Missing bucket parameter: {name}")),
        Some(Json::String(text)) => text.clone(),
        // As JavaScript writes it: `1.0` is `1`.
        Some(Json::Number(n)) => match n.as_f64() {
            Some(whole) if whole.fract() == 0.0 && whole.abs() < 1e15 => format!("{whole:.0}"),
            _ => n.to_string(),
        },
        Some(Json::Bool(truth)) => truth.to_string(),
        Some(_) => return Err(format!("Bucket parameter \"{name}\" must be a scalar value")),
    };
    if text.trim().is_empty() {
        return Err(format!("Bucket parameter \"{name}\" must not be empty"));
    }
    Ok(text)
}

/// Whether a text may name a source in a path.
pub(super) fn is_endpoint(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=63).contains(&text.len())
        && text.bytes().all(|byte| plain(byte) || b"._-".contains(&byte))
        && text.bytes().next().is_some_and(plain)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::catalogue::Catalogue;
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn catalogue() -> Catalogue {
        let schema = json!({ "type": "object", "required": ["repo"], "properties": { "n": { "type": "integer" } } });
        let bucket = |key: &str, template: &str| json!({ "key": key, "label": key, "pathTemplate": template, "paramsSchema": true });
        let mut repo = bucket("repo", "repos/:owner/:repo");
        repo["paramsSchema"] = schema;
        repo["filters"] = json!([
            { "key": "pushes", "label": "p", "condition": { "required": ["body"] } },
            { "key": "all", "label": "a" },
        ]);
        let buckets = json!([repo, bucket("one", ":a"), bucket("tail", ":a/"), bucket("colon", "a:b:1:"),]);
        let source = |key: &str, status: &str| {
            json!({
                "webhookKey": key, "sourceType": "webhook", "endpointKey": "gh", "status": status, "label": "l",
                "agentVisible": true, "revision": 1, "buckets": buckets,
            })
        };
        json!([source("github", "active"), source("old", "revoked")]).to_string().parse().expect("a catalogue")
    }

    fn ask(source: &str, bucket: Option<&str>, params: Json, filter: Option<&str>) -> Result<String, String> {
        let catalogue = catalogue();
        let contract = catalogue.contract(source).expect("there");
        let params = params.as_object().cloned().unwrap_or_default();
        resolve(contract, &Wish { bucket, params: &params, filter }).map(|place| place.path(contract))
    }

    #[test]
    fn a_wish_becomes_a_path() {
        for (bucket, params, filter, path) in [
            (None, json!({ "anything": [] }), None, "/_webhooks/gh"),
            (Some("repo"), json!({ "owner": "o", "repo": "r.s-1" }), Some("pushes"), "/_webhooks/gh/repos/o/r.s-1"),
            (Some("one"), json!({ "a": 7 }), None, "/_webhooks/gh/7"),
            (Some("one"), json!({ "a": 1.0 }), None, "/_webhooks/gh/1"),
            (Some("one"), json!({ "a": 1.5 }), None, "/_webhooks/gh/1.5"),
            (Some("one"), json!({ "a": true }), None, "/_webhooks/gh/true"),
            (Some("tail"), json!({ "a": "x" }), None, "/_webhooks/gh/x"),
            (Some("colon"), json!({ "b": "y" }), None, "/_webhooks/gh/ay:1:"),
        ] {
            assert_eq!(ask("github", bucket, params, filter).as_deref(), Ok(path));
        }
    }

    #[test]
    fn what_cannot_be_is_said_in_the_words_of_the_wire() {
        let segments = "[agent-runtime] webhook bucket must use non-empty URL-safe path segments";
        let mismatch = "Bucket params do not match paramsSchema for \"repo\": ";
        for (bucket, params, filter, error) in [
            (Some("no"), json!({}), None, "Unknown bucket \"no\" for webhook source \"github\"".to_owned()),
            (None, json!({}), Some("pushes"), "Unknown filter \"pushes\" for webhook source \"github\"".to_owned()),
            (Some("repo"), json!({}), Some("no"), "Unknown filter \"no\" for webhook source \"github\"".to_owned()),
            (Some("repo"), json!({}), None, format!("{mismatch}/repo must have required property 'repo'")),
            (Some("repo"), json!({ "repo": "r", "n": "x" }), None, format!("{mismatch}/n must be integer")),
            (Some("repo"), json!({ "repo": "r" }), None, "Missing bucket parameter: owner".to_owned()),
            (Some("one"), json!({ "a": null }), None, "Missing bucket parameter: a".to_owned()),
            (Some("one"), json!({ "a": [] }), None, "Bucket parameter \"a\" must be a scalar value".to_owned()),
            (Some("one"), json!({ "a": " " }), None, "Bucket parameter \"a\" must not be empty".to_owned()),
            (Some("one"), json!({ "a": "x y" }), None, segments.to_owned()),
            (Some("one"), json!({ "a": "x/y" }), None, segments.to_owned()),
            (Some("one"), json!({ "a": ".." }), None, segments.to_owned()),
            (Some("one"), json!({ "a": "é" }), None, segments.to_owned()),
        ] {
            assert_eq!(ask("github", bucket, params.clone(), filter), Err(error), "{bucket:?} {params}");
        }
        assert_eq!(ask("old", None, json!({}), None), Err("Webhook source \"old\" is not active".to_owned()));
    }

    #[test]
    fn flaws_of_templates() {
        for (template, flaw) in [
            ("a/:b/c", None),
            ("/:a", Some("Invalid bucket path template: /:a")),
            ("x//:a", Some("Invalid bucket path template: x//:a")),
            (" ", Some("Bucket path template rendered an empty path")),
            ("a b", Some("[agent-runtime] webhook bucket must use non-empty URL-safe path segments")),
        ] {
            assert_eq!(self::flaw(template).as_deref(), flaw, "{template}");
        }
    }

    #[test]
    fn a_filter_is_found_by_its_name() {
        let mut config = Config::dev();
        let name = |bucket: Option<&str>, filter: &str| FilterName {
            webhook: "github".to_owned(),
            bucket: bucket.map(str::to_owned),
            filter: filter.to_owned(),
        };
        assert!(filter(&config, &name(Some("repo"), "pushes")).is_err(), "there is no catalogue");
        config.webhook_sources = Some(catalogue());
        let found = filter(&config, &name(Some("repo"), "pushes")).expect("there");
        assert_eq!(found.as_deref(), Some(r#"{"required":["body"]}"#));
        assert_eq!(filter(&config, &name(Some("repo"), "all")), Ok(None), "it has no condition");
        assert!(filter(&config, &name(None, "pushes")).is_err() && filter(&config, &name(Some("repo"), "no")).is_err());
    }

    #[test]
    fn names_of_endpoints() {
        for (text, good) in [("gh", true), ("9.a_b-c", true), ("", false), ("-a", false), ("A", false), ("a/b", false)]
        {
            assert_eq!(is_endpoint(text), good, "{text}");
        }
        assert!(is_endpoint(&"a".repeat(63)) && !is_endpoint(&"a".repeat(64)));
    }
}
