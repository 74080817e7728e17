//! `POST /_electric/entity-types`: register a type, or replace it (control plane, section 9.1).

use http::StatusCode;
use serde_json::value::RawValue;

use super::types::{Definition, View};
use super::{collection, slash_command, type_schemas, validate};
use crate::dispatch::{Policy, Target};
use crate::effect::{EffectId, Fetch, Fetched};
use crate::egress;
use crate::engine::Done;
use crate::http::{Body, Call, Error, Refusal, Request, Response, canonical_path, failure, is_encoded};
use crate::limits::{ANSWER, FETCH_SLACK, FETCH_TIME, TYPE_NAME};
use crate::pending::Pending;
use crate::permission::{Decision, Resource, last_word};
use crate::store::{EntityTypeRow, Tx};
use crate::tenant::{Permission, Principal, permission};
use crate::time::Time;

failure! {
    /// A member that is always needed is absent or blank.
    MissingField { name: &'static str } => BAD_REQUEST "INVALID_REQUEST", "Missing required field: {name}"
}

failure! {
    /// The name belongs to the server.
    BuiltIn => BAD_REQUEST "INVALID_REQUEST", "Entity type \"principal\" is built in and cannot be registered or updated"
}

failure! {
    /// The host does not want it.
    NotRegistering => UNAUTHORIZED "UNAUTHORIZED", "Principal is not allowed to register entity types"
}

failure! {
    /// The name is kept for the server.
    Reserved => BAD_REQUEST "INVALID_REQUEST", "Entity type names starting with \"_\" are reserved"
}

failure! {
    /// No path leads to such a type, or to an entity of it.
    UnfitName { name: String } => BAD_REQUEST "INVALID_REQUEST", "Entity type name `{name}` cannot be a segment of an entity's URL"
}

failure! {
    /// The serve endpoint did not say what the type is.
    Unreachable { why: String } => BAD_GATEWAY "SERVE_ENDPOINT_UNREACHABLE", "{why}"
}

failure! {
    /// The serve endpoint serves another type.
    NameMismatch { found: String, wanted: String } => BAD_REQUEST "SERVE_ENDPOINT_NAME_MISMATCH",
    "Serve endpoint returned name \"{found}\" but expected \"{wanted}\""
}

failure! {
    /// A manifest's policy is none.
    BadPolicy { complaints: String } => BAD_REQUEST "INVALID_REQUEST",
    "default_dispatch_policy does not match dispatch policy schema: {complaints}"
}

impl BadPolicy {
    fn of(complaints: &[(String, String)]) -> Self {
        let all: Vec<String> = complaints
            .iter()
            .map(|(path, message)| format!("{} {message}", if path.is_empty() { "/" } else { path }))
            .collect();
        Self { complaints: all.join("; ") }
    }
}

/// Registers a type: 201. One that only names its serve endpoint waits for what that says about it.
pub(crate) fn register(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let by = call.by()?;
    let asked = Asked::of(&Body::of(call.request)?)?;
    asked.check_collections()?;
    check_permission(call.store, by, &asked.name)?;
    if let Some(endpoint) = &asked.serve_endpoint {
        egress::judge(&call.store.config.egress, endpoint)?;
        if asked.description.is_none() && asked.creation_schema.is_none() {
            let discovery = Discovery {
                name: asked.name,
                endpoint: endpoint.clone(),
                grants: asked.grants,
                by: by.clone(),
                deadline: call.store.now + FETCH_TIME + FETCH_SLACK,
            };
            return Ok(Done::Park(Pending::Discover(discovery)));
        }
    }
    store(call.store, by, asked)
}

/// A registration that waits for its serve endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Discovery {
    name: String,
    endpoint: String,
    grants: Vec<permission::Asked>,
    by: Principal,
    pub(crate) deadline: Time,
}

impl Discovery {
    /// The question to the serve endpoint.
    pub(crate) fn fetch(&self, number: u64) -> Fetch {
        Fetch {
            id: EffectId::Pending(number),
            method: http::Method::PUT,
            url: self.endpoint.clone(),
            headers: Vec::new(),
            body: Vec::new(),
            wanted: &[],
            time_limit: FETCH_TIME,
            size_limit: ANSWER,
        }
    }

