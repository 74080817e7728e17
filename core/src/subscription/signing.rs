//! Webhook signatures: Ed25519 over `{t}.{body}`, and the key set that verifies them (wake specification, section 5.6).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer as _, SigningKey};
use http::StatusCode;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::rotate::KEPT;
use crate::engine::Reply;
use crate::http::{Call, Error, Response};
use crate::store::{Read, SigningKeyRow, SqlError, decode_key};
use crate::time::Time;

/// The key that signs, and the name under which it is published.
#[derive(Clone)]
pub(crate) struct Signer {
    key: SigningKey,
    x: String,
    id: String,
}

impl Signer {
    /// A signer from the secret half of its key.
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        let key = SigningKey::from_bytes(secret);
        let x = URL_SAFE_NO_PAD.encode(key.verifying_key().to_bytes());
        // The key's thumbprint (RFC 7638).
        let thumbprint = Sha256::digest(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#));
        let id = format!("ds_{}", URL_SAFE_NO_PAD.encode(thumbprint));
        Self { key, x, id }
    }

    /// The `webhook-signature` header of a body that leaves at `now`.
    pub(crate) fn sign(&self, now: Time, body: &[u8]) -> String {
        let mut signed = format!("{}.", now.as_secs()).into_bytes();
        signed.extend_from_slice(body);
        let signature = URL_SAFE_NO_PAD.encode(self.key.sign(&signed).to_bytes());
        format!("t={},kid={},ed25519={signature}", now.as_secs(), self.id)
    }
}

impl Signer {
    /// Its `kid`.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}

/// The keys that are published: one of them signs.
#[derive(Clone)]
pub(crate) struct Ring(Vec<(Time, Signer)>);

impl Ring {
    /// From the rows, which are in the order in which they begin to sign.
    pub(crate) fn new(rows: &[SigningKeyRow]) -> Result<Self, SqlError> {
        let keys = rows.iter().map(|row| Ok((row.signs_from, Signer::new(&decode_key(&row.secret)?))));
        let keys: Vec<_> = keys.collect::<Result<_, SqlError>>()?;
        if keys.is_empty() { Err(SqlError::new("there is no signing key")) } else { Ok(Self(keys)) }
    }

    /// The key that signs at a moment: the newest whose time has come.
    pub(crate) fn signer(&self, now: Time) -> &Signer {
        let come = self.0.iter().rev().find(|(from, _)| *from <= now);
        &come.or_else(|| self.0.first()).expect("a ring is never empty").1
    }

    /// Their ids, in order.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(_, signer)| signer.id())
    }
}

/// `GET /__ds/jwks.json`: the public keys.
pub(crate) fn jwks(call: &Call<'_, Read<'_>>) -> Result<Reply, Error> {
    let keys = call.store.keys()?.ring.0.into_iter().map(|(_, Signer { x, id, .. })| {
        json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": id, "use": "sig", "alg": "EdDSA" })
    });
    let mut response = Response::json(StatusCode::OK, &json!({ "keys": keys.collect::<Vec<_>>() }));
    response.set("content-type", "application/jwk-set+json");
    response.set("cache-control", format!("public, max-age={}", KEPT.as_millis() / 1000));
    Ok(Reply::Whole(response))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_vectors_of_the_specification() {
        let secret = URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").expect("base64");
        let signer = Signer::new(&secret.try_into().expect("32 bytes"));
        let header = signer.sign(Time::from_millis(1_700_000_000_000), br#"{"a":1}"#);
        assert_eq!(
            header,
            "t=1700000000,kid=ds_kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k,\
             ed25519=jsuVxkA_AkVTFzBCTKTrjAZaeCChaR-y9aS0q9WrZDC7D7BaCZ-tI8v_nvIZW79k7Z99rP9If7816GiGLgJABw"
        );
    }
}
