//! Claim tokens: they prove themselves, so that none is stored and a repeated delivery carries the same one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::store::Keys;

/// The token of a wake: an HMAC over its id and generation under the tenant's key.
pub(crate) fn mint(keys: &Keys, wake: &str, generation: i64) -> String {
    URL_SAFE_NO_PAD.encode(mac(keys, wake, generation).finalize().into_bytes())
}

/// Whether a token belongs to a wake and its generation. Takes the same time whether or not it does.
pub(crate) fn verify(keys: &Keys, wake: &str, generation: i64, token: &str) -> bool {
    URL_SAFE_NO_PAD.decode(token).is_ok_and(|bytes| mac(keys, wake, generation).verify_slice(&bytes).is_ok())
}

fn mac(keys: &Keys, wake: &str, generation: i64) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&keys.claims).expect("HMAC takes a key of any length");
    mac.update(b"claim\0");
    mac.update(wake.as_bytes());
    mac.update(b"\0");
    mac.update(&generation.to_be_bytes());
    mac
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subscription::signing::Signer;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_token_opens_one_wake_of_one_generation() {
        let keys = Keys { signer: Signer::new(&[1; 32]), claims: [2; 32] };
        let token = mint(&keys, "w_1", 3);
        assert!(verify(&keys, "w_1", 3, &token));
        for (wake, generation, token) in
            [("w_2", 3, token.as_str()), ("w_1", 4, &token), ("w_1", 3, ""), ("w_1", 3, "!"), ("w_1", 3, &token[1..])]
        {
            assert!(!verify(&keys, wake, generation, token), "{wake} {generation}");
        }
        assert!(!verify(&Keys { claims: [3; 32], ..keys }, "w_1", 3, &token));
    }
}
