//! Patterns over the paths of streams (stream protocol, section 9.3).

/// Whether a pattern matches a path. Both are split at `/` and empty segments do not count. `*` stands for exactly one
/// segment and `**` for any number of them, none included; every other segment stands for itself, with `%2A` in it for a
/// literal `*`. Takes time in proportion to the product of their segments, whatever the pattern.
#[must_use]
pub fn matches(pattern: &str, path: &str) -> bool {
    let path: Vec<&str> = segments(path).collect();
    // reached[j]: the pattern so far can stand for the first j segments.
    let mut reached = vec![false; path.len() + 1];
    reached[0] = true;
    for segment in segments(pattern) {
        if segment == "**" {
            for j in 0..path.len() {
                reached[j + 1] |= reached[j];
            }
            continue;
        }
        for j in (0..path.len()).rev() {
            reached[j + 1] = reached[j] && (segment == "*" || stands_for(segment, path[j]));
        }
        reached[0] = false;
    }
    reached[path.len()]
}

/// The path below which everything lies that a pattern can match: its leading segments without wildcards.
pub(crate) fn prefix(pattern: &str) -> String {
    let literal = segments(pattern).take_while(|s| *s != "*" && *s != "**" && !is_escaped(s));
    literal.fold(String::new(), |path, segment| path + "/" + segment)
}

fn segments(text: &str) -> impl Iterator<Item = &str> {
    text.split('/').filter(|segment| !segment.is_empty())
}

fn stands_for(pattern: &str, segment: &str) -> bool {
    if !is_escaped(pattern) {
        return pattern == segment;
    }
    pattern.replace("%2A", "*").replace("%2a", "*") == segment
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
        assert!(!matches(&pattern, &path));
    }

    #[test]
    fn what_a_pattern_can_match_lies_below_its_prefix() {
        for (pattern, want) in [("a/b/**", "/a/b"), ("/a/*/c", "/a"), ("**", ""), ("a/%2A/c", "/a"), ("x", "/x")] {
            assert_eq!(prefix(pattern), want, "{pattern}");
        }
    }
}
