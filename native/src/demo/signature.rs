//! Whether a webhook is the server's: an Ed25519 signature over `{t}.{body}`, by a key of the server's key set. What every
//! agent that is woken by webhooks does.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signature, VerifyingKey};
use serde_json::Value as Json;
use tokio::sync::Mutex;

use crate::client::{Client, Failure};

/// The server's keys, fetched when one is missing.
#[derive(Debug)]
pub(super) struct KeySet {
    client: Client,
    known: Mutex<Json>,
}

impl KeySet {
    pub(super) fn new(client: Client) -> Self {
        Self { client, known: Mutex::new(Json::Null) }
    }

    async fn key(&self, id: &str) -> Result<Option<VerifyingKey>, Failure> {
        let mut known = self.known.lock().await;
        if find(&known, id).is_none() {
            *known = self.client.get("/__ds/jwks.json").await?.json();
        }
        Ok(find(&known, id))
    }
}

/// Verifies the `webhook-signature` header of a body that arrived `at`.
pub(super) async fn verify(keys: &KeySet, header: &str, body: &[u8], at: SystemTime) -> Result<(), &'static str> {
    let given = Given::parse(header).ok_or("the webhook is not signed")?;
    let age = at.duration_since(UNIX_EPOCH).unwrap_or_default().abs_diff(Duration::from_secs(given.at));
    if age > TOLERANCE {
        return Err("the signature is too old");
    }
    let key = keys.key(given.key).await.map_err(|_| "the server's keys cannot be fetched")?.ok_or("unknown key")?;
    if given.is_by(&key, body) { Ok(()) } else { Err("the signature does not match") }
}

/// A header, taken apart: `t=…,kid=…,ed25519=…`.
struct Given<'a> {
    at: u64,
    key: &'a str,
    signature: Signature,
}

impl<'a> Given<'a> {
    fn parse(header: &'a str) -> Option<Self> {
        let parts: Vec<(&str, &str)> = header
            .split(',')
            .map(|part| part.split_once('='))
            .map(|p| p.map(|(n, v)| (n.trim(), v.trim())))
            .collect::<Option<_>>()?;
        let find = |name: &str| parts.iter().rfind(|(n, _)| *n == name).map(|(_, value)| *value);
        let signature: [u8; 64] = URL_SAFE_NO_PAD.decode(find("ed25519")?).ok()?.try_into().ok()?;
        Some(Self { at: find("t")?.parse().ok()?, key: find("kid")?, signature: Signature::from_bytes(&signature) })
    }

    fn is_by(&self, key: &VerifyingKey, body: &[u8]) -> bool {
        let signed = [format!("{}.", self.at).as_bytes(), body].concat();
        key.verify_strict(&signed, &self.signature).is_ok()
    }
}

fn find(keys: &Json, id: &str) -> Option<VerifyingKey> {
    let key = keys["keys"].as_array()?.iter().find(|key| key["kid"] == id && key["crv"] == "Ed25519")?;
    let bytes: [u8; 32] = URL_SAFE_NO_PAD.decode(key["x"].as_str()?).ok()?.try_into().ok()?;
    VerifyingKey::from_bytes(&bytes).ok()
}

const TOLERANCE: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The specification's vector: the key of RFC 8037 over `{"a":1}`.
    #[test]
    fn only_the_servers_signature_over_this_body_holds() {
        let kid = "ds_kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
        let keys = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kid": kid }] });
        let key = find(&keys, kid).unwrap();
        assert!(find(&keys, "other").is_none());
        let header = format!(
            "t=1700000000, kid={kid},ed25519=jsuVxkA_AkVTFzBCTKTrjAZaeCChaR-y9aS0q9WrZDC7D7BaCZ-tI8v_nvIZW79k7Z99rP9If7816GiGLgJABw"
        );
        let given = Given::parse(&header).unwrap();
        assert!(given.is_by(&key, br#"{"a":1}"#));
        assert!(!given.is_by(&key, br#"{"a":2}"#));
        assert!(!Given::parse(&header.replace("t=17", "t=18")).unwrap().is_by(&key, br#"{"a":1}"#));
        for bad in ["", "t=1", "t=1,kid=a", "t=1,kid=a,ed25519=!", "t=x,kid=a,ed25519=", "nonsense"] {
            assert!(Given::parse(bad).is_none(), "{bad}");
        }
    }
}
