//! Claim tokens: they prove themselves, so that none is stored and a repeated delivery carries the same one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::subscription_of;
use crate::store::Keys;

/// What a token says, once it has proved itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// The wake that it is of.
    pub(crate) wake: String,
    /// The generation of that.
    pub(crate) generation: i64,
}

impl Token {
    /// The subscription that it is of.
    pub(crate) fn subscription(&self) -> Option<i64> {
        subscription_of(&self.wake)
    }
}

/// The token of a wake: its id and generation, and an HMAC over them under the tenant's key.
pub(crate) fn mint(keys: &Keys, wake: &str, generation: i64) -> String {
    let proof = URL_SAFE_NO_PAD.encode(mac(keys, wake, generation).finalize().into_bytes());
    format!("{wake}.{generation}.{proof}")
}

/// Reads a token. Comparing takes the same time whether or not it is genuine.
pub(crate) fn open(keys: &Keys, token: &str) -> Option<Token> {
    let mut parts = token.split('.');
    let (wake, generation, proof) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?);
    let proof = URL_SAFE_NO_PAD.decode(proof).ok().filter(|_| parts.next().is_none())?;
    mac(keys, wake, generation).verify_slice(&proof).ok()?;
    Some(Token { wake: wake.to_owned(), generation })
}

/// Reads a token as the first release gave them out, which was the proof alone: it opens the wake and generation that
/// whoever brings it names, if it is theirs.
pub(crate) fn open_bare(keys: &Keys, wake: &str, generation: i64, proof: &str) -> Option<Token> {
    open(keys, &format!("{wake}.{generation}.{proof}"))
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
    use crate::store::{SigningKeyRow, encode_key};
    use crate::subscription::signing::Ring;
    use crate::time::Time;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_token_opens_one_wake_of_one_generation() {
        let row = SigningKeyRow { id: 0, secret: encode_key(&[1; 32]), signs_from: Time::ZERO, retires_at: None };
        let keys = Keys { ring: Ring::new(&[row]).expect("a ring"), claims: [2; 32] };
        let wake = "w_00000000fe0123456789abcd";
        let token = mint(&keys, wake, 3);
        let opened = open(&keys, &token).expect("genuine");
        assert_eq!(opened, Token { wake: wake.to_owned(), generation: 3 });
        assert_eq!(opened.subscription(), Some(254));
        let proof = token.rsplit('.').next().expect("a proof");
        assert_eq!(open_bare(&keys, wake, 3, proof), Some(opened));
        assert_eq!(open_bare(&keys, wake, 4, proof), None);
        for forged in [
            String::new(),
            "!".to_owned(),
            token[1..].to_owned(),
            format!("{token}."),
            format!("{wake}.4.{proof}"),
            format!("w_00000000ff0123456789abcd.3.{proof}"),
            format!("{wake}.3."),
        ] {
            assert_eq!(open(&keys, &forged), None, "{forged}");
        }
        assert_eq!(open(&Keys { claims: [3; 32], ..keys }, &token), None);
    }
}
