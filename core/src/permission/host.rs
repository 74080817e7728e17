//! The host's own word on who may do what (control plane, section 4.5). It is asked after the built-in decision, and what
//! it says holds; built-in system principals never come before it.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::{Decision, Permission};
use crate::store::Read;
use crate::tenant::Principal;

/// What a host decides. It is called in the middle of commands and reads: it answers at once, from what it knows.
#[derive(Clone)]
pub struct Authorise(Arc<Answer>);

type Answer = dyn Fn(&Question<'_>) -> Option<bool> + Send + Sync;

/// What the host is asked. Which tenant it is about goes without saying: an engine has one, and a configuration of its
/// own.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Who wants to do something.
    pub by: &'a Principal,
    /// What that needs.
    pub permission: Permission,
    /// With what.
    pub resource: Resource<'a>,
    /// What owners and grants say.
    pub decided: bool,
}

/// What somebody wants to do something with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource<'a> {
    /// An entity, by its URL.
    Entity(&'a str),
    /// A type, by its name.
    EntityType(&'a str),
    /// The registration of a type that does not exist yet.
    Registration(&'a str),
    /// A shared state, by its id.
    SharedState(&'a str),
}

impl Authorise {
    /// A host that answers: yes, no, or that it leaves the decision as it is. One that panics says no.
    pub fn new(answer: impl Fn(&Question<'_>) -> Option<bool> + Send + Sync + 'static) -> Self {
        Self(Arc::new(answer))
    }

    fn says(&self, question: &Question<'_>) -> bool {
        let said = catch_unwind(AssertUnwindSafe(|| (self.0)(question)));
        said.is_ok_and(|said| said.unwrap_or(question.decided))
    }
}

impl fmt::Debug for Authorise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authorise")
    }
}

/// Whether `by` may, when the host has been asked.
pub(crate) fn last_word(
    read: &Read<'_>,
    by: &Principal,
    permission: Permission,
    resource: Resource<'_>,
    decision: Decision,
) -> bool {
    let decided = decision.allows();
    match &read.config.authorise {
        Some(host) if decision != Decision::System => host.says(&Question { by, permission, resource, decided }),
        _ => decided,
    }
}
