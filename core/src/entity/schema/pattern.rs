//! `pattern`: regular expressions that take linear time, at a known price.
//!
//! The syntax is that which Rust and JavaScript share: no look-around, no back-references, no Unicode classes.

use regex_lite::{Error, Regex, RegexBuilder};

/// A compiled pattern.
#[derive(Debug)]
pub(super) struct Pattern {
    regex: Regex,
    price: usize,
}

impl Pattern {
    pub(super) fn compile(text: &str) -> Result<Self, Error> {
        let build = |size| RegexBuilder::new(text).size_limit(size).build();
        match build(SMALL) {
            Ok(regex) => Ok(Self { regex, price: 16 }),
            Err(_) => build(LARGE).map(|regex| Self { regex, price: 256 }),
        }
    }

    /// Whether the text has a match in it.
    pub(super) fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// What looking for a match costs at most, in steps.
    pub(super) fn price(&self, text: &str) -> usize {
        text.len().saturating_mul(self.price)
    }
}

/// What compiling costs at most, in steps.
pub(super) const COMPILING: usize = 2_000;

/// The memory of an ordinary pattern.
const SMALL: usize = 128 * STATE;
/// The memory of the largest pattern.
const LARGE: usize = 2048 * STATE;
/// The memory of one state: four words, so that every host admits about the same.
const STATE: usize = 4 * size_of::<usize>();
