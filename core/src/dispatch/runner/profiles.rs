//! What a runner says of the sandboxes that it offers (wake specification, section 6.1).

use serde_json::Value as Json;

use crate::entity::validate;
use crate::http::Body;
use crate::limits::{PROFILES, PROFILES_TEXT};

/// A kind of sandbox that a runner offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Profile {
    pub(crate) name: String,
    /// It is not on the runner's own machine, so that several runners can share one.
    pub(crate) remote: bool,
}

/// Reads the profiles in a body, as they are kept; `None` when it says nothing of them.
pub(super) fn given(body: &Body<'_>) -> Option<String> {
    let raw = body.raw("sandbox_profiles")?;
    for (path, message) in validate::form(FORM, raw) {
        body.complain(format!("/sandbox_profiles{path}"), message);
    }
    let kept = body.json("sandbox_profiles")?;
    if kept.as_array().is_some_and(|all| all.len() > PROFILES) {
        body.complain("/sandbox_profiles".to_owned(), format!("must NOT have more than {PROFILES} items"));
    }
    let kept = kept.to_string();
    if kept.len() > PROFILES_TEXT {
        body.complain("/sandbox_profiles".to_owned(), format!("must NOT be longer than {PROFILES_TEXT} bytes"));
    }
    Some(kept)
}

/// The profiles in what is kept of a runner. Of two that have one name the first counts.
pub(crate) fn read(kept: &str) -> Vec<Profile> {
    let all: Vec<Json> = serde_json::from_str(kept).unwrap_or_default();
    let mut profiles: Vec<Profile> = Vec::new();
    for profile in &all {
        let Some(name) = profile["name"].as_str().filter(|name| !name.is_empty()) else { continue };
        if !profiles.iter().any(|there| there.name == name) {
            profiles.push(Profile { name: name.to_owned(), remote: profile["remote"] == true });
        }
    }
    profiles
}

/// The form that they have to have; what else one says is kept.
const FORM: &str = r#"{"type":"array","items":{"type":"object","required":["name"],"properties":{
    "name":{"type":"string","minLength":1},"label":{"type":"string"},"description":{"type":"string"},
    "remote":{"type":"boolean"}}}}"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn what_is_kept_is_read_whatever_it_is() {
        let profile = |name: &str, remote| Profile { name: name.to_owned(), remote };
        for (kept, want) in [
            (r#"[{"name":"a"},{"name":"b","remote":true,"label":"B"}]"#, vec![profile("a", false), profile("b", true)]),
            (r#"[{"name":"a","remote":true},{"name":"a"}]"#, vec![profile("a", true)]),
            (r#"["a",null,{},{"name":1},{"name":""},{"name":"c","remote":"yes"}]"#, vec![profile("c", false)]),
            ("{}", vec![]),
            ("nonsense", vec![]),
        ] {
            assert_eq!(read(kept), want, "{kept}");
        }
    }
}
