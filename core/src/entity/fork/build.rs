//! The fork itself: rows and streams, then what they say of each other, then who runs them.

use http::StatusCode;
use serde::Serialize;
use serde_json::value::RawValue;

use super::TooLarge;
use super::ask::Ask;
use super::ids::choose;
use super::point::Point;
use super::reading::{Source, main};
use super::reconcile::reconcile;
use super::remap::Names;
use super::replay::Told;
use super::sends;
use crate::dispatch::link;
use crate::engine::Done;
use crate::entity::inbox::{self, Message};
use crate::entity::view::View;
use crate::entity::{Status, added_rows, attachments, principal, save, tags};
use crate::http::{Error, Response};
use crate::limits::{FORK_STREAMS, FORKS};
use crate::permission::{self, Permission};
use crate::store::{EntityRow, StreamRow, Tx};
use crate::stream::{Cause, Class, copy, is_too_deep, shared_state};
use crate::tenant::Principal;
use crate::time::Time;
use crate::{subscription, wake};

/// An entity that was copied.
pub(super) struct Copy {
    pub(super) source: EntityRow,
    pub(super) entity: EntityRow,
    pub(super) stream: StreamRow,
    pub(super) told: Told,
}

/// Copies an entity and those below it, parents first, whose streams say what they say: 201 with the copies.
pub(super) fn build(
    tx: &Tx<'_>,
    by: &Principal,
    ask: &Ask,
    parent: Option<&EntityRow>,
    members: Vec<EntityRow>,
    sources: Vec<Source>,
    point: Option<&Point>,
) -> Result<Done, Error> {
    let names = choose(tx, ask, &members, &sources)?;
    check_streams(&members[0], &names, &sources)?;

    let mut copies = Vec::with_capacity(members.len());
    for (n, (member, source)) in members.into_iter().zip(sources).enumerate() {
        let root = Root { ask, parent, point };
        copies.push(copy_entity(tx, by, &names, member, source, (n == 0).then_some(&root))?);
    }
    copy_states(tx, &names)?;
    sends::remember(tx, &names, &copies, point.is_some())?;
    let txid = format!("fork-{}", tx.draw.uuid());
    for copy in &mut copies {
        reconcile(tx, &names, copy, &txid)?;
    }
    if let Some(wake) = &ask.wake {
        wake::register::add(tx, by, &copies[0].entity.url, wake)?;
    }
    for copy in &copies {
        link::link(tx, &copy.entity)?;
    }
    if let Some(message) = &ask.message {
        greet(tx, by, parent, &copies[0].entity, message)?;
    }
    let entities = copies.iter().map(|copy| View::of(&copy.entity)).collect();
    Ok(Response::json(StatusCode::CREATED, &Forked { root: View::of(&copies[0].entity), entities }).into())
}

#[derive(Serialize)]
struct Forked<'a> {
    root: View<'a>,
    entities: Vec<View<'a>>,
}

/// What is the new root's alone.
struct Root<'a> {
    ask: &'a Ask,
    parent: Option<&'a EntityRow>,
    point: Option<&'a Point>,
}

/// Refuses to copy more streams than fit into one transaction.
fn check_streams(root: &EntityRow, names: &Names, sources: &[Source]) -> Result<(), TooLarge> {
    let files: usize = sources.iter().map(|source| source.told.files().count()).sum();
    if names.states().len() + files > FORK_STREAMS {
        let what = format!("it has more than {FORK_STREAMS} attachments and shared states");
        return Err(TooLarge { url: root.url.clone(), what });
    }
    Ok(())
}

fn copy_entity(
    tx: &Tx<'_>,
    by: &Principal,
    names: &Names,
    source: EntityRow,
    Source { stream, told, now }: Source,
    root: Option<&Root<'_>>,
) -> Result<Copy, Error> {
    let url = names.url(&source.url).cloned().unwrap_or_default();
    if is_too_deep(tx, &stream)? {
        return Err(TooLarge { url: source.url, what: format!("it is a fork of a fork, {FORKS} deep") }.into());
    }
    let (at, sub) = root.and_then(|root| root.point).map_or((stream.tail, 0), |point| (point.at, point.sub));
    let mut stream = copy(tx, stream, at, sub, &format!("{url}/main"))?;
    if sub > 0 {
        added_rows::taken_along(tx, &source.kind, &stream, at)?;
    }
    let parent = match root {
        Some(root) => root.parent.cloned(),
        None => source.parent.as_ref().and_then(|url| names.url(url)).map(|url| tx.entity(url)).transpose()?.flatten(),
    };
    let entity = EntityRow {
        id: stream.id,
        url,
        status: Status::Idle,
        tags: root.map_or(Ok(source.tags.clone()), |root| tags::with(&source, &root.ask.tags))?,
        args: remapped(names, &source.args),
        parent: parent.as_ref().map(|parent| parent.url.clone()),
        created_by: by.url(),
        next_wake: Time::ZERO,
        locked: false,
        created_at: tx.now,
        updated_at: tx.now,
        ..source.clone()
    };
    save::create(tx, &entity)?;
    if let Some(parent) = &parent {
        permission::inherit(tx, parent, &entity)?;
    }
    save::announce(tx, &entity)?;
    principal::has_come(tx, &entity, &mut stream)?;
    for key in told.files().filter(|key| now.as_ref().is_none_or(|now| told.has_same_file(now, key))) {
        attachments::copy(tx, &source, &entity, key)?;
    }
    Ok(Copy { source, entity, stream, told })
}

fn remapped(names: &Names, args: &str) -> String {
    let raw = serde_json::from_str::<&RawValue>(args).ok();
    raw.and_then(|raw| names.json(raw)).unwrap_or_else(|| args.to_owned())
}

/// Copies the shared states as they are now.
fn copy_states(tx: &Tx<'_>, names: &Names) -> Result<(), Error> {
    for (old, new) in names.states() {
        let Some(source) = tx.live_stream(&shared_state::path(old))? else { continue };
        if is_too_deep(tx, &source)? {
            return Err(TooLarge { url: source.path, what: format!("it is a fork of a fork, {FORKS} deep") }.into());
        }
        let tail = source.tail;
        let mut stream = copy(tx, source, tail, 0, &shared_state::path(new))?;
        subscription::has_come(tx, &mut stream)?;
    }
    Ok(())
}

/// Sends the new root its first message: from its parent, for whoever may write to that, else from who forks.
fn greet(
    tx: &Tx<'_>,
    by: &Principal,
    parent: Option<&EntityRow>,
    root: &EntityRow,
    payload: &RawValue,
) -> Result<(), Error> {
    let speaks = parent.map_or(Ok(false), |parent| permission::may(tx, by, Permission::Write, parent))?;
    let from = parent.filter(|_| speaks).map_or_else(|| by.url(), |parent| parent.url.clone());
    let message = Message { from: Some(from), ..Message::first(payload, None) };
    let mut stream = main(tx, root)?;
    inbox::append(tx, root, &mut stream, &message, &tx.draw.uuid(), Cause::outside(Class::Named))
}
