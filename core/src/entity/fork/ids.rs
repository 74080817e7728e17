//! What the copies are called: nothing that is there already.

use std::collections::BTreeSet;

use super::ask::{Ask, bad};
use super::reading::Source;
use super::remap::Names;
use super::replay::{Told, parse};
use crate::entity::spawn::duplicate;
use crate::http::{Error, canonical_path, failure};
use crate::limits::PATH;
use crate::store::{EntityRow, SqlError, Tx};
use crate::stream::shared_state;
use crate::wake;

failure! {
    /// It is no segment of a path.
    BadId => BAD_REQUEST "INVALID_REQUEST", "Fork instance_id must not be empty or contain forward slashes"
}

failure! {
    /// It means something else in a path, or is too long for one.
    UnfitId { id: String } => BAD_REQUEST "INVALID_REQUEST", "Fork instance_id `{id}` cannot be a segment of an entity's URL"
}

/// Chooses the names of all copies.
pub(super) fn choose(tx: &Tx<'_>, ask: &Ask, members: &[EntityRow], sources: &[Source]) -> Result<Names, Error> {
    let suffix = tx.draw.hex::<4>();
    let mut names = Names::default();
    let mut taken = BTreeSet::new();
    for (n, member) in members.iter().enumerate() {
        let url = match ask.id.as_ref().filter(|_| n == 0) {
            Some(id) => asked_for(tx, member, id)?,
            None => free(&member.url, &suffix, |url| Ok(taken.contains(url) || tx.is_taken(&format!("{url}/main"))?))?,
        };
        check_length(&url)?;
        taken.insert(url.clone());
        names.add_url(&member.url, url);
    }
    for (member, source) in members.iter().zip(sources) {
        for path in tx.inherits_from(&source.stream)? {
            names.add_before(&member.url, path.strip_suffix("/main").unwrap_or(&path));
        }
        for id in states(tx, member, &source.told)? {
            if !names.states().contains_key(&id) {
                let copy = free(&id, &suffix, |id| is_state(tx, id))?;
                check_length(&shared_state::path(&copy))?;
                names.add_state(&id, copy);
            }
        }
    }
    Ok(names)
}

/// The URL with the id that was asked for.
fn asked_for(tx: &Tx<'_>, source: &EntityRow, id: &str) -> Result<String, Error> {
    if id.is_empty() || id.contains('/') {
        return Err(BadId.into());
    }
    let prefix = format!("/{}/", source.kind);
    let url = canonical_path(&format!("{prefix}{id}")).into_owned();
    let fits = url.strip_prefix(&prefix).is_some_and(|id| !id.is_empty() && !id.contains('/'));
    if !fits || id.contains(['?', '#', '*']) {
        return Err(UnfitId { id: id.to_owned() }.into());
    }
    if tx.is_taken(&format!("{url}/main"))? { Err(duplicate(url).into()) } else { Ok(url) }
}

/// The first name of a copy that is free.
fn free(old: &str, suffix: &str, is_taken: impl Fn(&str) -> Result<bool, SqlError>) -> Result<String, SqlError> {
    let plain = format!("{old}-fork-{suffix}");
    let (mut name, mut n) = (plain.clone(), 0);
    while is_taken(&name)? {
        n += 1;
        name = format!("{plain}-{n}");
    }
    Ok(name)
}

fn is_state(tx: &Tx<'_>, id: &str) -> Result<bool, SqlError> {
    Ok(tx.is_taken(&shared_state::path(id))? || !tx.owners_of_state(id, "", 1)?.is_empty())
}

/// The shared states that a manifest names and that are the entity's.
fn states(tx: &Tx<'_>, entity: &EntityRow, told: &Told) -> Result<BTreeSet<String>, SqlError> {
    let own: BTreeSet<String> = tx.states_of(entity.id)?.into_iter().collect();
    if own.is_empty() {
        return Ok(own);
    }
    let named = told.manifests.values().filter_map(|row| wake::manifest(&parse(row)).ok()?.state);
    Ok(named.filter(|id| own.contains(id)).collect())
}

fn check_length(path: &str) -> Result<(), Error> {
    // What follows is `/main`.
    if path.len() + 5 > PATH {
        Err(bad(format!("a path is at most {PATH} bytes long: `{path}`")).into())
    } else {
        Ok(())
    }
}
