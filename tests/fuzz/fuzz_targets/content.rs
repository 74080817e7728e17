//! Appends of JSON: what is taken is stored as JSON, in as many messages, and stored again as it stands.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reveille_core::fuzz::{append, messages, nesting};
use serde_json::value::RawValue;

fuzz_target!(|body: &[u8]| {
    if let Ok(text) = std::str::from_utf8(body) {
        assert!(nesting(text) <= text.len());
        let _ = messages(text);
    }
    let json = serde_json::from_slice::<&RawValue>(body);
    let Some((count, stored)) = append(body, 99) else {
        assert!(json.is_err() || nesting(std::str::from_utf8(body).expect("text")) > 128, "refused");
        return;
    };
    assert!(json.is_ok(), "taken");
    let array = format!("[{stored}]");
    let read: Vec<&RawValue> = serde_json::from_str(&array).expect("a JSON array");
    assert_eq!(read.len(), count);
    assert_eq!(messages(&stored), read.iter().map(|m| m.get()).collect::<Vec<_>>());
    if count > 0 {
        assert_eq!(append(array.as_bytes(), 99).map(|(_, stored)| stored), Some(stored));
    }
});
