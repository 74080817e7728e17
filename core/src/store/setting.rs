//! Settings: what is written rarely. Keys are made when the database is, and never leave it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Read, Sql, SqlError, Tx};
use crate::entropy::Draw;
use crate::subscription::signing::Ring;

/// The tenant's secrets: the keys that sign webhooks, and the one that claim tokens are made with.
#[derive(Clone)]
pub(crate) struct Keys {
    pub(crate) ring: Ring,
    pub(crate) claims: [u8; 32],
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(..)")
    }
}

impl Read<'_> {
    pub(crate) fn setting(&self, name: &str) -> Result<Option<String>, SqlError> {
        self.one("SELECT value FROM setting WHERE name = ?1", &[name.into()], |row| Ok(row.text(0)?.to_owned()))
    }

    /// The tenant's secrets.
    pub(crate) fn keys(&self) -> Result<Keys, SqlError> {
        let text = self.setting(CLAIMS)?.ok_or_else(|| SqlError::new(format!("the key `{CLAIMS}` is missing")))?;
        Ok(Keys { ring: Ring::new(&self.signing_keys()?)?, claims: decode_key(&text)? })
    }

    /// What no other database has; it stays within the server.
    pub(crate) fn incarnation(&self) -> Result<String, SqlError> {
        self.setting(CLAIMS)?.ok_or_else(|| SqlError::new(format!("the key `{CLAIMS}` is missing")))
    }

    /// The URL under which this server is reached, without a trailing slash.
    pub(crate) fn public_url(&self) -> Result<String, SqlError> {
        if let Some(url) = &self.config.public_url {
            return Ok(url.clone());
        }
        Ok(self.setting(ORIGIN)?.unwrap_or_else(|| "http://127.0.0.1:4437".to_owned()))
    }

    /// The URL of the stream root, without a trailing slash.
    pub(crate) fn root_url(&self) -> Result<String, SqlError> {
        Ok(self.public_url()? + &self.config.stream_root)
    }
}

impl Tx<'_> {
    fn write_setting(&self, name: &str, value: &str) -> Result<(), SqlError> {
        self.write(
            "INSERT INTO setting (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2",
            &[name.into(), value.into()],
        )
    }

    /// Remembers where we were reached, when nothing fixes it and it has changed.
    pub(crate) fn remember_origin(&self, origin: &str) -> Result<(), SqlError> {
        if self.config.public_url.is_some() || self.setting(ORIGIN)?.as_deref() == Some(origin) {
            return Ok(());
        }
        self.write_setting(ORIGIN, origin)
    }
}

/// Makes the tenant's secrets, when the database is made.
pub(super) fn make_keys(sql: &dyn Sql, draw: &Draw) -> Result<(), SqlError> {
    for name in [SIGNING, CLAIMS] {
        let key = URL_SAFE_NO_PAD.encode(draw.bytes::<32>());
        sql.run("INSERT INTO setting (name, value) VALUES (?1, ?2)", &[name.into(), (&key).into()], &mut |_| Ok(()))?;
    }
    Ok(())
}

/// A key as it is stored.
pub(crate) fn decode_key(text: &str) -> Result<[u8; 32], SqlError> {
    let bytes = URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
    bytes.try_into().map_err(|_| SqlError::new("a stored key is damaged"))
}

/// A key as it is to be stored.
pub(crate) fn encode_key(key: &[u8; 32]) -> String {
    URL_SAFE_NO_PAD.encode(key)
}

const SIGNING: &str = "webhook signing key";
const CLAIMS: &str = "claim token key";
const ORIGIN: &str = "origin";
