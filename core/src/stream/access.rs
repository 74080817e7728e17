//! Who may touch a stream: paths that the server owns are guarded by what they belong to.

use super::shared_state;
use super::write::Class;
use crate::entity::attachments;
use crate::http::{Error, Refusal, Request};
use crate::observe::{pg_sync, webhook_sources};
use crate::store::{EntityRow, Read, SqlError, Tx};
use crate::tenant::{Permission, Principal, permission};

/// What a stream's path belongs to.
#[derive(Debug)]
pub(crate) enum Owner {
    /// An entity's main stream.
    Entity(Box<EntityRow>),
    /// A runner's wake stream, and the principal URL of the runner's owner.
    Runner(String),
    /// A membership stream, and whom it is for.
    Members(String),
    /// The stream of a shape, who registered it, and the entity for which that was.
    Shape(String, Option<Box<EntityRow>>),
    /// A shared state, by its id.
    State(String),
    /// An attachment, and the entity that it belongs to, if that exists: a file comes and goes by its route.
    Attachment(Option<Box<EntityRow>>),
    /// What the server writes for all.
    Server,
    /// What comes by webhooks, and whether everybody may see it.
    Ingress { shown: bool },
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
            return Ok(read.membership(reference)?.map_or(Self::Server, |m| Self::Members(m.principal)));
        }
        if let Some(reference) = pg_sync::reference_of(path) {
            return shape(read, reference);
        }
        if webhook_sources::is_ingress(path) {
            return Ok(Self::Ingress { shown: webhook_sources::is_shown(read.config, path) });
        }
        let control = read.config.stream_root.is_empty();
        if let Some(id) = shared_state::id_of(path).filter(|_| control) {
            return Ok(Self::State(id));
        }
        if path.starts_with("/_cron/") || control && path.starts_with("/principal/") {
            return Ok(Self::Server);
        }
        if let Some(url) = attachments::owner_of(path).filter(|_| read.config.stream_root.is_empty()) {
            return Ok(Self::Attachment(read.entity(url)?.map(Box::new)));
        }
        Ok(Self::Nobody)
    }

    /// Whether `by` may read it.
    pub(crate) fn check_read(&self, read: &Read<'_>, by: &Principal, path: &str) -> Result<(), Error> {
        match self {
            Self::Entity(entity) | Self::Attachment(Some(entity)) => {
                permission::check(read, by, Permission::Read, entity)
            }
            Self::State(id) if shared_state::may(read, by, Permission::Read, id)? => Ok(()),
            Self::State(_) => Err(shared_state::denied("read")),
            Self::Nobody | Self::Server | Self::Ingress { shown: true } => Ok(()),
            _ if by.is_system() => Ok(()),
            Self::Runner(owner) | Self::Members(owner) | Self::Shape(owner, _) if *owner == by.url() => Ok(()),
            Self::Shape(_, Some(entity)) if permission::may(read, by, Permission::Read, entity)? => Ok(()),
            Self::Runner(_) | Self::Members(_) | Self::Shape(..) | Self::Attachment(None) | Self::Ingress { .. } => {
                Err(denied("read", path))
            }
        }
    }

    /// Whether what `by` may read they may read for good, and not by a grant that ends.
    pub(super) fn is_for_good(&self, read: &Read<'_>, by: &Principal) -> bool {
        let asks = read.config.authorise.is_some();
        match self {
            Self::Entity(entity) | Self::Attachment(Some(entity)) => {
                by.is_system() || !asks && entity.created_by == by.url()
            }
            Self::State(_) | Self::Shape(..) | Self::Attachment(None) => by.is_system(),
            Self::Runner(_) | Self::Members(_) | Self::Server | Self::Ingress { .. } | Self::Nobody => true,
        }
    }

    /// Whether `by` may create it, or append to it without a token: never when the server owns it. What comes by webhooks
    /// is written by who takes it in, a built-in system principal.
    pub(super) fn check_write(&self, tx: &Tx<'_>, by: &Principal, request: &Request, path: &str) -> Result<(), Error> {
        match self {
            Self::Nobody => Ok(()),
            Self::State(id) => shared_state::enter(tx, by, request, id),
            Self::Ingress { .. } if by.is_system() => Ok(()),
            _ => Err(denied("write", path)),
        }
    }

    /// Whether anybody may do with it what they want, such as delete it: not when it belongs to somebody.
    pub(crate) fn check_unowned(&self, by: &Principal, path: &str) -> Result<(), Error> {
        match self {
            Self::Nobody => Ok(()),
            Self::State(_) => Err(shared_state::denied("access")),
            Self::Ingress { .. } if by.is_system() => Ok(()),
            _ => Err(denied("write", path)),
        }
    }
}

impl Owner {
    /// Which conditions an append by a client may match.
    pub(super) fn class(&self) -> Class {
        if matches!(self, Self::Ingress { .. }) { Class::Named } else { Class::Any }
    }
}

fn shape(read: &Read<'_>, reference: &str) -> Result<Owner, SqlError> {
    let Some(shape) = read.pg_sync(reference)? else { return Ok(Owner::Shape(String::new(), None)) };
    let entity = shape.entity.as_deref().map(|url| read.entity(url)).transpose()?.flatten();
    Ok(Owner::Shape(shape.principal, entity.map(Box::new)))
}

fn denied(what: &str, path: &str) -> Error {
    Refusal::new(http::StatusCode::UNAUTHORIZED, "UNAUTHORIZED", format!("Principal is not allowed to {what} {path}"))
        .into()
}
