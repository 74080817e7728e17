//! `PUT /_electric/entities/{type}/{id}`: an entity comes to be, with its stream, its dispatch, its first message and
//! the wake of whoever waits for it — or nothing does (control plane, section 10.3).

use http::StatusCode;
use serde_json::json;
use serde_json::value::RawValue;

use super::inbox::{self, Message};
use super::principal;
use super::register::policy;
use super::sandbox::{self, Choice};
use super::save;
use super::schema::read;
use super::status::Status;
use super::types::UnknownEntityType;
use super::validate;
use super::view::View;
use crate::dispatch::{Policy, link, resolve};
use crate::engine::Done;
use crate::http::{Body, Call, Error, Refusal, Response, failure};
use crate::limits::TAGS;
use crate::store::{EntityRow, Tx};
use crate::stream::{Cause, Class, Content, compact, members, write};
use crate::tenant::{Permission, Principal, permission};
use crate::time::Time;
use crate::wake;
use crate::wake::register::{Asked, ask};

failure! {
    /// Principals come to be by calling.
    PrincipalsAreBuiltIn => BAD_REQUEST "INVALID_REQUEST", "Principal entities are built in and cannot be spawned directly"
}

failure! {
    /// Patterns of streams would not tell its name from any other.
    Starred => BAD_REQUEST "INVALID_REQUEST", "the URL of an entity has no `*`: in patterns it stands for any name"
}

failure! {
    /// The parent does not exist.
    ParentNotFound => NOT_FOUND "NOT_FOUND", "Parent entity not found"
}

failure! {
    /// The parent is not the caller's.
    NotTheParents { url: String } => UNAUTHORIZED "UNAUTHORIZED", "Principal is not allowed to spawn children from {url}"
}

failure! {
    /// The parent is not the caller's to give away.
    TooBroad { url: String } => UNAUTHORIZED "UNAUTHORIZED", "Principal is not allowed to delegate broad grants from {url}"
}

failure! {
    /// The parent ends, or has ended.
    ParentIsEnding { url: String } => CONFLICT "NOT_RUNNING", "Parent entity \"{url}\" is not accepting writes"
}

failure! {
    /// The URL is taken, by an entity or by its stream.
    DuplicateUrl { url: String } => CONFLICT "DUPLICATE_URL", "Entity already exists at URL \"{url}\""
}

/// What a spawn asks for.
struct Spawn<'a> {
    args: Option<&'a RawValue>,
    tags: Vec<(String, String)>,
    parent: Option<String>,
    policy: Option<Policy>,
    sandbox: Option<Choice>,
    message: Option<Message<'a>>,
    wake: Option<Asked>,
    grants: Vec<permission::Asked>,
}

/// Spawns the entity at the request's path: 201.
pub(crate) fn spawn(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let tx = call.store;
    let by = call.by()?;
    let (kind, id) = (call.param("type"), call.param("id"));
    if kind.is_empty() || kind == principal::TYPE {
        return Err(PrincipalsAreBuiltIn.into());
    }
    if kind.contains('*') || id.contains('*') {
        return Err(Starred.into());
    }
    let registered = tx.entity_type(kind)?.ok_or_else(|| UnknownEntityType { name: kind.to_owned() })?;
    let body = Body::of(call.request)?;
    let spawn = Spawn::of(&body)?;
    permission::check_type(tx, by, Permission::Spawn, kind)?;
    let parent = match &spawn.parent {
        Some(url) => Some(tx.entity(url)?.ok_or(ParentNotFound)?),
        None => None,
    };
    if let Some(parent) = &parent
        && !permission::may(tx, by, Permission::Spawn, parent)?
    {
        return Err(NotTheParents { url: parent.url.clone() }.into());
    }
    check_broad(tx, by, parent.as_ref(), &spawn.grants)?;
    principal::ensure(tx, by)?;
    let inherited = parent.as_ref().map(link::policy_of).transpose()?.flatten();
    let policy = resolve(spawn.policy.as_ref(), inherited.as_ref(), registered.definition.policy()?.as_ref());
    if let Some(policy) = &policy {
        link::check(tx, by, policy)?;
    }
    if let (Some(schema), Some(args)) = (&registered.definition.creation_schema, spawn.args) {
        validate::args(schema, args)?;
    }
    let url = format!("/{kind}/{id}");
    let path = format!("{url}/main");
    if tx.stream(&path)?.is_some() {
        return Err(duplicate(url).into());
    }
    parent.as_ref().map_or(Ok(()), check_parent)?;
    let sandbox = match &spawn.sandbox {
        Some(choice) => sandbox::resolve(tx, choice, parent.as_ref(), policy.as_ref())?,
        None => None,
    };

    let mut stream = tx.insert_stream(&path, "application/json")?;
    let entity = EntityRow {
        id: stream.id,
        url,
        kind: kind.to_owned(),
        status: Status::Idle,
        policy: policy.map(|p| p.json().to_string()),
        tags: tags_json(&spawn.tags),
        args: spawn.args.map_or("{}", RawValue::get).to_owned(),
        sandbox,
        parent: parent.as_ref().map(|p| p.url.clone()),
        created_by: by.url(),
        type_revision: registered.revision,
        schemas: registered.schemas,
        next_wake: Time::ZERO,
        locked: false,
        created_at: tx.now,
        updated_at: tx.now,
    };
    save::create(tx, &entity)?;
    permission::bestow(tx, by, parent.as_ref(), &entity, &spawn.grants)?;
    save::announce(tx, &entity)?;
    principal::has_come(tx, &entity, &mut stream)?;
    let first = birth(&entity, registered.definition.slash_commands.as_deref(), tx.now);
    write(tx, &mut stream, &Content::Json(first.iter().map(String::as_str).collect()), Cause::outside(Class::Named))?;
    if let Some(wake) = &spawn.wake {
        wake::register::add(tx, by, &entity.url, wake)?;
    }
    link::link(tx, &entity)?;
    stream.followed |= entity.policy.is_some();
    if let Some(message) = &spawn.message {
        validate::message(tx, &entity, Some(&registered), message.kind.as_deref(), Some(message.payload))?;
        inbox::append(tx, &entity, &mut stream, message, &tx.draw.uuid(), Cause::outside(Class::Named))?;
    }
    let mut view = View::of(&entity);
    view.txid = Some(tx.txid());
    if spawn.args.is_none() {
        view.spawn_args = None;
    }
    // The header is a relic that clients expect; entities are written to under the token of a claim.
    Ok(Response::json(StatusCode::CREATED, &view).with("x-write-token", tx.draw.uuid()).into())
}

