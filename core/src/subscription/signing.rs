//! Webhook signatures: Ed25519 over `{t}.{body}`, and the key set that verifies them (wake specification, section 5.6).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer, SigningKey};
use http::StatusCode;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::engine::Reply;
use crate::http::{Call, Error, Response};
use crate::store::{Keys, Read};
use crate::time::Time;

/// The `webhook-signature` header of a body that leaves at `now`.
pub(crate) fn sign(keys: &Keys, now: Time, body: &[u8]) -> String {
    let key = SigningKey::from_bytes(&keys.signing);
    let mut signed = format!("{}.", now.as_secs()).into_bytes();
    signed.extend_from_slice(body);
    let signature = URL_SAFE_NO_PAD.encode(key.sign(&signed).to_bytes());
    format!("t={},kid={},ed25519={signature}", now.as_secs(), key_id(&public(&key)))
}

/// `GET /__ds/jwks.json`: the public key.
pub(crate) fn jwks(call: &Call<'_, Read<'_>>) -> Result<Reply, Error> {
    let x = public(&SigningKey::from_bytes(&call.store.keys()?.signing));
    let keys = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": key_id(&x), "use": "sig", "alg": "EdDSA" }] });
    let mut response = Response::json(StatusCode::OK, &keys);
    response.set("content-type", "application/jwk-set+json");
    response.set("cache-control", "public, max-age=300");
    Ok(Reply::Whole(response))
}

fn public(key: &SigningKey) -> String {
    URL_SAFE_NO_PAD.encode(key.verifying_key().to_bytes())
}

/// `ds_` and the key's thumbprint (RFC 7638).
fn key_id(x: &str) -> String {
    let thumbprint = Sha256::digest(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#));
    format!("ds_{}", URL_SAFE_NO_PAD.encode(thumbprint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_vectors_of_the_specification() {
        let secret = URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").expect("base64");
        let keys = Keys { signing: secret.try_into().expect("32 bytes"), claims: [0; 32] };
        let header = sign(&keys, Time::from_millis(1_700_000_000_000), br#"{"a":1}"#);
        assert_eq!(
            header,
            "t=1700000000,kid=ds_kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k,\
             ed25519=jsuVxkA_AkVTFzBCTKTrjAZaeCChaR-y9aS0q9WrZDC7D7BaCZ-tI8v_nvIZW79k7Z99rP9If7816GiGLgJABw"
        );
    }
}
