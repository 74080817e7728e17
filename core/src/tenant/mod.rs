//! Who calls, and what they may do.

mod authenticate;
pub mod permission;
pub(crate) mod principal;

pub use authenticate::{ApiKeys, Authentication, authenticate};
pub use permission::Permission;
pub use principal::Principal;
