//! Patterns and paths, the first line and the rest: matched as the protocol recurses, and below the pattern's prefix.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reveille_core::fuzz::glob_prefix;
use reveille_core::glob::matches;

fn segments(text: &str) -> Vec<&str> {
    text.split('/').filter(|s| !s.is_empty()).collect()
}

/// `m(i, j)` of the protocol's section 9.3, from the end.
fn model(pattern: &[&str], path: &[&str]) -> bool {
    let mut after: Vec<bool> = (0..=path.len()).map(|j| j == path.len()).collect();
    for segment in pattern.iter().rev() {
        let literal = segment.replace("%2A", "*").replace("%2a", "*");
        let mut here = vec![false; path.len() + 1];
        for j in (0..=path.len()).rev() {
            here[j] = match *segment {
                "**" => after[j] || j < path.len() && here[j + 1],
                segment => j < path.len() && (segment == "*" || literal == path[j]) && after[j + 1],
            };
        }
        after = here;
    }
    after[0]
}

fuzz_target!(|input: &str| {
    let (pattern, path) = input.split_once('\n').unwrap_or((input, ""));
    let want = model(&segments(pattern), &segments(path));
    assert_eq!(matches(pattern, path), want);
    if want {
        let (below, path) = (glob_prefix(pattern), format!("/{}", segments(path).join("/")));
        assert!(below.is_empty() || path == below || path.starts_with(&format!("{below}/")), "{below}");
    }
});
