//! The store: the SQL seam, the schema and its migrations, and typed tables over them.
//!
//! Domain code sees two types. [`Read`] answers from a snapshot; `Tx` also writes, gives out row ids and gathers what
//! must leave after the commit. Each table has one file and one write path.

mod asked;
mod attachment;
mod awaited;
mod change;
mod clock;
mod collection_row;
mod cron;
mod dead_letter;
mod delayed_send;
mod effective;
mod entity;
mod entity_grant;
mod entity_type;
mod entry;
mod fan_out;
mod gathered;
mod journal;
mod link;
mod lock;
mod membership;
pub(crate) mod migrate;
mod owned;
mod pg_sync;
mod producer;
mod registration;
mod run;
mod runner;
mod sandbox_profile;
mod schema_set;
mod segment;
mod setting;
mod shared_state;
mod signing_key;
mod sql;
mod stream;
mod subscription;
#[cfg(feature = "suite")]
pub mod suite;
mod timer;
mod tx;
mod type_grant;
mod waiting_wake;

pub(crate) use asked::{Asked, PatternRow};
pub(crate) use attachment::AttachmentRow;
pub use change::Table;
pub(crate) use change::{Change, Columns, Since, columns, tenant, timestamp};
pub use clock::{Clock, Watch};
pub(crate) use collection_row::CollectionRow;
pub(crate) use cron::CronRow;
pub(crate) use dead_letter::DeadLetter;
pub(crate) use delayed_send::DelayedSend;
pub(crate) use entity::{EntityRow, Filter};
pub(crate) use entity_grant::{EntityGrant, Place};
pub(crate) use entity_type::EntityTypeRow;
pub(crate) use fan_out::{FanOut, Reached};
pub(crate) use gathered::Gathered;
pub(crate) use link::{Link, Reasons};
pub(crate) use membership::MembershipRow;
pub(crate) use owned::owned_key;
pub(crate) use pg_sync::PgSyncRow;
pub(crate) use registration::{NewRegistration, Observed, Registration};
pub(crate) use runner::RunnerRow;
pub(crate) use schema_set::SchemaSet;
#[cfg(all(test, not(target_arch = "wasm32")))]
pub(crate) use segment::Places;
pub(crate) use segment::Segment;
pub(crate) use setting::{Keys, decode_key, encode_key};
pub(crate) use signing_key::SigningKeyRow;
pub use sql::{MAX_INT, MAX_VALUE, Row, Sql, SqlError, Value, Verdict, Visit};
pub(crate) use stream::{Fork, StreamRow, is_json, media_type};
pub(crate) use subscription::{Kind, PULL_WAKE, Seen, SubscriptionRow, WEBHOOK, WakeInFlight};
pub(crate) use timer::{Timer, TimerKind};
pub use tx::Read;
pub(crate) use tx::{Page, Tx};
pub(crate) use type_grant::TypeGrant;
