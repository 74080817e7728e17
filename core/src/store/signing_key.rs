//! The keys that sign webhooks.

use super::{Read, SqlError, Tx};
use crate::time::Time;

/// A key, its secret half as base64url.
#[derive(Clone)]
pub(crate) struct SigningKeyRow {
    pub(crate) id: i64,
    pub(crate) secret: String,
    pub(crate) signs_from: Time,
    /// When it is no longer published.
    pub(crate) retires_at: Option<Time>,
}

impl Read<'_> {
    /// All keys, oldest first.
    pub(crate) fn signing_keys(&self) -> Result<Vec<SigningKeyRow>, SqlError> {
        self.all("SELECT id, secret, signs_from, retires_at FROM signing_key ORDER BY signs_from, id", &[], |row| {
            Ok(SigningKeyRow {
                id: row.int(0)?,
                secret: row.text(1)?.to_owned(),
                signs_from: Time::from_millis(row.int(2)?),
                retires_at: row.opt_int(3)?.map(Time::from_millis),
            })
        })
    }
}

impl Tx<'_> {
    /// Adds a key.
    pub(crate) fn insert_signing_key(&self, secret: &str, signs_from: Time) -> Result<i64, SqlError> {
        let id = self.next_id();
        self.write(
            "INSERT INTO signing_key (id, secret, signs_from) VALUES (?1, ?2, ?3)",
            &[id.into(), secret.into(), signs_from.into()],
        )?;
        Ok(id)
    }

    /// Says until when a key is published.
    pub(crate) fn retire_signing_key(&self, id: i64, at: Time) -> Result<(), SqlError> {
        self.write("UPDATE signing_key SET retires_at = ?2 WHERE id = ?1", &[id.into(), at.into()])
    }

    pub(crate) fn delete_signing_key(&self, id: i64) -> Result<(), SqlError> {
        self.write("DELETE FROM signing_key WHERE id = ?1", &[id.into()])
    }
}
