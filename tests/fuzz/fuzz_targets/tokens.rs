//! Claim tokens: whatever comes, only what was minted opens, and as what it was minted.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reveille_core::fuzz::Tokens;

fuzz_target!(|input: (&str, i64, u16, &str)| {
    let (wake, generation, at, put) = input;
    let tokens = Tokens::new();
    let token = tokens.mint(wake, generation);
    let opened = tokens.open(&token);
    // A wake's id has no dot; with one it is no token.
    assert_eq!(opened.is_some(), !wake.contains('.'));
    if let Some((wake_again, generation_again, _)) = &opened {
        assert_eq!((wake_again.as_str(), *generation_again), (wake, generation));
    }
    let _ = tokens.open(put);
    let at = usize::from(at) % (token.len() + 1);
    if let (Some(before), Some(after)) = (token.get(..at), token.get(at..)) {
        let forged = format!("{before}{put}{after}");
        let cut = format!("{before}{}", after.chars().skip(put.chars().count()).collect::<String>());
        for forged in [forged, cut] {
            if let Some((wake_again, generation_again, _)) = tokens.open(&forged) {
                assert_eq!((wake_again.as_str(), generation_again), (wake, generation), "{forged}");
            }
        }
    }
});
