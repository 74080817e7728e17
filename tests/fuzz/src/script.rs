//! Scripts: requests as they stand on the wire, with `---` on a line of its own between them.

use http::Method;

/// One thing that is done.
#[derive(Clone, Debug)]
pub enum Line {
    /// `TICK 500`: so many milliseconds pass, and timers run.
    Tick(i64),
    /// `OUTCOME 200`, an empty line and a body: the oldest webhook is answered; 0 when it failed.
    Outcome(u16, Vec<u8>),
    /// `METHOD target`, header lines, an empty line and a body.
    Request { method: Method, target: String, headers: Vec<(String, String)>, body: Vec<u8> },
}

/// Reads a script; what is not one is left out.
pub fn lines(script: &[u8]) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut rest = script;
    while !rest.is_empty() && lines.len() < MOST {
        let (part, after) = find(rest, b"\n---\n");
        rest = after;
        lines.extend(line(part));
    }
    lines
}

fn line(part: &[u8]) -> Option<Line> {
    let (head, body) = find(part, b"\n\n");
    let body = body.strip_suffix(b"\n").unwrap_or(body).to_vec();
    let head = String::from_utf8_lossy(head);
    let mut head = head.split('\n');
    let (verb, target) = head.next()?.split_once(' ')?;
    match verb {
        "TICK" => Some(Line::Tick(target.parse::<u32>().ok()?.into())),
        "OUTCOME" => Some(Line::Outcome(target.parse().ok()?, body)),
        method => {
            let method = Method::from_bytes(method.as_bytes()).ok()?;
            let header = |line: &str| line.split_once(':').map(|(n, v)| (n.to_owned(), v.trim().to_owned()));
            let headers = head.filter_map(header).collect();
            Some(Line::Request { method, target: target.to_owned(), headers, body })
        }
    }
}

fn find<'a>(text: &'a [u8], separator: &[u8]) -> (&'a [u8], &'a [u8]) {
    match text.windows(separator.len()).position(|window| window == separator) {
        Some(at) => (&text[..at], &text[at + separator.len()..]),
        None => (text, &[]),
    }
}

/// The most that one script does.
const MOST: usize = 24;
