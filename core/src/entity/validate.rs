//! What comes to an entity fits the schemas of its type: those that the type had when the entity was spawned, overlaid
//! by those that it has now (control plane, section 5.5).

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::value::RawValue;

use super::composer;
use super::schema::{self, Budget, Complaint, Schema, Unfit, read};
use crate::http::{Error, Refusal, details, failure};
use crate::store::{EntityRow, EntityTypeRow, Read, SqlError};
use crate::stream::{Event, members};

failure! {
    /// The type has schemas for messages, and none of this name.
    UnknownMessageType { kind: String } => UNPROCESSABLE_ENTITY "UNKNOWN_MESSAGE_TYPE", "Unknown message type \"{kind}\""
}

failure! {
    /// The type has schemas for events, and none of this name.
    UnknownEventType { kind: String } => UNPROCESSABLE_ENTITY "UNKNOWN_EVENT_TYPE", "Unknown event type \"{kind}\""
}

/// 422, and what is wrong with which member.
pub(super) fn invalid(complaints: &[Complaint]) -> Refusal {
    let refusal = Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "SCHEMA_VALIDATION_FAILED", "Validation failed");
    Refusal { details: Some(details(complaints)), ..refusal }
}

/// What of a body does not have a form of ours.
pub(crate) fn form(form: &str, value: &RawValue) -> Vec<Complaint> {
    check(&mut Schema::of(form), value, &mut Budget::default())
}

/// Admits a schema that comes from elsewhere than a type.
///
/// # Errors
/// What about it cannot be used.
pub(crate) fn admit(schema: &str) -> Result<(), String> {
    schema::admit(schema, &mut Budget::default()).map_err(|unfit| match unfit {
        Unfit::Keyword => "uses a keyword beyond those that the schemas of types may use".to_owned(),
        Unfit::Unusable { at, why } => format!("{at} {why}"),
    })
}

/// Checks the arguments of a spawn.
pub(super) fn args(schema: &RawValue, args: &RawValue) -> Result<(), Refusal> {
    match form(schema.get(), args) {
        complaints if complaints.is_empty() => Ok(()),
        complaints => Err(invalid(&complaints)),
    }
}

/// Checks a message. One without a type is never checked; one from the composer has rules of its own.
pub(super) fn message(
    read: &Read<'_>,
    entity: &EntityRow,
    registered: Option<&EntityTypeRow>,
    kind: Option<&str>,
    payload: Option<&RawValue>,
) -> Result<(), Error> {
    let Some(kind) = kind else { return Ok(()) };
    let complaints = if kind == "composer_input" {
        composer::check(payload)
    } else {
        let Some(mut schemas) = Schemas::of(read, entity, registered, Area::Inbox)? else { return Ok(()) };
        let unknown = || UnknownMessageType { kind: kind.to_owned() };
        let schema = schemas.schema(kind).ok_or_else(unknown)?;
        payload.map(|payload| check(schema, payload, &mut Budget::default())).unwrap_or_default()
    };
    if complaints.is_empty() { Ok(()) } else { Err(invalid(&complaints).into()) }
}

/// Checks what is appended to an entity's stream, event by event (wake specification, section 2.3). The first that does
/// not fit is refused without details, and everything with it. Gives the type as it is registered.
pub(crate) fn events(read: &Read<'_>, entity: &EntityRow, messages: &[&str]) -> Result<Option<EntityTypeRow>, Error> {
    let registered = read.entity_type(&entity.kind)?;
    let Some(mut schemas) = Schemas::of(read, entity, registered.as_ref(), Area::State)? else { return Ok(registered) };
    let mut budget = Budget::default();
    for message in messages {
        let event = Event::of(message);
        let Some(kind) = event.kind.as_deref() else { continue };
        let schema = schemas.schema(kind).ok_or_else(|| UnknownEventType { kind: kind.to_owned() })?;
        let Some(value) = subject(message, &event) else { continue };
        if !check(schema, value, &mut budget).is_empty() {
            return Err(Refusal { details: None, ..invalid(&[]) }.into());
        }
    }
    Ok(registered)
}

/// What an event is about: the row that it takes away, when it says so, else its value.
fn subject<'a>(message: &'a str, event: &Event<'a>) -> Option<&'a RawValue> {
    let old = || members(message).into_iter().rfind(|(name, _)| name == "old_value").map(|(_, value)| value);
    match event.operation.as_deref() {
        Some("delete") => old().or(event.value),
        _ => event.value,
    }
}

fn check(schema: &mut Schema, value: &RawValue, budget: &mut Budget) -> Vec<Complaint> {
    match read(value.get()) {
        Ok(value) => schema.check(&value, budget),
        Err(e) => vec![(String::new(), format!("must be readable: {e}"))],
    }
}

/// What of a type's schemas.
#[derive(Clone, Copy, Debug)]
enum Area {
    Inbox,
    State,
}

/// The schemas of an entity's messages or events, by type.
struct Schemas {
    texts: Map,
    read: BTreeMap<String, Schema>,
}

/// Schemas by name, as they are stored.
pub(super) type Map = BTreeMap<String, Box<RawValue>>;

impl Schemas {
    /// The schemas that hold for an entity; `None` when nothing is checked. The snapshot is only read when the type has
    /// changed since.
    fn of(
        read: &Read<'_>,
        entity: &EntityRow,
        registered: Option<&EntityTypeRow>,
        area: Area,
    ) -> Result<Option<Self>, SqlError> {
        let current = registered.and_then(|kind| match area {
            Area::Inbox => kind.definition.inbox_schemas.as_deref(),
            Area::State => kind.definition.state_schemas.as_deref(),
        });
        let snapshot = match entity.schemas.filter(|id| registered.and_then(|kind| kind.schemas) != Some(*id)) {
            Some(id) => read.schema_set(id)?,
            None => None,
        };
        let snapshot = snapshot.and_then(|set| match area {
            Area::Inbox => set.inbox,
            Area::State => set.state,
        });
        if current.is_none() && snapshot.is_none() {
            return Ok(None);
        }
        let mut texts = Map::new();
        for map in [snapshot.as_deref(), current].into_iter().flatten() {
            texts.extend(by_name(map).map_err(|e| SqlError::new(format!("stored schemas do not parse: {e}")))?);
        }
        Ok(Some(Self { texts, read: BTreeMap::new() }))
    }

    fn schema(&mut self, kind: &str) -> Option<&mut Schema> {
        if !self.read.contains_key(kind) {
            self.read.insert(kind.to_owned(), Schema::of(self.texts.get(kind)?.get()));
        }
        self.read.get_mut(kind)
    }
}

/// The schemas of a map.
pub(super) fn by_name(map: &RawValue) -> Result<Map, serde_json::Error> {
    serde_json::from_str(map.get())
}