    /// Registers the type with what the endpoint said, checked as if the caller had sent it.
    pub(crate) fn resume(&self, tx: &Tx<'_>, result: &Fetched) -> Result<Done, Error> {
        let unreachable = |why: String| Unreachable { why };
        let answer = result.as_ref().map_err(|why| unreachable(format!("Failed to reach serve endpoint: {why}")))?;
        if !(200..300).contains(&answer.status) {
            return Err(unreachable(format!("Serve endpoint returned status {}", answer.status)).into());
        }
        let manifest = Request {
            method: http::Method::POST,
            path: "/_electric/entity-types".to_owned(),
            query: String::new(),
            headers: http::HeaderMap::new(),
            body: answer.body.clone(),
            by: Some(self.by.clone()),
            origin: None,
        };
        let body = Body::of(&manifest)
            .map_err(|_| unreachable("Failed to reach serve endpoint: its manifest is not a JSON object".to_owned()))?;
        let mut asked = Asked::of_manifest(&body)?;
        if asked.name != self.name {
            return Err(NameMismatch { found: asked.name, wanted: self.name.clone() }.into());
        }
        asked.serve_endpoint = Some(self.endpoint.clone());
        asked.check_collections()?;
        asked.grants.clone_from(&self.grants);
        check_permission(tx, &self.by, &asked.name)?;
        store(tx, &self.by, asked)
    }
}

/// What a registration asks for.
struct Asked {
    name: String,
    description: Option<String>,
    creation_schema: Option<Box<RawValue>>,
    inbox_schemas: Option<Box<RawValue>>,
    state_schemas: Option<Box<RawValue>>,
    slash_commands: Option<Box<RawValue>>,
    collections: Option<Box<RawValue>>,
    serve_endpoint: Option<String>,
    /// The policy, or what is wrong with a manifest's: that is said last.
    policy: Option<Result<Policy, Vec<(String, String)>>>,
    grants: Vec<permission::Asked>,
}

impl Asked {
    fn of(body: &Body<'_>) -> Result<Self, Refusal> {
        body.closed(&[
            "name",
            "description",
            "creation_schema",
            "inbox_schemas",
            "state_schemas",
            "slash_commands",
            "serve_endpoint",
            "default_dispatch_policy",
            "permission_grants",
            "externally_writable_collections",
        ]);
        let grants = permission::Asked::all(body, "permission_grants", permission::TYPE_FORM);
        for (name, form) in
            [("slash_commands", slash_command::FORM), ("externally_writable_collections", collection::FORM)]
        {
            for (path, message) in body.raw(name).map(|raw| validate::form(form, raw)).unwrap_or_default() {
                body.complain(format!("/{name}{path}"), message);
            }
        }
        policy(body, "default_dispatch_policy");
        Ok(Self { grants, ..Self::of_manifest(body)? })
    }

    /// A serve endpoint's manifest may hold members that nobody knows.
    fn of_manifest(body: &Body<'_>) -> Result<Self, Refusal> {
        let asked = Self {
            name: body.text("name").unwrap_or_default(),
            description: body.text("description"),
            creation_schema: body.object("creation_schema").map(ToOwned::to_owned),
            inbox_schemas: type_schemas::map(body, "inbox_schemas"),
            state_schemas: type_schemas::map(body, "state_schemas"),
            slash_commands: body.raw("slash_commands").map(ToOwned::to_owned),
            collections: body.object("externally_writable_collections").map(ToOwned::to_owned),
            serve_endpoint: body.text("serve_endpoint"),
            policy: body.json("default_dispatch_policy").map(|policy| Policy::parse(&policy)),
            grants: Vec::new(),
        };
        if asked.slash_commands.as_ref().is_some_and(|c| !c.get().starts_with('[')) {
            body.complain("/slash_commands".to_owned(), "must be array");
        }
        body.check()?;
        Ok(asked)
    }

