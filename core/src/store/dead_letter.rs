//! Dispatches that were given up.

use super::{Read, SqlError, Tx};

/// A dispatch that nobody took.
#[derive(Clone, Debug)]
pub(crate) struct DeadLetter {
    pub(crate) subscription: i64,
    pub(crate) entity: i64,
    /// JSON: see `dispatch::dead`.
    pub(crate) letter: String,
}

impl Read<'_> {
    /// The letter of a subscription, if it was given up.
    pub(crate) fn dead_letter(&self, subscription: i64) -> Result<Option<String>, SqlError> {
        let sql = "SELECT letter FROM dead_letter WHERE subscription = ?1";
        self.one(sql, &[subscription.into()], |row| Ok(row.text(0)?.to_owned()))
    }

    /// Letters after that of subscription `after`, in the order of subscriptions.
    pub(crate) fn dead_letters(&self, after: i64, limit: usize) -> Result<Vec<DeadLetter>, SqlError> {
        self.all(
            "SELECT subscription, entity, letter FROM dead_letter WHERE subscription > ?1 ORDER BY subscription LIMIT ?2",
            &[after.into(), i64::try_from(limit).unwrap_or(i64::MAX).into()],
            |row| {
                Ok(DeadLetter { subscription: row.int(0)?, entity: row.int(1)?, letter: row.text(2)?.to_owned() })
            },
        )
    }
}

impl Tx<'_> {
    pub(crate) fn insert_dead_letter(&self, dead: &DeadLetter) -> Result<(), SqlError> {
        self.write(
            "INSERT INTO dead_letter (subscription, entity, letter) VALUES (?1, ?2, ?3) \
             ON CONFLICT (subscription) DO UPDATE SET letter = ?3",
            &[dead.subscription.into(), dead.entity.into(), (&dead.letter).into()],
        )
    }

    pub(crate) fn delete_dead_letter(&self, subscription: i64) -> Result<(), SqlError> {
        self.write("DELETE FROM dead_letter WHERE subscription = ?1", &[subscription.into()])
    }
}
