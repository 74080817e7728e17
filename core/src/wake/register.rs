//! `POST /_electric/wake` and its undoing (wake specification, section 1.2).

use serde_json::Value as Json;
use serde_json::value::RawValue;

use super::condition::Condition;
use super::timeout;
use crate::engine::Done;
use crate::http::{Body, Call, Error, failure};
use crate::limits::REGISTRATIONS;
use crate::observe::asleep;
use crate::observe::webhook_sources;
use crate::permission::Subject;
use crate::schedule::cron::Spec;
use crate::schedule::ticks;
use crate::store::{EntityRow, MAX_INT, NewRegistration, SqlError, Tx};
use crate::stream::{Offset, Owner};
use crate::tenant::{Permission, Principal, permission};
use crate::time::{Span, Time};

failure! {
    /// The subscriber does not exist.
    NoSubscriber { url: String } => NOT_FOUND "NOT_FOUND", "Entity not found at {url}"
}

failure! {
    /// Neither what to unregister from nor which.
    InvalidUnregister => BAD_REQUEST "INVALID_WAKE_UNREGISTER", "sourceUrl or manifestKey is required"
}

failure! {
    /// The subscriber observes enough.
    TooMany { url: String } => CONFLICT "LIMIT_EXCEEDED", "{url} already holds the most wake registrations that one entity may"
}

failure! {
    /// The source is a runner's own.
    NotTheSources { url: String } => UNAUTHORIZED "UNAUTHORIZED", "Principal is not allowed to read {url}"
}

/// A registration as it is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(super) subscriber: String,
    pub(super) source: Option<String>,
    pub(super) condition: Condition,
    pub(super) manifest_key: String,
    pub(super) include_response: bool,
    pub(super) debounce: Span,
    pub(super) timeout: Span,
    pub(super) one_shot: bool,
    /// When it ends by itself.
    pub(super) until: Option<Time>,
}

impl Asked {
    /// The URL of who is to be woken.
    pub(crate) fn subscriber(&self) -> &str {
        &self.subscriber
    }
}

/// Registers a wake: 204. Registering it again changes nothing; under a manifest key the last write wins.
pub(crate) fn register(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let by = call.by()?;
    let body = Body::of(call.request)?;
    let source = body.required_text("sourceUrl");
    let raw = serde_json::from_slice::<&RawValue>(&call.request.body).unwrap_or(RawValue::NULL);
    let asked = ask(&body, "", raw, Some(source));
    body.check()?;
    if let Some(asked) = asked {
        let source = asked.source.clone().unwrap_or_default();
        add(call.store, by, &source, &asked)?;
    }
    Ok(Done::nothing())
}

/// Takes registrations away: 204, whether or not there were any.
pub(crate) fn unregister(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let (tx, by) = (call.store, call.by()?);
    let body = Body::of(call.request)?;
    let subscriber = body.required_text("subscriberUrl");
    let (source, key) = (body.text("sourceUrl"), body.text("manifestKey"));
    body.check()?;
    if source.is_none() && key.is_none() {
        return Err(InvalidUnregister.into());
    }
    let Some(entity) = tx.entity(&subscriber)? else { return Ok(Done::nothing()) };
    permission::check(tx, by, Permission::Write, &entity)?;
    match (source, key) {
        (Some(source), _) => tx.delete_registrations_between(entity.id, &source)?,
        (None, Some(key)) => tx.delete_registrations_under(entity.id, &key)?,
        (None, None) => {}
    }
    Ok(Done::nothing())
}

/// Reads a registration out of `raw`, the member `name` of a body (or the body itself). Complaints go to the body.
pub(crate) fn ask(body: &Body<'_>, name: &str, raw: &RawValue, source: Option<String>) -> Option<Asked> {
    let json = body.value(name, raw)?;
    let at = |member: &str| if name.is_empty() { format!("/{member}") } else { format!("/{name}/{member}") };
    let root = if name.is_empty() { "/".to_owned() } else { format!("/{name}") };
    let text = |member: &str| match json.get(member) {
        Some(Json::String(text)) => Some(text.clone()),
        Some(_) => {
            body.complain(at(member), "must be string");
            None
        }
        None => None,
    };
    let subscriber = text("subscriberUrl");
    if json.get("subscriberUrl").is_none() {
        body.complain(root.clone(), "must have required property 'subscriberUrl'");
    }
    let condition = match json.get("condition").map(Condition::parse) {
        Some(Ok(condition)) => Some(condition),
        Some(Err((path, message))) => {
            body.complain(at("condition") + &path, message);
            None
        }
        None => {
            body.complain(root, "must have required property 'condition'");
            None
        }
    };
    // The runtime repeats the whole wake inside its condition.
    let inner = json.get("condition");
    let millis = |member: &str| match json.get(member).or_else(|| inner?.get(member)) {
        #[allow(clippy::cast_possible_truncation, reason = "saturating is what an absurd delay deserves")]
        Some(Json::Number(n)) => Span::millis((n.as_f64().unwrap_or(0.0).ceil() as i64).min(LONGEST.as_millis())),
        Some(_) => {
            body.complain(at(member), "must be number");
            Span::ZERO
        }
        None => Span::ZERO,
    };
    let include_response = match json.get("includeResponse").or_else(|| inner?.get("includeResponse")) {
        None => true,
        Some(Json::Bool(yes)) => *yes,
        Some(_) => {
            body.complain(at("includeResponse"), "must be boolean");
            true
        }
    };
    Some(Asked {
        subscriber: subscriber?,
        source,
        condition: condition?,
        manifest_key: text("manifestKey").unwrap_or_default(),
        include_response,
        debounce: millis("debounceMs"),
        timeout: millis("timeoutMs"),
        one_shot: json.get("oneShot") == Some(&Json::Bool(true)),
        until: None,
    })
}

