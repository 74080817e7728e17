//! The sandbox that an entity runs in: what its spawn chooses, held against what the runners offer (control plane,
//! section 10.3.4).

use serde::{Deserialize, Serialize};

use super::schema::read;
use super::validate;
use crate::dispatch::runner::profiles;
use crate::dispatch::{Policy, Target};
use crate::http::{Body, Error, Refusal, failure};
use crate::store::{EntityRow, Read, SqlError};

failure! {
    /// The choice names nothing.
    NoProfile => BAD_REQUEST "INVALID_REQUEST",
    "sandbox requires a \"profile\" (or \"inherit\": true with a parent that has a shared sandbox)."
}

failure! {
    /// The runner that is to run the entity does not offer it.
    NotAdvertised { profile: String, runner: String, names: String } => BAD_REQUEST "INVALID_REQUEST",
    "sandbox profile \"{profile}\" is not advertised by runner \"{runner}\" (advertised: {names})."
}

failure! {
    /// No runner offers it.
    NotOffered { profile: String, names: String } => BAD_REQUEST "INVALID_REQUEST",
    "sandbox profile \"{profile}\" is not offered by any registered runner (available: {names})."
}

failure! {
    /// Who shares a sandbox on a machine has to be on that machine.
    NotOneRunner => BAD_REQUEST "INVALID_REQUEST",
    "a shared sandbox (sandbox.key / sandbox.inherit) requires the entity to be pinned to a single runner via \
     dispatch_policy, so all collaborators share one host."
}

/// What a spawn asks for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Choice {
    profile: String,
    key: String,
    scope: Option<String>,
    persistent: Option<bool>,
    owner: Option<bool>,
    inherit: bool,
}

/// What an entity has.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Selection {
    profile: String,
    /// Whoever has the same one shares the sandbox.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    persistent: Option<bool>,
    /// False for those who use what is another's.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<bool>,
}

/// The choice in a body.
pub(super) fn choice(body: &Body<'_>, name: &str) -> Option<Choice> {
    let raw = body.object(name)?;
    let complaints = validate::form(FORM, raw);
    let fits = complaints.is_empty();
    for (path, message) in complaints {
        body.complain(format!("/{name}{path}"), message);
    }
    let value = read(raw.get()).ok().filter(|_| fits)?;
    serde_json::from_value(value).ok()
}

/// What comes of a choice, as it is stored: perhaps nothing, when there is nothing to inherit.
pub(super) fn resolve(
    read: &Read<'_>,
    choice: &Choice,
    parent: Option<&EntityRow>,
    policy: Option<&Policy>,
) -> Result<Option<String>, Error> {
    let selection = if choice.inherit { inherited(parent)? } else { Some(chosen(read, choice, policy)?) };
    Ok(selection.map(|selection| serde_json::to_string(&selection).expect("our own values serialise")))
}

/// A share in the parent's sandbox, if the parent shares it.
fn inherited(parent: Option<&EntityRow>) -> Result<Option<Selection>, SqlError> {
    let Some(text) = parent.and_then(|parent| parent.sandbox.as_deref()) else { return Ok(None) };
    let selection: Selection =
        serde_json::from_str(text).map_err(|e| SqlError::new(format!("a stored sandbox does not parse: {e}")))?;
    let shared = Some(selection).filter(|selection| selection.key.is_some());
    Ok(shared.map(|selection| Selection { scope: None, owner: Some(false), ..selection }))
}

fn chosen(read: &Read<'_>, choice: &Choice, policy: Option<&Policy>) -> Result<Selection, Error> {
    if choice.profile.is_empty() {
        return Err(NoProfile.into());
    }
    let runner = match policy.map(|policy| &policy.target) {
        Some(Target::Runner(id)) => Some(id.as_str()),
        _ => None,
    };
    let remote = match runner {
        Some(id) => advertised(read, &choice.profile, id)?,
        None => offered(read, &choice.profile)?,
    };
    let key = Some(choice.key.clone()).filter(|key| !key.is_empty());
    if key.is_some() && !remote && runner.is_none() {
        return Err(NotOneRunner.into());
    }
    let scope = choice.scope.clone().filter(|_| key.is_none());
    let owner = choice.owner.filter(|owner| !owner);
    Ok(Selection { profile: choice.profile.clone(), key, scope, persistent: choice.persistent, owner })
}

/// Whether a profile of a runner is remote.
fn advertised(read: &Read<'_>, profile: &str, runner: &str) -> Result<bool, Error> {
    let all = read.runner(runner)?.map(|runner| profiles::read(&runner.profiles)).unwrap_or_default();
    let found = all.iter().find(|offered| offered.name == profile);
    let refuse = || {
        let names = listed(all.iter().map(|offered| offered.name.as_str()));
        NotAdvertised { profile: profile.to_owned(), runner: runner.to_owned(), names }
    };
    Ok(found.ok_or_else(refuse).map_err(Refusal::from)?.remote)
}

/// Whether a profile is remote, whichever of the runners that offer it runs the entity.
fn offered(read: &Read<'_>, profile: &str) -> Result<bool, Error> {
    if let Some(remote) = read.is_remote_profile(profile)? {
        return Ok(remote);
    }
    let names = read.profile_names(SHOWN)?;
    Err(NotOffered { profile: profile.to_owned(), names: listed(names.iter().map(String::as_str)) }.into())
}

/// Names as a message shows them.
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    if names.is_empty() { "(none)".to_owned() } else { names.join(", ") }
}

/// The form that a choice has to have. What else it says is passed over.
const FORM: &str = r#"{"type":"object","properties":{
    "profile":{"type":"string","maxLength":1024},"key":{"type":"string","maxLength":1024},
    "scope":{"anyOf":[{"const":"entity"},{"const":"wake"}]},"persistent":{"type":"boolean"},
    "owner":{"type":"boolean"},"inherit":{"type":"boolean"}}}"#;

/// How many of the profiles that there are a refusal names.
const SHOWN: usize = 64;
