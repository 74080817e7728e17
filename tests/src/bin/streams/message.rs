//! The messages: JSON of a hundred bytes, each with a number, and the requests that carry them.

use reveille_tests::Result;

/// How long a message is.
pub(crate) const MESSAGE: usize = 100;

/// The requests that append numbered messages, to so many streams in turn, so many in a request.
#[derive(Clone, Debug)]
pub(crate) struct Appends {
    request: Vec<u8>,
    /// Where the request has the number of the stream.
    stream_at: usize,
    /// Where the first message's number is.
    number_at: usize,
    streams: u64,
    each: u64,
}

impl Appends {
    /// The streams are called [`name`] of `prefix`. A request of one message has it bare, others have an array.
    pub(crate) fn new(prefix: &str, streams: u64, each: u64) -> Self {
        let one = message(0);
        let messages = vec![one.as_str(); each as usize].join(",");
        let body = if each == 1 { messages } else { format!("[{messages}]") };
        let head = format!("POST {}{prefix}-", ROOT);
        let stream_at = head.len();
        let rest = format!(
            "{:0STREAM_DIGITS$} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            0,
            body.len()
        );
        let number_at = stream_at + rest.len() + usize::from(each > 1) + NUMBER_AT;
        Self { request: (head + &rest + &body).into_bytes(), stream_at, number_at, streams, each }
    }

    /// Request number `n`.
    pub(crate) fn request(&mut self, n: u64) -> &[u8] {
        digits(&mut self.request[self.stream_at..][..STREAM_DIGITS], n % self.streams);
        for i in 0..self.each {
            let at = self.number_at + i as usize * (MESSAGE + 1);
            digits(&mut self.request[at..][..DIGITS], n * self.each + i);
        }
        &self.request
    }
}

/// The path of a stream.
pub(crate) fn path(prefix: &str, stream: u64) -> String {
    format!("{ROOT}{prefix}-{stream:0STREAM_DIGITS$}")
}

/// The request that makes a stream.
pub(crate) fn create(path: &str) -> Vec<u8> {
    format!("PUT {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: 0\r\n\r\n")
        .into_bytes()
}

/// The request that reads, with a query such as `offset=-1`.
pub(crate) fn read(path: &str, query: &str) -> Vec<u8> {
    format!("GET {path}?{query} HTTP/1.1\r\nhost: bench\r\n\r\n").into_bytes()
}

/// What message `n`, and no other, has in it.
pub(crate) fn mark(n: u64) -> String {
    format!(r#""n":"{n:0DIGITS$}""#)
}

/// The numbers of the messages in pages of JSON, one array behind the other.
pub(crate) fn numbers(pages: &[u8]) -> Result<Vec<u64>> {
    let mut numbers = Vec::with_capacity(pages.len() / MESSAGE);
    let mut rest = pages;
    while let [b'[' | b',' | b']', tail @ ..] = rest {
        rest = tail;
        if let Some((message, tail)) = rest.split_at_checked(MESSAGE).filter(|(message, _)| message[0] == b'{') {
            numbers.push(std::str::from_utf8(&message[NUMBER_AT..][..DIGITS])?.parse()?);
            rest = tail;
        }
    }
    if rest.is_empty() { Ok(numbers) } else { Err("a stream has more in it than was appended".into()) }
}

/// Message `n`.
pub(crate) fn message(n: u64) -> String {
    let start = format!(r#"{{{},"text":""#, mark(n));
    format!(r#"{start:x<width$}"}}"#, width = MESSAGE - 2)
}

/// Writes a number in decimal, with as many digits as there is room for.
fn digits(room: &mut [u8], mut n: u64) {
    for digit in room.iter_mut().rev() {
        *digit = b'0' + (n % 10) as u8;
        n /= 10;
    }
}

const ROOT: &str = "/v1/stream/";
const STREAM_DIGITS: usize = 5;
const DIGITS: usize = 8;
/// Where a message has its number.
const NUMBER_AT: usize = r#"{"n":""#.len();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_carries_its_numbers() {
        let request = String::from_utf8(Appends::new("s", 100, 2).request(1234).to_owned()).unwrap();
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /v1/stream/s-00034 HTTP/1.1\r\n"), "{head}");
        assert!(head.ends_with(&format!("content-length: {}", body.len())), "{head}");
        assert_eq!(numbers(body.as_bytes()).unwrap(), [2468, 2469]);
        assert_eq!(body, format!("[{},{}]", message(2468), message(2469)));
        assert_eq!(Appends::new("s", 1, 1).request(7)[request.len() - body.len()..].len(), MESSAGE);
    }

    #[test]
    fn pages_are_read_to_their_end() {
        let pages = format!("[{},{}][{}][]", message(0), message(1), message(2));
        assert_eq!(numbers(pages.as_bytes()).unwrap(), [0, 1, 2]);
        assert!(numbers(b"[1]").is_err());
    }
}
