//! `multipart/form-data` bodies (RFC 7578, and as browsers write them): parts by name, borrowed from the body. One pass,
//! at most [`FORM_PARTS`] parts with short headers, and nothing is copied but names.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::limits::{FORM_HEADERS, FORM_PARTS};

/// A form.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Form<'a>(Vec<Part<'a>>);

/// One field of a form.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part<'a> {
    name: String,
    /// What a file is called, perhaps nothing; a field without it is text.
    pub(crate) filename: Option<String>,
    /// The content type, as it was sent.
    pub(crate) content_type: Option<String>,
    pub(crate) bytes: &'a [u8],
}

impl<'a> Form<'a> {
    /// Reads a body whose parts are parted by `boundary`; `None` when it is malformed, cut off, or has too many parts.
    pub(crate) fn of(boundary: &str, body: &'a [u8]) -> Option<Self> {
        let delimiter = format!("\r\n--{boundary}").into_bytes();
        let mut rest = match body.strip_prefix(&delimiter[2..]) {
            Some(rest) => rest,
            None => cut(body, &delimiter)?.1,
        };
        let mut parts = Vec::new();
        while !rest.starts_with(b"--") {
            let padded = rest.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
            let (part, after) = cut(rest[padded..].strip_prefix(b"\r\n")?, &delimiter)?;
            if parts.len() == FORM_PARTS {
                return None;
            }
            parts.push(Part::of(part)?);
            rest = after;
        }
        Some(Self(parts))
    }

    /// The file of this name, if the first field of the name is one.
    pub(crate) fn file(&self, name: &str) -> Option<&Part<'a>> {
        self.first(name).filter(|part| part.filename.is_some())
    }

    /// The text of this name, if the first field of the name is text.
    pub(crate) fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        self.first(name).filter(|part| part.filename.is_none()).map(|part| String::from_utf8_lossy(part.bytes))
    }

    /// How many bytes its parts hold beside those of `part`.
    pub(crate) fn beside(&self, part: &Part<'_>) -> usize {
        self.0.iter().map(|p| p.bytes.len()).sum::<usize>() - part.bytes.len()
    }

    fn first(&self, name: &str) -> Option<&Part<'a>> {
        self.0.iter().find(|part| part.name == name)
    }
}

impl<'a> Part<'a> {
    /// Reads what stands between two delimiters: headers, an empty line, bytes.
    fn of(part: &'a [u8]) -> Option<Self> {
        let (headers, bytes) = cut(part, b"\r\n\r\n").filter(|(headers, _)| headers.len() <= FORM_HEADERS)?;
        let headers = String::from_utf8_lossy(headers);
        let (mut disposition, mut content_type) = (None, None);
        for line in headers.split("\r\n") {
            let (name, value) = line.split_once(':')?;
            match name.to_ascii_lowercase().as_str() {
                "content-disposition" => disposition = Some(parameters(value)?),
                "content-type" => content_type = Some(value.trim().to_owned()),
                "content-transfer-encoding" if !is_plain(value) => return None,
                _ => {}
            }
        }
        let (kind, named) = disposition?;
        let find = |wanted: &str| named.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
        if !kind.eq_ignore_ascii_case("form-data") {
            return None;
        }
        let filename = match find("filename*") {
            Some(extended) => Some(unextended(extended)?),
            None => find("filename").map(unescaped),
        };
        Some(Self { name: unescaped(find("name")?), filename, content_type, bytes })
    }
}

/// The boundary that the content type of a form names. `None` when it is no form's, `Some(None)` when it names none that
/// can be.
pub(crate) fn boundary(content_type: &str) -> Option<Option<String>> {
    let kind = content_type.split(';').next().unwrap_or("").trim();
    if !kind.eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let named = parameters(content_type).map(|(_, named)| named).unwrap_or_default();
    let boundary = named.into_iter().find(|(name, _)| name == "boundary").map(|(_, value)| value);
    Some(
        boundary.filter(|b| (1..=LONGEST_BOUNDARY).contains(&b.len()) && b.bytes().all(|b| (b' '..=b'~').contains(&b))),
    )
}

