//! Patterns over the paths of streams (stream protocol, section 9.3).

use std::collections::BTreeMap;

/// Whether a pattern matches a path. Both are split at `/` and empty segments do not count. `*` stands for exactly one
/// segment and `**` for any number of them, none included; every other segment stands for itself, with `%2A` in it for a
/// literal `*`. Takes time in proportion to the product of their segments, whatever the pattern.
#[must_use]
pub fn matches(pattern: &str, path: &str) -> bool {
    Matcher::new(path).matches(pattern)
}

/// A path that many patterns are matched with: each takes a few operations on bits for each of its segments.
#[derive(Debug)]
pub struct Matcher<'p> {
    /// How many segments it has.
    count: usize,
    /// Where each stands: a bit a segment.
    places: BTreeMap<&'p str, Bits>,
}

/// Positions in a path, as bits.
type Bits = Vec<u64>;

impl<'p> Matcher<'p> {
    /// A path to be matched.
    #[must_use]
    pub fn new(path: &'p str) -> Self {
        let count = segments(path).count();
        let mut places: BTreeMap<&str, Bits> = BTreeMap::new();
        for (at, segment) in segments(path).enumerate() {
            places.entry(segment).or_insert_with(|| vec![0; count / 64 + 1])[at / 64] |= 1 << (at % 64);
        }
        Self { count, places }
    }

    /// Whether a pattern matches it: see [`matches()`].
    #[must_use]
    pub fn matches(&self, pattern: &str) -> bool {
        // Bit j: the pattern so far can stand for the first j segments.
        let mut reached = vec![0; self.count / 64 + 1];
        reached[0] = 1;
        for segment in segments(pattern) {
            match segment {
                "**" => fill_from_lowest(&mut reached),
                "*" => shift(&mut reached),
                _ => {
                    let literal = segment.replace("%2A", "*").replace("%2a", "*");
                    let Some(places) = self.places.get(literal.as_str()) else { return false };
                    reached.iter_mut().zip(places).for_each(|(word, places)| *word &= places);
                    shift(&mut reached);
                }
            }
        }
        reached[self.count / 64] >> (self.count % 64) & 1 == 1
    }
}

/// Moves every bit one further.
fn shift(bits: &mut [u64]) {
    let mut carry = 0;
    for word in bits {
        (*word, carry) = (*word << 1 | carry, *word >> 63);
    }
}

/// Sets every bit above the lowest that is set.
fn fill_from_lowest(bits: &mut [u64]) {
    let mut found = false;
    for word in bits {
        if found {
            *word = u64::MAX;
        } else if *word != 0 {
            *word = u64::MAX << word.trailing_zeros();
            found = true;
        }
    }
}

/// The path below which everything lies that a pattern can match: its leading segments without wildcards.
pub(crate) fn prefix(pattern: &str) -> String {
    let literal = segments(pattern).take_while(|s| *s != "*" && *s != "**" && !is_escaped(s));
    literal.fold(String::new(), |path, segment| path + "/" + segment)
}

fn segments(text: &str) -> impl Iterator<Item = &str> {
    text.split('/').filter(|segment| !segment.is_empty())
}

fn is_escaped(segment: &str) -> bool {
    segment.contains("%2A") || segment.contains("%2a")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_table_of_the_protocol() {
        for (pattern, path, want) in [
            ("a/b", "a/b", true),
            ("a/b", "/a//b/", true),
            ("a/b", "a", false),
            ("a/*", "a/b", true),
            ("a/*", "a", false),
            ("a/*", "a/b/c", false),
            ("b/**", "b", true),
            ("b/**", "b/c/d", true),
            ("b/**", "bc", false),
            ("**", "", true),
            ("**", "a/b/c", true),
            ("**/x", "x", true),
            ("**/x", "a/b/x", true),
            ("**/x", "a/x/b", false),
            ("a/**/z", "a/z", true),
            ("a/**/z", "a/b/c/z", true),
            ("a/**/**/z", "a/b/z", true),
            ("foo*", "foobar", false),
            ("foo*", "foo*", true),
            ("%2A", "*", true),
            ("%2a", "x", false),
            ("a%2Ab", "a*b", true),
            ("%41", "A", false),
            ("*", "", false),
        ] {
            assert_eq!(matches(pattern, path), want, "{pattern} {path}");
        }
    }

    #[test]
    fn a_hostile_pattern_takes_no_longer_than_another() {
        let (pattern, path) = ("**/a/".repeat(300), "a/".repeat(700) + "b");
        let matcher = Matcher::new(&path);
        assert!((0..1000).all(|_| !matcher.matches(&pattern)));
        assert!(matches(&pattern, &"a/".repeat(700)));
    }

    #[test]
    fn what_a_pattern_can_match_lies_below_its_prefix() {
        for (pattern, want) in [("a/b/**", "/a/b"), ("/a/*/c", "/a"), ("**", ""), ("a/%2A/c", "/a"), ("x", "/x")] {
            assert_eq!(prefix(pattern), want, "{pattern}");
        }
    }
}
