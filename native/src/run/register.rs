//! Making the server know the runner, and sending a type's work to it.

use serde_json::{Map, Value as Json, json};

use super::args::Args;
use crate::client::{Client, Failure};

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Registered {
    /// The type is new.
    New,
    /// Its work came to this runner already.
    Known,
    /// Its new entities' work went elsewhere until now.
    TakenOver {
        /// Where, in words.
        from: String,
    },
}

/// Registers the runner, and the type with a default dispatch policy to it. What else a type has is kept.
pub(super) async fn register(client: &Client, args: &Args) -> Result<Registered, Failure> {
    let runner = args.runner();
    let body = json!({ "id": runner, "label": args.label(), "kind": "local" });
    let owner = client.post("/_electric/runners", &body).await?.json()["owner_principal"].clone();
    let existing = match client.get(&format!("/_electric/entity-types/{}", encoded(&args.entity_type))).await {
        Ok(answer) => Some(answer.json()),
        Err(Failure::Refused { status: 404, .. }) => None,
        Err(failure) => return Err(failure),
    };
    let (found, body) = judge(existing.as_ref(), &args.entity_type, &runner);
    if let Some(mut body) = body {
        if found == Registered::New {
            body["permission_grants"] = grants(&owner);
        }
        client.post("/_electric/entity-types", &body).await?;
    }
    Ok(found)
}

/// A new type may be spawned by everybody, and registered again by who registered it.
fn grants(owner: &Json) -> Json {
    let kinds = ["user", "agent", "service", "system"];
    let spawn = kinds.map(|kind| ("principal_kind", json!(kind), "spawn"));
    let all = spawn.into_iter().chain([("principal", owner.clone(), "manage")]);
    all.map(
        |(kind, value, permission)| json!({ "subject_kind": kind, "subject_value": value, "permission": permission }),
    )
    .collect()
}

/// What to send, if anything.
fn judge(existing: Option<&Json>, name: &str, runner: &str) -> (Registered, Option<Json>) {
    let target = &existing.map_or(&Json::Null, |kind| &kind["default_dispatch_policy"])["targets"][0];
    if target["runnerId"] == runner {
        return (Registered::Known, None);
    }
    let kept = [
        "description",
        "creation_schema",
        "inbox_schemas",
        "state_schemas",
        "slash_commands",
        "serve_endpoint",
        "externally_writable_collections",
    ];
    let mut body: Map<String, Json> = kept
        .iter()
        .filter_map(|member| {
            Some(((*member).to_owned(), existing?.get(*member).filter(|value| !value.is_null())?.clone()))
        })
        .collect();
    body.insert("name".to_owned(), name.into());
    body.entry("description").or_insert_with(|| "Run by a program".into());
    body.insert("default_dispatch_policy".to_owned(), json!({ "targets": [{ "type": "runner", "runnerId": runner }] }));
    let from = match target["type"].as_str() {
        Some("runner") => format!("the runner {}", target["runnerId"].as_str().unwrap_or("?")),
        Some(_) => format!("the webhook {}", target["url"].as_str().unwrap_or("?")),
        None => "nobody".to_owned(),
    };
    (if existing.is_some() { Registered::TakenOver { from } } else { Registered::New }, Some(Json::Object(body)))
}

/// A name as a path's segment.
fn encoded(name: &str) -> String {
    percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_keeps_what_it_has() {
        let policy = json!({ "targets": [{ "type": "runner", "runnerId": "mine" }] });
        let (found, body) = judge(None, "worker", "mine");
        assert_eq!(found, Registered::New);
        assert_eq!(
            body,
            Some(json!({ "name": "worker", "description": "Run by a program", "default_dispatch_policy": policy }))
        );

        let known = json!({ "name": "worker", "description": "d", "default_dispatch_policy": policy });
        assert_eq!(judge(Some(&known), "worker", "mine"), (Registered::Known, None));

        let other = json!({ "name": "worker", "description": "d", "creation_schema": { "type": "object" }, "inbox_schemas": null, "revision": 3, "default_dispatch_policy": { "targets": [{ "type": "webhook", "url": "http://x" }] } });
        let (found, body) = judge(Some(&other), "worker", "mine");
        assert_eq!(found, Registered::TakenOver { from: "the webhook http://x".to_owned() });
        let want = json!({ "description": "d", "creation_schema": { "type": "object" }, "name": "worker", "default_dispatch_policy": policy });
        assert_eq!(body, Some(want));
    }
}
