//! The names of observed sources, as clients compute them too (wake specification, sections 0.4 and 7.1).

use std::collections::BTreeMap;

use serde_json::json;

use crate::tenant::Principal;

/// 64-bit FNV-1a over UTF-16 code units, as 16 hexadecimal digits.
#[must_use]
pub fn fnv64(text: &str) -> String {
    let hash = text
        .encode_utf16()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, unit| (hash ^ u64::from(unit)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}

/// The name of the stream of entities that have these tags, as a principal may see them.
#[must_use]
pub fn membership_ref(tags: &BTreeMap<String, String>, by: &Principal) -> String {
    let who = format!(r#"{{"principalKind":{},"principalUrl":{}}}"#, json!(by.kind()), json!(by.url()));
    format!("{}-{}", fnv64(&stringify(tags)), fnv64(&who))
}

/// The tags as JavaScript writes them.
pub(super) fn stringify(tags: &BTreeMap<String, String>) -> String {
    let sorted = object(tags.iter().map(|(key, value)| (key.clone(), value.clone())));
    let members: Vec<String> = sorted.iter().map(|(k, v)| format!("{}:{}", json!(k), json!(v))).collect();
    format!("{{{}}}", members.join(","))
}

/// Members in the order in which JavaScript lists them once they are sorted: by their UTF-16 code units, but those first,
/// by their size, that are indices of an array.
pub(super) fn object(members: impl Iterator<Item = (String, String)>) -> Vec<(String, String)> {
    let mut sorted: Vec<_> = members.collect();
    sorted.sort_by(|(a, _), (b, _)| match (index(a), index(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        (Some(_), None) => std::cmp::Ordering::Less,
        (None, Some(_)) => std::cmp::Ordering::Greater,
        (None, None) => a.encode_utf16().cmp(b.encode_utf16()),
    });
    sorted
}

/// A key that is an index of an array: below 2^32 − 1, without leading zeros.
fn index(key: &str) -> Option<u32> {
    let number: u32 = key.parse().ok().filter(|n| *n < u32::MAX)?;
    (number.to_string() == key).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn hashes_of_the_specification() {
        for (text, hash) in [
            ("", "cbf29ce484222325"),
            ("a", "af63dc4c8601ec8c"),
            ("é", "af64644c8602d3a4"),
            ("\u{1F600}", "e5e45a0a241b88d8"),
            ("{}", "08f44b07b5901a25"),
            (r#"{"project":"x","team":"core"}"#, "e4cb8bf40a74c5f8"),
            ("{\"k\":\"é€😀\"}", "b3b7c07cdf3bac5c"),
            (r#"{"principalKind":"user","principalUrl":"/principal/user%3Aalice"}"#, "163cfbd7cf33ac1b"),
        ] {
            assert_eq!(fnv64(text), hash, "{text}");
        }
        let nothing = BTreeMap::new();
        assert_eq!(membership_ref(&nothing, &Principal::dev_local()), "08f44b07b5901a25-bdc43820afb01b52");
    }

    #[test]
    fn keys_stand_as_javascript_puts_them() {
        let tags = |keys: &[&str]| keys.iter().map(|k| ((*k).to_owned(), "v".to_owned())).collect::<BTreeMap<_, _>>();
        assert_eq!(stringify(&tags(&["b", "10", "9", "01", "a"])), r#"{"9":"v","10":"v","01":"v","a":"v","b":"v"}"#);
    }
}
