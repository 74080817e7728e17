//! What a principal may do: one decision, and the facts that it is made of (control plane, section 4).
//!
//! An entity belongs to who created it, built-in system principals pass, and everybody else needs a grant. A type belongs
//! to nobody. [`decide`] is a function of values; [`check`] and its neighbours ask the store for them, and only for what
//! is not decided without.

mod check;
mod decide;

pub(crate) use check::{check, may};
pub use decide::{Decision, Facts, Held, Permission, Subject, decide};