impl<'a> Spawn<'a> {
    fn of(body: &Body<'a>) -> Result<Self, Refusal> {
        let args = body.object("args");
        let tags = body.strings("tags").unwrap_or_default();
        let parent = body.text("parent").filter(|p| !p.is_empty());
        let policy = policy(body, "dispatch_policy");
        let kind = body.text("initialMessageType").filter(|t| !t.is_empty());
        let message = body.raw("initialMessage").map(|payload| Message::first(payload, kind));
        let wake = body.object("wake").and_then(|raw| ask(body, "wake", raw, None));
        let sandbox = sandbox::choice(body, "sandbox");
        let grants = permission::Asked::all(body, "grants", permission::ENTITY_FORM);
        if tags.len() > TAGS {
            body.complain("/tags".to_owned(), format!("must NOT have more than {TAGS} properties"));
        }
        body.check()?;
        Ok(Self { args, tags, parent, policy, sandbox, message, wake, grants })
    }
}

/// Grants that go further than a child of another's entity need whoever may manage that.
fn check_broad(
    tx: &Tx<'_>,
    by: &Principal,
    parent: Option<&EntityRow>,
    grants: &[permission::Asked],
) -> Result<(), Error> {
    let Some(parent) = parent.filter(|_| grants.iter().any(permission::Asked::is_broad)) else { return Ok(()) };
    if permission::may(tx, by, Permission::Manage, parent)? {
        Ok(())
    } else {
        Err(TooBroad { url: parent.url.clone() }.into())
    }
}

/// Nobody is born below an entity that ends, or has ended: nobody would be there for them. One that is paused may have
/// children, since it will be continued.
pub(super) fn check_parent(parent: &EntityRow) -> Result<(), Refusal> {
    if parent.status.accepts_writes() { Ok(()) } else { Err(ParentIsEnding { url: parent.url.clone() }.into()) }
}

/// 409, and who is there: a client that finds its child there need not ask.
pub(super) fn duplicate(url: String) -> Refusal {
    let kind = url.split('/').nth(1).unwrap_or("").to_owned();
    let entity = json!({ "url": url, "type": kind, "streams": { "main": format!("{url}/main") } });
    let mut refusal = Refusal::from(DuplicateUrl { url });
    refusal.details = Some(json!({ "entity": entity }));
    refusal
}

/// The first events of an entity's stream.
pub(super) fn birth(entity: &EntityRow, commands: Option<&RawValue>, now: Time) -> Vec<String> {
    let stamp = now.iso();
    let parent = entity.parent.as_ref().map_or(String::new(), |p| format!(",\"parent_url\":{}", json!(p)));
    let mut events = vec![format!(
        r#"{{"type":"entity_created","key":"entity-created","value":{{"entity_type":{},"timestamp":"{stamp}","args":{}{parent}}},"headers":{{"operation":"insert"}}}}"#,
        json!(entity.kind),
        entity.args,
    )];
    let commands: Vec<&RawValue> = commands.and_then(|c| serde_json::from_str(c.get()).ok()).unwrap_or_default();
    for command in commands {
        let name = members(command.get()).into_iter().rfind(|(n, _)| n == "name").map_or("null", |(_, v)| v.get());
        let mut value = read(command.get()).unwrap_or_default();
        value["source"] = "static".into();
        value["updated_at"] = stamp.as_str().into();
        events.push(format!(
            r#"{{"type":"slash_command","key":{name},"value":{},"headers":{{"operation":"insert"}}}}"#,
            compact(&value)
        ));
    }
    events
}

fn tags_json(tags: &[(String, String)]) -> String {
    let map: serde_json::Map<String, serde_json::Value> =
        tags.iter().map(|(k, v)| (k.clone(), v.as_str().into())).collect();
    serde_json::Value::Object(map).to_string()
}
