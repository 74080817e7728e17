//! Principals: `kind:id`, and the URL that everything on the wire names them by (control plane, section 3).

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Value as Json, json};

/// An authenticated caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    kind: Kind,
    id: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    User,
    Agent,
    Service,
    System,
}

impl Kind {
    const ALL: [Self; 4] = [Self::User, Self::Agent, Self::Service, Self::System];

    fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Agent => "agent",
            Self::Service => "service",
            Self::System => "system",
        }
    }
}

impl Principal {
    /// The kinds that there are.
    pub const KINDS: [&'static str; 4] = ["user", "agent", "service", "system"];

    /// `system:dev-local`, who a development server takes an unnamed caller to be.
    #[must_use]
    pub fn dev_local() -> Self {
        Self { kind: Kind::System, id: "dev-local".to_owned() }
    }

    /// Reads a key (`user:kyle`), its URL (`/principal/user%3Akyle`) or the legacy URL (`/principal/user:kyle`).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let key = match text.strip_prefix("/principal/") {
            Some(encoded) => percent_decode_str(encoded).decode_utf8().ok()?.into_owned(),
            None => text.to_owned(),
        };
        let (kind, id) = key.split_once(':')?;
        let kind = Kind::ALL.into_iter().find(|k| k.as_str() == kind)?;
        let sane = !id.is_empty() && !id.contains('/') && !id.contains(char::is_control) && id.len() <= 512;
        sane.then(|| Self { kind, id: id.to_owned() })
    }

    /// `user`, `agent`, `service` or `system`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind.as_str()
    }

    /// What follows the first colon of the key.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// `kind:id`.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}:{}", self.kind(), self.id)
    }

    /// `/principal/` and the key as a URI component: compared byte for byte wherever it is stored.
    #[must_use]
    pub fn url(&self) -> String {
        format!("/principal/{}", utf8_percent_encode(&self.key(), COMPONENT))
    }

    /// Whether it is one of the built-in principals, which pass every permission check.
    #[must_use]
    pub fn is_system(&self) -> bool {
        self.kind == Kind::System && matches!(self.id.as_str(), "framework" | "auth-sync" | "dev-local")
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.key())
    }
}

/// `{url, key, kind, id}` of a principal URL, as deliveries carry it; only `url` and a null key when it is not one.
pub(crate) fn describe(url: &str) -> Json {
    match url.starts_with("/principal/").then(|| Principal::parse(url)).flatten() {
        Some(p) => json!({ "url": p.url(), "key": p.key(), "kind": p.kind(), "id": p.id() }),
        None => json!({ "url": url, "key": null }),
    }
}

/// What JavaScript's `encodeURIComponent` encodes.
pub(crate) const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn every_input_form_means_the_same() {
        for text in
            ["user:alice@example.com", "/principal/user%3Aalice%40example.com", "/principal/user:alice@example.com"]
        {
            let p = Principal::parse(text).expect("a principal");
            assert_eq!(p.url(), "/principal/user%3Aalice%40example.com");
            assert_eq!(p.key(), "user:alice@example.com");
        }
        assert_eq!(
            Principal::parse("user:clerk:user_123").expect("colons in the id").url(),
            "/principal/user%3Aclerk%3Auser_123"
        );
    }

    #[test]
    fn what_names_nobody_is_refused() {
        for text in [
            "",
            "user",
            ":x",
            "user:",
            "robot:x",
            "user:a/b",
            "/principal/",
            "/principal/user%3Aa%2Fb",
            "/principal/%ff",
        ] {
            assert!(Principal::parse(text).is_none(), "{text}");
        }
    }
}