    fn check_collections(&self) -> Result<(), Refusal> {
        self.collections.as_deref().map_or(Ok(()), collection::check)
    }

    fn check_commands(&self) -> Result<(), Refusal> {
        let Some(commands) = &self.slash_commands else { return Ok(()) };
        let complaints = slash_command::check(commands);
        if complaints.is_empty() { Ok(()) } else { Err(validate::invalid(&complaints)) }
    }
}

/// A dispatch policy in a body; complaints name its members.
pub(super) fn policy(body: &Body<'_>, name: &str) -> Option<Policy> {
    match Policy::parse(&body.json(name)?) {
        Ok(policy) => Some(policy),
        Err(complaints) => {
            for (path, message) in complaints {
                body.complain(format!("/{name}{path}"), message);
            }
            None
        }
    }
}

/// A new type may be registered by anybody, another version by who may manage it.
fn check_permission(tx: &Tx<'_>, by: &Principal, name: &str) -> Result<(), Error> {
    match tx.entity_type(name)? {
        Some(_) => permission::check_type(tx, by, Permission::Manage, name),
        None if name.is_empty() => Ok(()),
        None => {
            let decision = if by.is_system() { Decision::System } else { Decision::Granted };
            let may = last_word(tx, by, Permission::Manage, Resource::Registration(name), decision);
            if may { Ok(()) } else { Err(NotRegistering.into()) }
        }
    }
}

/// Whether a name stands in a path as it is: nothing decodes it, so what must be escaped there could never be meant. A `*`
/// stands for any name in patterns.
fn is_segment(name: &str) -> bool {
    let path = format!("/{name}");
    name.len() <= TYPE_NAME && !name.contains(['/', '?', '#', '*']) && canonical_path(&path) == path && is_encoded(name)
}

fn store(tx: &Tx<'_>, by: &Principal, asked: Asked) -> Result<Done, Error> {
    if asked.name.is_empty() {
        return Err(MissingField { name: "name" }.into());
    }
    if asked.name == "principal" {
        return Err(BuiltIn.into());
    }
    if asked.name.starts_with('_') {
        return Err(Reserved.into());
    }
    if !is_segment(&asked.name) {
        return Err(UnfitName { name: asked.name }.into());
    }
    if asked.description.as_deref().is_none_or(str::is_empty) {
        return Err(MissingField { name: "description" }.into());
    }
    type_schemas::admit_all(&asked.creation_schema, &asked.inbox_schemas, &asked.state_schemas)?;
    asked.check_commands()?;
    let policy = asked.policy.transpose().map_err(|complaints| BadPolicy::of(&complaints))?;
    let policy = policy.or_else(|| asked.serve_endpoint.as_deref().map(Policy::webhook));
    if let Some(Target::Webhook(url)) = policy.as_ref().map(|policy| &policy.target) {
        egress::judge(&tx.config.egress, url)?;
    }
    let existing = tx.entity_type(&asked.name)?;
    let schemas = type_schemas::keep(tx, existing.as_ref(), &asked.inbox_schemas, &asked.state_schemas)?;
    let row = EntityTypeRow {
        name: asked.name,
        definition: Definition {
            description: asked.description.unwrap_or_default(),
            creation_schema: asked.creation_schema,
            inbox_schemas: asked.inbox_schemas,
            state_schemas: asked.state_schemas,
            externally_writable_collections: asked.collections,
            slash_commands: asked.slash_commands,
            serve_endpoint: asked.serve_endpoint,
            default_dispatch_policy: policy.map(|p| p.json()),
        },
        schemas,
        revision: existing.as_ref().map_or(1, |e| e.revision + 1),
        created_at: existing.map_or(tx.now, |e| e.created_at),
        updated_at: tx.now,
    };
    tx.write_entity_type(&row)?;
    permission::type_grants::register(tx, by, &row.name, &asked.grants)?;
    Ok(Response::json(StatusCode::CREATED, &View::of(&row)).into())
}
