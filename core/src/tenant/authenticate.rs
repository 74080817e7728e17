//! Authentication: whom a request is believed to come from. Hosts ask before they open or name a tenant.

use std::collections::BTreeMap;
use std::fmt;

use http::{HeaderMap, StatusCode};
use sha2::{Digest, Sha256};

use super::Principal;
use crate::http::Refusal;

/// How callers are believed.
#[derive(Clone, Debug)]
pub enum Authentication {
    /// A development server: the `electric-principal` header is believed, and nobody is `system:dev-local`.
    Dev,
    /// `authorization: Bearer KEY`, each key standing for a principal.
    ApiKeys(ApiKeys),
    /// A proxy in front has authenticated the caller and names the principal in this header.
    TrustedHeader(String),
}

/// API keys and whom they stand for. Only their hashes are held.
#[derive(Clone, Default)]
pub struct ApiKeys(BTreeMap<[u8; 32], Principal>);

impl ApiKeys {
    /// Reads a key file: a key and a principal on each line (`k3y user:alice`), `#` begins a comment.
    ///
    /// # Errors
    /// When a line has another shape, a principal is not one, or there is no key at all; the message names the line and
    /// never the key.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut keys = BTreeMap::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or("").trim();
            if line.is_empty() {
                continue;
            }
            let (key, principal) = line
                .split_once(char::is_whitespace)
                .ok_or_else(|| format!("line {}: a key and a principal, such as `KEY user:alice`", number + 1))?;
            let principal = Principal::parse(principal.trim())
                .ok_or_else(|| format!("line {}: `{}` is not a principal", number + 1, principal.trim()))?;
            keys.insert(Sha256::digest(key).into(), principal);
        }
        if keys.is_empty() {
            Err("no keys: each line holds a key and a principal, such as `KEY user:alice`".to_owned())
        } else {
            Ok(Self(keys))
        }
    }
}

impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKeys({} keys)", self.0.len())
    }
}

/// Finds the principal of a request.
///
/// # Errors
/// 401 `UNAUTHORIZED` when there is none.
pub fn authenticate(auth: &Authentication, headers: &HeaderMap) -> Result<Principal, Refusal> {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(str::trim).filter(|v| !v.is_empty());
    match auth {
        // Only who says nothing is the developer: what cannot be read is somebody else.
        Authentication::Dev
            if headers.get("electric-principal").is_none_or(|v| v.as_bytes().trim_ascii().is_empty()) =>
        {
            Ok(Principal::dev_local())
        }
        Authentication::Dev => {
            text("electric-principal").and_then(Principal::parse).ok_or_else(|| refuse("Missing Electric-Principal"))
        }
        Authentication::TrustedHeader(name) => {
            text(name).and_then(Principal::parse).ok_or_else(|| refuse("Missing Electric-Principal"))
        }
        Authentication::ApiKeys(ApiKeys(keys)) => {
            let key = text("authorization")
                .and_then(|v| v.split_at_checked(7))
                .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer "));
            let key = key.map(|(_, key)| key.trim()).or_else(|| text("reveille-api-key"));
            let hash: Option<[u8; 32]> = key.map(|key| Sha256::digest(key).into());
            hash.and_then(|hash| keys.get(&hash))
                .cloned()
                .ok_or_else(|| refuse("send `authorization: Bearer KEY` with a key of this server"))
        }
    }
}

fn refuse(message: &str) -> Refusal {
    Refusal::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().expect("a value")))
            .collect()
    }

    #[test]
    fn keys_stand_for_principals_and_headers_for_nothing() {
        let auth = Authentication::ApiKeys(ApiKeys::parse("# ours\nsecret user:alice\n").expect("parses"));
        assert_eq!(
            authenticate(&auth, &headers(&[("authorization", "Bearer secret")])).expect("known").key(),
            "user:alice"
        );
        assert!(authenticate(&auth, &headers(&[("authorization", "Bearer other")])).is_err());
        assert!(authenticate(&auth, &headers(&[("electric-principal", "system:framework")])).is_err());
    }

    #[test]
    fn a_malformed_principal_is_not_the_superuser() {
        assert!(authenticate(&Authentication::Dev, &headers(&[("electric-principal", "nobody")])).is_err());
        let bytes = http::HeaderValue::from_bytes(b"user:\xe9").expect("a value that is no text");
        let unreadable = HeaderMap::from_iter([(http::HeaderName::from_static("electric-principal"), bytes)]);
        assert!(authenticate(&Authentication::Dev, &unreadable).is_err());
        for nobody in [headers(&[]), headers(&[("electric-principal", " ")])] {
            assert_eq!(authenticate(&Authentication::Dev, &nobody).expect("dev").key(), "system:dev-local");
        }
    }

    #[test]
    fn a_key_file_is_explained_without_its_keys() {
        for (text, want) in [("hunter2", "line 1"), ("hunter2 nobody", "line 1"), ("", "no keys")] {
            let error = ApiKeys::parse(text).expect_err("refused");
            assert!(error.contains(want) && !error.contains("hunter2"), "{error}");
        }
    }
}