/// A header's value and its parameters, their names in lower case. What is quoted ends at the next quotation mark: names
/// of files have theirs escaped, and backslashes in them mean themselves.
fn parameters(value: &str) -> Option<(String, Vec<(String, String)>)> {
    let (kind, mut rest) = value.split_once(';').unwrap_or((value, ""));
    let mut named = Vec::new();
    while !rest.trim().is_empty() {
        let (name, after) = rest.split_once('=')?;
        let (value, after) = match after.trim_start().strip_prefix('"') {
            Some(quoted) => {
                let (value, after) = quoted.split_once('"')?;
                (value, after.trim_start())
            }
            None => {
                let end = after.find(';').unwrap_or(after.len());
                (after[..end].trim(), &after[end..])
            }
        };
        named.push((name.trim().to_ascii_lowercase(), value.to_owned()));
        rest = match after.strip_prefix(';') {
            Some(more) => more,
            None if after.is_empty() => after,
            None => return None,
        };
    }
    Some((kind.trim().to_owned(), named))
}

/// A name as browsers escape it: quotation marks and line ends, and nothing else.
fn unescaped(name: &str) -> String {
    name.replace("%22", "\"").replace("%0D", "\r").replace("%0A", "\n")
}

/// An extended value (RFC 8187): `UTF-8''` and percent-encoded text.
fn unextended(value: &str) -> Option<String> {
    let (charset, rest) = value.split_once('\'')?;
    let (_, text) = rest.split_once('\'')?;
    let text = percent_decode_str(text).decode_utf8().ok()?;
    charset.eq_ignore_ascii_case("utf-8").then(|| text.into_owned())
}

/// Whether bytes are sent as they are.
fn is_plain(encoding: &str) -> bool {
    ["binary", "8bit", "7bit"].iter().any(|plain| encoding.trim().eq_ignore_ascii_case(plain))
}

/// What stands before and behind the first place where `mark` stands, which begins with a carriage return and has no
/// other but as part of a line end.
fn cut<'a>(text: &'a [u8], mark: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let mut from = 0;
    while let Some(next) = text[from..].iter().position(|byte| *byte == b'\r') {
        let at = from + next;
        if let Some(behind) = text[at..].strip_prefix(mark) {
            return Some((&text[..at], behind));
        }
        from = at + 1;
    }
    None
}

