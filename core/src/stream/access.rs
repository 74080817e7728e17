//! Who may touch a stream: paths that the server owns are guarded by what they belong to.

use crate::http::{Error, Refusal};
use crate::observe::pg_sync;
use crate::store::{EntityRow, Read, SqlError};
use crate::tenant::{Permission, Principal, permission};

/// What a stream's path belongs to.
#[derive(Debug)]
pub(crate) enum Owner {
    /// An entity's main stream.
    Entity(Box<EntityRow>),
    /// A runner's wake stream, and the principal URL of the runner's owner.
    Runner(String),
    /// What the server writes for whoever has one of these principal URLs.
    Members(Vec<String>),
    /// What the server writes for all.
    Server,
    /// Nobody: open to whoever is authenticated.
    Nobody,
}

impl Owner {
    pub(crate) fn of(read: &Read<'_>, path: &str) -> Result<Self, SqlError> {
        if let Some(url) = path.strip_suffix("/main")
            && let Some(entity) = read.entity(url)?
        {
            return Ok(Self::Entity(Box::new(entity)));
        }
        if let Some(id) = path.strip_prefix("/runners/").and_then(|rest| rest.strip_suffix("/wake"))
            && let Some(runner) = read.runner(id)?
        {
            return Ok(Self::Runner(runner.owner));
        }
        if let Some(reference) = path.strip_prefix("/_entities/") {
            return Ok(read.membership(reference)?.map_or(Self::Server, |m| Self::Members(vec![m.principal])));
        }
        if let Some(reference) = pg_sync::reference_of(path) {
            return Ok(Self::Members(followers(read, reference)?));
        }
        if path.starts_with("/_cron/") {
            return Ok(Self::Server);
        }
        Ok(Self::Nobody)
    }

    /// Whether `by` may read it.
    pub(crate) fn check_read(&self, read: &Read<'_>, by: &Principal, path: &str) -> Result<(), Error> {
        match self {
            Self::Entity(entity) => permission::check(read, by, Permission::Read, entity),
            Self::Nobody | Self::Server => Ok(()),
            _ if by.is_system() => Ok(()),
            Self::Runner(owner) if *owner == by.url() => Ok(()),
            Self::Members(all) if all.contains(&by.url()) => Ok(()),
            Self::Runner(_) | Self::Members(_) => Err(denied("read", path)),
        }
    }

    /// Whether `by` may create, append to or delete it without a token: never when the server owns it.
    pub(crate) fn check_write(&self, path: &str) -> Result<(), Error> {
        match self {
            Self::Nobody => Ok(()),
            _ => Err(denied("write", path)),
        }
    }
}

/// Who may read the stream of a shape: who registered it, and whose entity it was registered for.
fn followers(read: &Read<'_>, reference: &str) -> Result<Vec<String>, SqlError> {
    let Some(shape) = read.pg_sync(reference)? else { return Ok(Vec::new()) };
    let entity = shape.entity.as_deref().map(|url| read.entity(url)).transpose()?.flatten();
    Ok(entity.map(|entity| entity.created_by).into_iter().chain([shape.principal]).collect())
}

fn denied(what: &str, path: &str) -> Error {
    Refusal::new(http::StatusCode::UNAUTHORIZED, "UNAUTHORIZED", format!("Principal is not allowed to {what} {path}"))
        .into()
}
