//! Forms: whatever comes is read or refused, and a file lies within its form.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reveille_core::fuzz::form;

fuzz_target!(|bytes: &[u8]| {
    let at = bytes.iter().position(|b| *b == b'\n').unwrap_or(0);
    let content_type = String::from_utf8_lossy(&bytes[..at]);
    let body = &bytes[at..];
    let (_, file) = form(&content_type, &body[body.len().min(1)..]);
    assert!(file.is_none_or(|length| length < body.len()));
});