/// The longest boundary (RFC 2046).
const LONGEST_BOUNDARY: usize = 70;

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// A part's name, what its file is called, its content type and its bytes, in short.
    fn read(body: &str) -> Option<Vec<String>> {
        let body = body.replace('\n', "\r\n");
        let form = Form::of("b", body.as_bytes())?;
        let show = |part: &Part<'_>| {
            let (file, kind) = (part.filename.as_deref().unwrap_or("-"), part.content_type.as_deref().unwrap_or("-"));
            format!("{}|{file}|{kind}|{}", part.name, String::from_utf8_lossy(part.bytes))
        };
        Some(form.0.iter().map(show).collect())
    }

    #[test]
    fn what_parts_are_read_as() {
        let one = |headers: &str| format!("--b\n{headers}\n\nx\n--b--");
        for (body, want) in [
            ("--b--".to_owned(), vec![]),
            ("--b--\nepilogue".to_owned(), vec![]),
            ("preamble\n--b \t\nContent-Disposition: form-data; name=a\n\nx\n--b--\n".to_owned(), vec!["a|-|-|x"]),
            ("--b\nContent-Disposition: form-data; name=\"a\"\n\n\n--b--".to_owned(), vec!["a|-|-|"]),
            (
                "--b\nContent-Disposition: form-data; name=\"a\"\n\n1\n--b\ncontent-disposition:form-data;name=\"b\"\n\n2\n\n--b--".to_owned(),
                vec!["a|-|-|1", "b|-|-|2\r\n"],
            ),
            (
                one("Content-Type: text/plain; charset=x \nX-Other: y\nContent-Disposition: Form-Data; Name=\"f\"; FileName=\"a;=.txt\""),
                vec!["f|a;=.txt|text/plain; charset=x|x"],
            ),
            (one("Content-Disposition: form-data; name=\"f\"; filename=\"\""), vec!["f||-|x"]),
            (one("Content-Disposition: form-data; name=\"f\"; filename=\"C:\\a\\\""), vec!["f|C:\\a\\|-|x"]),
            (one("Content-Disposition: form-data; name=\"%22f%0D%0A%20\"; filename=\"ünï %41\""), vec!["\"f\r\n%20|ünï %41|-|x"]),
            (one("Content-Disposition: form-data; filename=\"_\"; name=f; filename*=utf-8'en'%C3%BC%41"), vec!["f|üA|-|x"]),
            (one("Content-Disposition: form-data; name = f ; "), vec!["f|-|-|x"]),
            (one("Content-Transfer-Encoding: Binary\nContent-Disposition: form-data; name=f"), vec!["f|-|-|x"]),
        ] {
            assert_eq!(read(&body), Some(want.iter().map(|w| (*w).to_owned()).collect()), "{body}");
        }
    }

    #[test]
    fn what_is_no_form() {
        let one = |headers: &str| format!("--b\n{headers}\n\nx\n--b--");
        let long = format!("X: {}\nContent-Disposition: form-data; name=f", "x".repeat(FORM_HEADERS));
        let many = format!(
            "{}--b--",
            one("Content-Disposition: form-data; name=f").replace("--b--", "").repeat(FORM_PARTS + 1)
        );
        for body in [
            String::new(),
            "--b".to_owned(),
            "--b\n".to_owned(),
            "--bx--".to_owned(),
            "--c--".to_owned(),
            "x--b--".to_owned(),
            "--b\nContent-Disposition: form-data; name=f\n\nx".to_owned(),
            "--b\nContent-Disposition: form-data; name=f\n\nx\n--b".to_owned(),
            "--b\nContent-Disposition: form-data; name=f\n\nx\n--bx\n--b--".to_owned(),
            "--b\nContent-Disposition: form-data; name=f\nx\n--b--".to_owned(),
            "--b\n\nx\n--b--".to_owned(),
            "--b\nContent-Disposition: form-data; name=f\n\n--b\n--b--".to_owned(),
            one(""),
            one("Content-Type: text/plain"),
            one("Content-Disposition: form-data"),
            one("Content-Disposition: form-data; filename=f"),
            one("Content-Disposition: attachment; name=f"),
            one("Content-Disposition: form-data; name=\"f"),
            one("Content-Disposition: form-data; name=\"f\"g"),
            one("Content-Disposition: form-data; name"),
            one("Content-Disposition: form-data; name=f; filename*=latin1''x"),
            one("Content-Disposition: form-data; name=f; filename*=UTF-8''%ff"),
            one("Content-Transfer-Encoding: base64\nContent-Disposition: form-data; name=f"),
            one("no colon\nContent-Disposition: form-data; name=f"),
            one(&long),
            many,
        ] {
            assert_eq!(read(&body), None, "{body:.200}");
        }
        assert_eq!(Form::of("b", b"--b\nContent-Disposition: form-data; name=f\n\nx\n--b--"), None, "bare line feeds");
    }

    #[test]
    fn the_first_of_a_name_counts() {
        let file = "--b\r\nContent-Disposition: form-data; name=f; filename=x\r\n\r\nfile\r\n";
        let text = "--b\r\nContent-Disposition: form-data; name=f\r\n\r\ntext\r\n";
        let of = |body: String| {
            let form = Form::of("b", body.as_bytes()).expect("a form");
            (form.file("f").map(|p| p.bytes.to_vec()), form.text("f").map(|t| t.into_owned()))
        };
        assert_eq!(of(format!("{file}{text}--b--")), (Some(b"file".to_vec()), None));
        assert_eq!(of(format!("{text}{file}--b--")), (None, Some("text".to_owned())));
    }

    #[test]
    fn boundaries_of_content_types() {
        for (content_type, want) in [
            ("multipart/form-data; boundary=b", Some(Some("b"))),
            ("Multipart/Form-Data;charset=x;BOUNDARY=\"a b:c\"; more", Some(None)),
            ("Multipart/Form-Data;charset=x;BOUNDARY=\"a b:c\"; more=1", Some(Some("a b:c"))),
            ("multipart/form-data", Some(None)),
            ("multipart/form-data; boundary=", Some(None)),
            ("multipart/form-data; boundary=\"\r\n\"", Some(None)),
            (
                "multipart/form-data; boundary=0123456789012345678901234567890123456789012345678901234567890123456789",
                Some(Some("0123456789012345678901234567890123456789012345678901234567890123456789")),
            ),
            (
                "multipart/form-data; boundary=01234567890123456789012345678901234567890123456789012345678901234567890",
                Some(None),
            ),
            ("multipart/mixed; boundary=b", None),
            ("application/json", None),
            ("", None),
        ] {
            assert_eq!(boundary(content_type), want.map(|b| b.map(str::to_owned)), "{content_type}");
        }
    }
}
