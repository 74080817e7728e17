//! HTTP as values: the route table, requests and responses, refusals, what every answer wears.

mod admit;
mod body;
mod dev;
mod dress;
mod error;
mod message;
pub(crate) mod multipart;
mod path;
mod route;

pub use admit::{Admission, admit, too_large, too_slow};
pub(crate) use admit::{RESERVED, is_encoded};
pub(crate) use body::{Body, details, escape};
pub use dress::dress;
pub use error::{Error, Refusal};
pub(crate) use error::{answer, failure};
pub use message::{Request, Response};
pub use path::{canonical_path, canonical_query};
pub use route::{Access, access};
pub(crate) use route::{Advance, Call, Handler, is_stream, is_subscription, route};
