//! What is still known of dispatches whose records were filed: when the last of them came how far.

use serde::{Deserialize, Serialize};

use super::Record;
use super::told::ENDS;
use crate::time::Time;

/// When an entity's dispatches that were filed were last claimed, let go and done, in milliseconds.
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Past {
    entity: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    claimed: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    released: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    done: Option<i64>,
}

impl Past {
    /// Remembers a record that is filed.
    pub(super) fn remember(&mut self, record: &Record) {
        if self.entity != record.entity {
            *self = Self { entity: record.entity, ..Self::default() };
        }
        let last = |kinds: &[&str]| record.last(kinds).map(|step| step.at().as_millis());
        self.claimed = last(&["claimed"]).or(self.claimed);
        self.released = last(ENDS).or(self.released);
        self.done = last(&["done"]).or(self.done);
    }

    /// When those of an entity were last claimed, let go and done.
    pub(super) fn of(self, entity: i64) -> [Option<Time>; 3] {
        let known = if self.entity == entity { self } else { Self::default() };
        [known.claimed, known.released, known.done].map(|at| at.map(Time::from_millis))
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
