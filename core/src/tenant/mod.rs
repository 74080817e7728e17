//! Who calls. What they may do is decided in [`permission`].

mod authenticate;
pub(crate) mod principal;

pub use authenticate::{ApiKeys, Authentication, authenticate};
pub use principal::Principal;

pub use crate::permission::{self, Permission};
