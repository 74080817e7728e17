//! Dispatch policies: one target, a webhook or a runner (wake specification, sections 4.1 to 4.3).

use serde_json::{Value as Json, json};

use crate::entropy::sha16;
use crate::limits::POLICY_TEXT;

/// Who runs an entity. The wire has a list of exactly one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The one target.
    pub target: Target,
    /// Narrows the subscription; given by the runtime to keep its types apart.
    pub subscription_id: Option<String>,
}

/// Where an entity's wakes go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A signed `POST` to this URL.
    Webhook(String),
    /// The wake stream of this runner.
    Runner(String),
}

impl Policy {
    /// A webhook without a subscription id of its own, which a type's serve endpoint stands for.
    #[must_use]
    pub fn webhook(url: &str) -> Self {
        Self { target: Target::Webhook(url.to_owned()), subscription_id: None }
    }

    /// Reads the wire's form: a closed object with one closed target.
    ///
    /// # Errors
    /// Each complaint with the path of its member below the policy.
    pub fn parse(policy: &Json) -> Result<Self, Vec<(String, String)>> {
        let complain = |path: &str, message: &str| Err(vec![(path.to_owned(), message.to_owned())]);
        let Some(object) = policy.as_object() else { return complain("", "must be object") };
        let Some(targets) = object.get("targets") else { return complain("", "must have required property 'targets'") };
        if object.len() > 1 {
            return complain("", "must NOT have additional properties");
        }
        let Some(targets) = targets.as_array() else { return complain("/targets", "must be array") };
        let target = match targets.as_slice() {
            [] => return complain("/targets", "must NOT have fewer than 1 items"),
            [target] => target,
            _ => return complain("/targets", "must NOT have more than 1 items"),
        };
        let Some(target) = target.as_object() else { return complain("/targets/0", "must be object") };
        let text = |name: &str| match target.get(name) {
            None => Ok(None),
            Some(Json::String(text)) if text.is_empty() => {
                Err(vec![(format!("/targets/0/{name}"), "must NOT have fewer than 1 characters".to_owned())])
            }
            Some(Json::String(text)) if text.len() > POLICY_TEXT => {
                let message = format!("must NOT have more than {POLICY_TEXT} characters");
                Err(vec![(format!("/targets/0/{name}"), message)])
            }
            Some(Json::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(vec![(format!("/targets/0/{name}"), "must be string".to_owned())]),
        };
        let required = |name: &str| {
            text(name)?.ok_or_else(|| vec![("/targets/0".to_owned(), format!("must have required property '{name}'"))])
        };
        let (parsed, own) = match target.get("type").and_then(Json::as_str) {
            Some("webhook") => (Target::Webhook(required("url")?), "url"),
            Some("runner") => (Target::Runner(required("runnerId")?), "runnerId"),
            _ => return complain("/targets/0", "must match a schema in anyOf"),
        };
        if target.keys().any(|key| !["type", own, "subscription_id"].contains(&key.as_str())) {
            return complain("/targets/0", "must NOT have additional properties");
        }
        Ok(Self { target: parsed, subscription_id: text("subscription_id")? })
    }

    /// The wire's form.
    #[must_use]
    pub fn json(&self) -> Json {
        let mut target = match &self.target {
            Target::Webhook(url) => json!({ "type": "webhook", "url": url }),
            Target::Runner(id) => json!({ "type": "runner", "runnerId": id }),
        };
        if let Some(id) = &self.subscription_id {
            target["subscription_id"] = id.as_str().into();
        }
        json!({ "targets": [target] })
    }
}

/// The policy of a new entity: what it asks for, else its parent's, else its type's. A policy inherited from the parent
/// takes the type's subscription id when both name the same destination.
#[must_use]
pub fn resolve(explicit: Option<&Policy>, parent: Option<&Policy>, default: Option<&Policy>) -> Option<Policy> {
    if explicit.is_some() {
        return explicit.cloned();
    }
    let Some(parent) = parent else { return default.cloned() };
    let scope = default.filter(|d| d.target == parent.target).and_then(|d| d.subscription_id.clone());
    Some(Policy { target: parent.target.clone(), subscription_id: scope.or_else(|| parent.subscription_id.clone()) })
}

/// The id of the subscription that a policy stands for, for one entity (wake specification, section 4.3): shared by all
/// entities of a webhook without a subscription id, the entity's own otherwise.
#[must_use]
pub fn subscription_id(policy: &Policy, entity: &str) -> String {
    match (&policy.target, &policy.subscription_id) {
        (Target::Webhook(url), None) => format!("webhook:{}", sha16(url)),
        (Target::Webhook(_), Some(base)) | (Target::Runner(_), Some(base)) => format!("{base}:{}", sha16(entity)),
        (Target::Runner(id), None) => format!("runner:{id}:{}", sha16(entity)),
    }
}

/// The id under which a new link is made: always the entity's own, so that no two entities of one URL wait for each
/// other.
pub(crate) fn link_id(policy: &Policy, entity: &str) -> String {
    let shared = subscription_id(policy, entity);
    match (&policy.target, &policy.subscription_id) {
        (Target::Webhook(_), None) => format!("{shared}:{}", sha16(entity)),
        _ => shared,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn policy(target: Json) -> Result<Policy, Vec<(String, String)>> {
        Policy::parse(&json!({ "targets": [target] }))
    }

    #[test]
    fn the_ids_of_the_specification() {
        let runner = policy(json!({ "type": "runner", "runnerId": "runner-1" })).expect("valid");
        assert_eq!(subscription_id(&runner, "/horton/demo"), "runner:runner-1:04aa69b7ce9cf04c");
        let named = policy(json!({ "type": "webhook", "url": "http://x", "subscription_id": "webhook:horton" }))
            .expect("valid");
        assert_eq!(subscription_id(&named, "/horton/demo"), "webhook:horton:04aa69b7ce9cf04c");
        let shared =
            policy(json!({ "type": "webhook", "url": "http://localhost:3000/electric-agents" })).expect("valid");
        assert_eq!(subscription_id(&shared, "/horton/demo"), "webhook:1f2fbc4572158ce9");
        assert_eq!(link_id(&shared, "/horton/demo"), "webhook:1f2fbc4572158ce9:04aa69b7ce9cf04c");
    }

    #[test]
    fn a_policy_is_one_closed_target() {
        for (target, path) in [
            (json!({ "type": "webhook" }), "/targets/0"),
            (json!({ "type": "webhook", "url": "" }), "/targets/0/url"),
            (json!({ "type": "webhook", "url": "http://x", "more": 1 }), "/targets/0"),
            (json!({ "type": "runner", "runnerId": 7 }), "/targets/0/runnerId"),
            (json!({ "type": "pigeon" }), "/targets/0"),
            (json!("webhook"), "/targets/0"),
        ] {
            assert_eq!(policy(target.clone()).expect_err("refused")[0].0, path, "{target}");
        }
        assert!(Policy::parse(&json!({ "targets": [] })).is_err());
        let valid = json!({ "targets": [{ "type": "runner", "runnerId": "r", "subscription_id": "s" }] });
        assert_eq!(Policy::parse(&valid).expect("valid").json(), valid);
    }

    #[test]
    fn explicit_wins_over_parent_over_type() {
        let of = |id: &str, scope: Option<&str>| Policy {
            target: Target::Runner(id.into()),
            subscription_id: scope.map(Into::into),
        };
        let (a, b, scoped) = (of("a", None), of("b", None), of("a", Some("type")));
        assert_eq!(resolve(Some(&a), Some(&b), Some(&b)), Some(a.clone()));
        assert_eq!(resolve(None, Some(&a), Some(&b)), Some(a.clone()));
        assert_eq!(resolve(None, Some(&a), Some(&scoped)), Some(scoped.clone()));
        assert_eq!(resolve(None, None, Some(&b)), Some(b));
        assert_eq!(resolve(None, None, None), None);
    }
}
