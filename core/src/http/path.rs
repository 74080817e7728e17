//! A request's target as URL parsing leaves it, so that a path names the same thing in every host, whether its platform
//! parses URLs or not, and in a header: dot segments resolved, what must be escaped escaped, every other escape kept as
//! it was sent.

use std::borrow::Cow;

/// The path of a request target, as the URL standard's parser would give it.
#[must_use]
pub fn canonical_path(raw: &str) -> Cow<'_, str> {
    if is_plain(raw) {
        return Cow::Borrowed(raw);
    }
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = raw.split(['/', '\\']).skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match dots(segment) {
            0 => kept.push(segment),
            dots => {
                if dots == 2 {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
        }
    }
    let mut path = String::with_capacity(raw.len());
    for segment in kept {
        path.push('/');
        escape(&mut path, segment, b"\"<>`{}");
    }
    Cow::Owned(if path.is_empty() { "/".to_owned() } else { path })
}

/// The query of a request target, as the URL standard's parser would give it.
#[must_use]
pub fn canonical_query(raw: &str) -> String {
    let mut query = String::with_capacity(raw.len());
    escape(&mut query, raw, b"\"'<>");
    query
}

/// Whether parsing would change nothing: the usual case.
fn is_plain(raw: &str) -> bool {
    raw.starts_with('/')
        && !raw.contains("/.")
        && !raw.contains("/%2")
        && !raw.bytes().any(|b| escaped(b, b"\\\"<>`{}"))
}

/// 1 for a segment that means "here", 2 for one that means "up", else 0.
fn dots(segment: &str) -> usize {
    let mut rest = segment;
    let mut dots = 0;
    while !rest.is_empty() {
        let dot = [".", "%2e", "%2E"].into_iter().find_map(|dot| rest.strip_prefix(dot));
        match dot {
            Some(after) if dots < 2 => (rest, dots) = (after, dots + 1),
            _ => return 0,
        }
    }
    dots
}

fn escape(out: &mut String, text: &str, set: &[u8]) {
    for byte in text.bytes() {
        if escaped(byte, set) {
            out.extend(['%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        } else {
            out.push(char::from(byte));
        }
    }
}

fn escaped(byte: u8, set: &[u8]) -> bool {
    byte <= b' ' || byte >= 0x7f || set.contains(&byte)
}

const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn paths_are_as_the_url_standard_says() {
        // Each pair is what `new URL("http://h" + raw).pathname` gives.
        for (raw, parsed) in [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a/../b", "/b"),
            ("/a/%2e%2E/b", "/b"),
            ("/a/.%2e/", "/"),
            ("/a/.", "/a/"),
            ("/a/..", "/"),
            ("/..", "/"),
            ("//x", "//x"),
            ("/a//../b", "/a/b"),
            ("/a/%2e", "/a/"),
            ("/a/%2e%2e", "/"),
            ("/a/./b", "/a/b"),
            ("/a/...", "/a/..."),
            ("/a/%2e%2e%2e", "/a/%2e%2e%2e"),
            ("/a\\b\\..\\c", "/a/c"),
            ("/é", "/%C3%A9"),
            ("/%zz/%2F/%2f", "/%zz/%2F/%2f"),
            ("/a/b/.%2E", "/a/"),
            ("/free/{x}", "/free/%7Bx%7D"),
            ("/a\"<>`|^[]~!$&'()*+,;=:@", "/a%22%3C%3E%60|^[]~!$&'()*+,;=:@"),
            ("/.well-known/x", "/.well-known/x"),
            ("", "/"),
        ] {
            assert_eq!(canonical_path(raw), parsed, "{raw}");
        }
    }

    #[test]
    fn queries_keep_their_escapes() {
        assert_eq!(canonical_query("a=%2e&b='\"<>é{}"), "a=%2e&b=%27%22%3C%3E%C3%A9{}");
    }
}
