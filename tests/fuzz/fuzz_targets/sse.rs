//! Payloads as events: one event, every line a line of data, and the payload in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reveille_core::fuzz::sse;

fuzz_target!(|bytes: &[u8]| {
    let event = sse("text/plain", bytes);
    let lines = event.strip_prefix("event: data\n").and_then(|e| e.strip_suffix("\n\n")).expect("an event");
    let lines: Vec<&str> = lines
        .split('\n')
        .map(|line| {
            let value = line.strip_prefix("data:").expect("data");
            assert!(!value.contains('\r'));
            value.strip_prefix(' ').unwrap_or(value)
        })
        .collect();
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n").replace('\r', "\n");
    assert_eq!(lines.join("\n"), text);
    let binary = sse("image/png", bytes);
    let data = binary.strip_prefix("event: data\ndata:").and_then(|e| e.strip_suffix("\n\n")).expect("one line");
    assert_eq!(data.len(), bytes.len().div_ceil(3) * 4);
});
