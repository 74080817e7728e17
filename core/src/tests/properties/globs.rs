//! Patterns: the quick matcher against the protocol's recursion, written down as it stands there.

use proptest::prelude::*;

use super::check;
use crate::subscription::glob::{matches, prefix};

fn segments(text: &str) -> Vec<&str> {
    text.split('/').filter(|s| !s.is_empty()).collect()
}

/// `m(i, j)` of section 9.3.
fn model(pattern: &[&str], path: &[&str]) -> bool {
    match pattern.split_first() {
        None => path.is_empty(),
        Some((&"**", rest)) => model(rest, path) || (!path.is_empty() && model(pattern, &path[1..])),
        Some((segment, rest)) => {
            let fits = |s: &str| *segment == "*" || segment.replace("%2A", "*").replace("%2a", "*") == s;
            path.split_first().is_some_and(|(first, after)| fits(first) && model(rest, after))
        }
    }
}

fn joined(segment: &'static str, most: usize) -> impl Strategy<Value = String> {
    prop::collection::vec(segment, 0..most).prop_map(|segments| segments.join("/"))
}

#[test]
fn a_pattern_matches_as_the_protocol_recurses() {
    let pattern = joined("(\\*|\\*\\*|a|b|a\\*|%2A|%2a|a%2A|)", 7);
    let path = joined("(a|b|\\*|a\\*|%2A|)", 7);
    check(8000, &(pattern, path), |(pattern, path)| {
        let want = model(&segments(&pattern), &segments(&path));
        prop_assert_eq!(matches(&pattern, &path), want);
        if want {
            // Whatever matches lies below the prefix: that is where matches are looked for.
            let (below, path) = (prefix(&pattern), format!("/{}", segments(&path).join("/")));
            prop_assert!(below.is_empty() || path == below || path.starts_with(&format!("{below}/")), "{}", below);
        }
        Ok(())
    });
}

#[test]
fn a_path_without_wildcards_matches_itself_alone() {
    check(2000, &(joined("[a-c]{1,2}", 4), joined("[a-c]{1,2}", 4)), |(one, other)| {
        prop_assert_eq!(matches(&one, &other), one == other);
        let below = prefix(&one);
        prop_assert_eq!(segments(&below), segments(&one));
        Ok(())
    });
}
