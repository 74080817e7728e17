//! `POST …/fork`: what is asked for, and what is wrong with that whatever the entities are doing.

use http::StatusCode;
use serde_json::value::RawValue;

use super::wait::Waiting;
use crate::dispatch::link;
use crate::engine::Done;
use crate::entity::spawn::{NotTheParents, ParentNotFound, check_parent};
use crate::entity::{find_to_write, principal};
use crate::http::{Body, Call, Error, Refusal, failure};
use crate::limits::{FORK_WAIT, FORK_WAIT_USUAL, TAGS};
use crate::store::{EntityRow, Tx};
use crate::tenant::{Permission, Principal, permission};
use crate::time::Span;
use crate::wake::register::{Asked, ask};

failure! {
    /// It says twice where to branch.
    Exclusive => BAD_REQUEST "INVALID_REQUEST", "fork_pointer and anchor are mutually exclusive"
}

failure! {
    /// Nobody is there to be woken.
    WakeNeedsParent => BAD_REQUEST "INVALID_REQUEST", "wake requires parent (the fork's wake fires to its parent)"
}

failure! {
    /// Somebody else is to be woken.
    NotTheSubscriber => UNAUTHORIZED "UNAUTHORIZED", "wake.subscriberUrl must match parent"
}

failure! {
    /// Nobody waits so long.
    BadWait => BAD_REQUEST "INVALID_REQUEST", "waitTimeoutMs must be a non-negative number"
}

/// Where a fork branches off.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// At the end of everything.
    Head,
    /// So many events after an offset; after the start of the stream when there is none.
    Pointer { offset: Option<String>, sub: f64 },
    /// At the end of the last run that was completed.
    LatestRun,
}

/// What a fork asks for.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    /// The id of the new root.
    pub(super) id: Option<String>,
    pub(super) place: Place,
    /// It names a pointer and an anchor.
    ambiguous: bool,
    wait: f64,
    pub(super) parent: Option<String>,
    pub(super) wake: Option<Asked>,
    pub(super) message: Option<Box<RawValue>>,
    pub(super) tags: Vec<(String, String)>,
}

/// Forks the entity at the request's path, once it and those below it are idle: 201 with the new ones.
pub(crate) fn fork(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let (tx, by) = (call.store, call.by()?);
    let source = find_to_write(call)?;
    let ask = Ask::of(&Body::of(call.request)?)?;
    permission::check(tx, by, Permission::Fork, &source)?;
    principal::refuse(&source, "forked")?;
    Waiting::new(by, &source, ask, tx.now).attempt(tx)
}

impl Ask {
    fn of(body: &Body<'_>) -> Result<Self, Refusal> {
        let (pointer, anchor) = (pointer(body), anchor(body));
        let ask = Self {
            id: body.text("instance_id"),
            ambiguous: pointer.is_some() && anchor.is_some(),
            place: pointer.or(anchor).unwrap_or(Place::Head),
            wait: body.number("waitTimeoutMs").unwrap_or(FORK_WAIT_USUAL),
            parent: body.text("parent"),
            wake: body.object("wake").and_then(|raw| ask(body, "wake", raw, None)),
            message: body.raw("initialMessage").map(ToOwned::to_owned),
            tags: body.strings("tags").unwrap_or_default(),
        };
        if ask.tags.len() > TAGS {
            body.complain("/tags".to_owned(), format!("must NOT have more than {TAGS} properties"));
        }
        body.check()?;
        Ok(ask)
    }

    /// Refuses what the caller may not have or cannot mean. Gives the new root's parent.
    pub(super) fn check(&self, tx: &Tx<'_>, by: &Principal, source: &EntityRow) -> Result<Option<EntityRow>, Error> {
        if self.ambiguous {
            return Err(Exclusive.into());
        }
        if let Some(policy) = link::policy_of(source)? {
            link::check(tx, by, &policy)?;
        }
        let parent = self.parent.as_ref().map(|url| parent(tx, by, url)).transpose()?;
        match (&self.wake, &parent) {
            (Some(_), None) => return Err(WakeNeedsParent.into()),
            (Some(wake), Some(parent)) if wake.subscriber() != parent.url => return Err(NotTheSubscriber.into()),
            _ => {}
        }
        if self.wait < 0.0 { Err(BadWait.into()) } else { Ok(parent) }
    }

    /// How long it waits for what it copies to be idle.
    pub(super) fn wait(&self) -> Span {
        #[allow(clippy::cast_possible_truncation, reason = "saturating is what an absurd wait deserves")]
        Span::millis((self.wait.ceil() as i64).clamp(0, FORK_WAIT.as_millis()))
    }
}

fn parent(tx: &Tx<'_>, by: &Principal, url: &str) -> Result<EntityRow, Error> {
    let parent = tx.entity(url)?.ok_or(ParentNotFound)?;
    if !permission::may(tx, by, Permission::Spawn, &parent)? {
        return Err(NotTheParents { url: parent.url }.into());
    }
    check_parent(&parent)?;
    Ok(parent)
}

fn pointer(body: &Body<'_>) -> Option<Place> {
    let pointer = body.value("fork_pointer", body.object("fork_pointer")?)?;
    for name in ["offset", "sub_offset"] {
        if pointer.get(name).is_none() {
            body.complain("/fork_pointer".to_owned(), format!("must have required property '{name}'"));
        }
    }
    let offset = pointer["offset"].as_str().map(str::to_owned);
    if offset.is_none() && !pointer["offset"].is_null() {
        body.complain("/fork_pointer/offset".to_owned(), "must be string");
    }
    let sub = pointer["sub_offset"].as_f64();
    if sub.is_none() && pointer.get("sub_offset").is_some() {
        body.complain("/fork_pointer/sub_offset".to_owned(), "must be number");
    }
    Some(Place::Pointer { offset, sub: sub.unwrap_or(0.0) })
}

fn anchor(body: &Body<'_>) -> Option<Place> {
    let anchor = body.text("anchor")?;
    if anchor != "latest_completed_run" {
        body.complain("/anchor".to_owned(), "must be equal to constant");
    }
    Some(Place::LatestRun)
}

/// A refusal with a 400.
pub(super) fn bad(message: String) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "INVALID_REQUEST", message)
}
