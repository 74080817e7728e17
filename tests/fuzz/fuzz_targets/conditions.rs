//! The condition of a shape, the first line, and its parameters, a line each: refused, or answered within its budget; in
//! parentheses it is the same, and never true together with its opposite.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reveille_core::fuzz::lets_in;

fuzz_target!(|input: &str| {
    let mut lines = input.lines();
    let condition = lines.next().unwrap_or("");
    let params: Vec<String> = lines.map(str::to_owned).collect();
    let Some((is_in, spent)) = lets_in(condition, &params) else { return };
    for (wrapped, may_be_in) in [(format!("({condition})"), is_in), (format!("NOT ({condition})"), !is_in)] {
        let Some((wrapped_in, more_spent)) = lets_in(&wrapped, &params) else { continue };
        assert!(spent || more_spent || !wrapped_in || may_be_in, "{wrapped}");
    }
});
