//! What a principal may do: one decision, the facts that it is made of, and the grants among them (control plane,
//! section 4).
//!
//! An entity belongs to who created it, built-in system principals pass, and everybody else needs a grant. A type belongs
//! to nobody. [`decide()`] is a function of values; `check` and its neighbours ask the store for them, and only for what is
//! not decided without. A host may have the last word: [`Authorise`].

mod check;
mod decide;
pub(crate) mod entity_grants;
mod grants;
mod host;
mod inherit;
mod lost;
pub(crate) mod spread;
pub(crate) mod type_grants;

pub(crate) use check::{check, check_type, decision, decision_on_type, may, may_type};
pub use decide::{Decision, Facts, Held, Permission, Subject, decide};
pub(crate) use grants::{Asked, ENTITY_FORM, TYPE_FORM, TooManyGrants};
pub(crate) use host::last_word;
pub use host::{Authorise, Question, Resource};
pub(crate) use inherit::{bestow, inherit};
pub(crate) use lost::{left, lost};