/// Makes a registration on a source, if the caller may write to the subscriber and read the source.
pub(crate) fn add(tx: &Tx<'_>, by: &Principal, source: &str, asked: &Asked) -> Result<(), Error> {
    let subscriber = tx.entity(&asked.subscriber)?.ok_or_else(|| NoSubscriber { url: asked.subscriber.clone() })?;
    permission::check(tx, by, Permission::Write, &subscriber)?;
    readable(tx, by, source)?;
    if let Some(spec) = Spec::of_path(source) {
        ticks::ensure(tx, &spec)?;
    }
    put(tx, &subscriber, source, asked)
}

/// Refuses a source that `by` may not read.
pub(super) fn readable(tx: &Tx<'_>, by: &Principal, source: &str) -> Result<(), Error> {
    match tx.entity(source)? {
        Some(entity) => permission::check(tx, by, Permission::Read, &entity),
        None => Owner::of(tx, source)?.check_read(tx, by, source),
    }
}

/// An entity comes to be where others may have registered before it was there: those who may not read it are forgotten.
pub(crate) fn forget_strangers(tx: &Tx<'_>, entity: &EntityRow) -> Result<(), SqlError> {
    for registration in tx.registrations_on(&entity.url, 0, MAX_INT, REGISTRATIONS)? {
        let creator = tx.entity_by_id(registration.subscriber)?.and_then(|s| Principal::parse(&s.created_by));
        let may = creator.map(|creator| permission::may(tx, &creator, Permission::Read, entity)).transpose()?;
        if may != Some(true) {
            tx.delete_registration(registration.id)?;
        }
    }
    Ok(())
}

/// Those whom `subject` means, or all when it is absent, may have lost a source: the registrations of who may not read it
/// any more are forgotten. Gives how many.
pub(crate) fn forget_lost(tx: &Tx<'_>, subject: Option<&Subject>, source: &str) -> Result<usize, SqlError> {
    let mut forgotten = 0;
    for (creator, registrations) in tx.observers(source, subject)? {
        let may = Principal::parse(&creator).map(|by| may_read(tx, &by, source)).transpose()?;
        if may != Some(true) {
            tx.delete_registrations_of(source, &creator)?;
            forgotten += registrations;
        }
    }
    Ok(forgotten)
}

/// An entity belongs to somebody else: what they may not read it observes no longer.
pub(crate) fn forget_unreadable(tx: &Tx<'_>, subscriber: &EntityRow, by: &Principal) -> Result<(), SqlError> {
    for held in tx.observed(subscriber.id, None, REGISTRATIONS)? {
        if !may_read(tx, by, &held.source)? {
            tx.delete_registration(held.id)?;
            tx.disarm_lapse(held.id, held.until)?;
        }
    }
    Ok(())
}

fn may_read(tx: &Tx<'_>, by: &Principal, source: &str) -> Result<bool, SqlError> {
    match readable(tx, by, source) {
        Ok(()) => Ok(true),
        Err(Error::Refused(_)) => Ok(false),
        Err(Error::Store(error)) => Err(error),
    }
}

pub(super) fn put(tx: &Tx<'_>, subscriber: &EntityRow, source: &str, asked: &Asked) -> Result<(), Error> {
    let new = NewRegistration {
        subscriber: subscriber.id,
        source,
        condition: &asked.condition,
        manifest_key: &asked.manifest_key,
        include_response: asked.include_response,
        debounce: asked.debounce,
        timeout: asked.timeout,
        one_shot: asked.one_shot,
        until: asked.until,
        since: tail(tx, source)?,
    };
    if !replace(tx, &new)? {
        return Ok(());
    }
    if tx.registrations_held(subscriber.id)? >= REGISTRATIONS {
        return Err(TooMany { url: subscriber.url.clone() }.into());
    }
    let id = tx.insert_registration(&new, tx.now)?;
    timeout::arm(tx, id, asked.timeout)?;
    webhook_sources::arm(tx, id, asked.until)?;
    asleep::is_observed(tx, source)
}

/// Where a source ends now: an entity's main stream, or a plain one.
fn tail(tx: &Tx<'_>, source: &str) -> Result<Offset, SqlError> {
    let stream = match tx.entity(source)? {
        Some(entity) => tx.stream_by_id(entity.id)?,
        None => tx.stream(source)?,
    };
    Ok(stream.map_or(Offset::ZERO, |s| s.tail))
}

/// Clears the way for a registration: one stays under a manifest key, one for the same source and condition without.
/// False when the very same is there already.
fn replace(tx: &Tx<'_>, new: &NewRegistration<'_>) -> Result<bool, SqlError> {
    let condition = new.condition.json();
    for known in tx.registrations_of(new.subscriber, new.manifest_key)? {
        let alike = known.source == new.source && known.condition == condition;
        let same = alike
            && known.include_response == new.include_response
            && known.debounce == new.debounce
            && known.timeout == new.timeout
            && known.one_shot == new.one_shot
            && known.until == new.until;
        if same {
            return Ok(false);
        }
        if alike || !new.manifest_key.is_empty() {
            tx.delete_registration(known.id)?;
            tx.disarm_lapse(known.id, known.until)?;
        }
    }
    Ok(true)
}

const LONGEST: Span = Span::secs(365 * 86_400);
