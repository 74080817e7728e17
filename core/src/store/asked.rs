//! What a client asked for when it made a subscription, and the patterns among that.

use super::{Read, SqlError, Tx};

/// What a subscription was made with.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// The principal URL of who made it.
    pub(crate) owner: String,
    /// JSON, normalised: two that are equal ask for the same.
    pub(crate) config: String,
}

/// A pattern, whose it is, and of which subscription.
#[derive(Clone, Debug)]
pub(crate) struct PatternRow {
    pub(crate) subscription: i64,
    pub(crate) pattern: String,
    pub(crate) owner: String,
}

impl Read<'_> {
    pub(crate) fn asked(&self, subscription: i64) -> Result<Option<Asked>, SqlError> {
        self.one("SELECT owner, config FROM asked WHERE subscription = ?1", &[subscription.into()], |row| {
            Ok(Asked { owner: row.text(0)?.to_owned(), config: row.text(1)?.to_owned() })
        })
    }

    /// All patterns.
    pub(crate) fn patterns(&self) -> Result<Vec<PatternRow>, SqlError> {
        self.all("SELECT subscription, pattern, owner FROM pattern ORDER BY subscription", &[], |row| {
            Ok(PatternRow {
                subscription: row.int(0)?,
                pattern: row.text(1)?.to_owned(),
                owner: row.text(2)?.to_owned(),
            })
        })
    }

    /// Those whose subscriptions follow a stream.
    pub(crate) fn followers(&self, stream: i64) -> Result<Vec<String>, SqlError> {
        self.all(
            "SELECT DISTINCT a.owner FROM link l JOIN asked a ON a.subscription = l.subscription WHERE l.stream = ?1",
            &[stream.into()],
            |row| Ok(row.text(0)?.to_owned()),
        )
    }

    /// How many subscriptions clients have made, and how many of them have a pattern.
    pub(crate) fn asked_for(&self) -> Result<(i64, i64), SqlError> {
        let count = "SELECT (SELECT count(*) FROM asked), (SELECT count(*) FROM pattern)";
        Ok(self.one(count, &[], |row| Ok((row.int(0)?, row.int(1)?)))?.unwrap_or_default())
    }
}

impl Tx<'_> {
    pub(crate) fn insert_asked(&self, subscription: i64, asked: &Asked) -> Result<(), SqlError> {
        self.write(
            "INSERT INTO asked (subscription, owner, config) VALUES (?1, ?2, ?3)",
            &[subscription.into(), (&asked.owner).into(), (&asked.config).into()],
        )
    }

    pub(crate) fn insert_pattern(&self, row: &PatternRow) -> Result<(), SqlError> {
        self.write(
            "INSERT INTO pattern (subscription, pattern, owner) VALUES (?1, ?2, ?3)",
            &[row.subscription.into(), (&row.pattern).into(), (&row.owner).into()],
        )
    }

    /// Forgets what a subscription was made with.
    pub(crate) fn delete_asked(&self, subscription: i64) -> Result<(), SqlError> {
        self.write("DELETE FROM asked WHERE subscription = ?1", &[subscription.into()])?;
        self.write("DELETE FROM pattern WHERE subscription = ?1", &[subscription.into()])
    }
}
