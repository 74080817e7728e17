//! The words of a condition.

/// A word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A keyword or a name, in lower case.
    Word(String),
    /// A name in double quotes.
    Name(String),
    /// A text in single quotes.
    Text(String),
    /// A number, as it is written.
    Number(String),
    /// `$n`.
    Param(usize),
    /// An operator or a mark.
    Mark(&'static str),
}

/// Marks, longer ones before those they begin with.
const MARKS: [&str; 12] = ["<>", "!=", "<=", ">=", "::", "=", "<", ">", "(", ")", ",", "-"];

/// Reads all words, each with its place.
pub(super) fn tokens(text: &str) -> Result<Vec<(usize, Token)>, String> {
    let mut all = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        let (token, length) = token(rest, c).ok_or_else(|| format!("At location {at}: syntax error"))?;
        all.push((at, token));
        at += length;
    }
    Ok(all)
}

fn token(rest: &str, first: char) -> Option<(Token, usize)> {
    match first {
        '\'' => quoted(rest, '\'').map(|(text, length)| (Token::Text(text), length)),
        '"' => quoted(rest, '"').map(|(text, length)| (Token::Name(text), length)),
        '$' => {
            let digits = span(&rest[1..], |c| c.is_ascii_digit());
            Some((Token::Param(rest[1..=digits].parse().ok()?), 1 + digits))
        }
        '0'..='9' => {
            let length = span(rest, |c| c.is_ascii_alphanumeric() || c == '.');
            let number = &rest[..length];
            number.parse::<f64>().ok().map(|_| (Token::Number(number.to_owned()), length))
        }
        'a'..='z' | 'A'..='Z' | '_' => {
            let length = span(rest, |c| c.is_ascii_alphanumeric() || c == '_');
            Some((Token::Word(rest[..length].to_ascii_lowercase()), length))
        }
        _ => MARKS.into_iter().find(|mark| rest.starts_with(mark)).map(|mark| (Token::Mark(mark), mark.len())),
    }
}

fn span(text: &str, is: impl Fn(char) -> bool) -> usize {
    text.find(|c| !is(c)).unwrap_or(text.len())
}

/// A quoted text, in which a quote is doubled; and how long it is with its quotes.
fn quoted(text: &str, quote: char) -> Option<(String, usize)> {
    let mut read = String::new();
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c != quote {
            read.push(c);
        } else if chars.peek().is_some_and(|(_, next)| *next == quote) {
            read.push(quote);
            chars.next();
        } else {
            return Some((read, at + 1));
        }
    }
    None
}
