//! The `where` of a shape: the conditions that clients send, of comparisons with one column each (electric shapes, section
//! 2.4), with SQL's three truth values.

mod eval;
mod parse;
mod token;

use super::columns::Spec;
use crate::limits::SHAPE_WHERE;

pub(super) use eval::Budget;
pub(super) use parse::Filter;

impl Filter {
    /// Reads a condition on the columns of a table, and the text of its parameters.
    ///
    /// # Errors
    /// What is wrong with it, in the words of an answer.
    pub(super) fn parse(spec: &Spec, text: &str, params: &[String]) -> Result<Self, String> {
        if text.len() > SHAPE_WHERE {
            return Err(format!("is longer than {SHAPE_WHERE} bytes"));
        }
        parse::Parser::new(spec, text, params)?.whole()
    }
}

/// Whether a condition stands for itself, so that it may be put in parentheses: quotes are closed, parentheses are in
/// pairs, and nothing is a comment.
pub(super) fn is_self_contained(text: &str) -> bool {
    let mut open = 0;
    let mut quote = None;
    let mut before = ' ';
    for c in text.chars() {
        match (quote, c) {
            (Some(q), _) => quote = Some(q).filter(|q| *q != c),
            (None, '\'' | '"') => quote = Some(c),
            (None, '(') => open += 1,
            (None, ')') if open == 0 => return false,
            (None, ')') => open -= 1,
            (None, '-') if before == '-' => return false,
            (None, '*') if before == '/' => return false,
            (None, _) => {}
        }
        before = if quote.is_some() { ' ' } else { c };
    }
    quote.is_none() && open == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn what_stands_for_itself() {
        for (text, does) in [
            ("", true),
            ("a = 1", true),
            ("(a = 'x)' OR \"b(\" = 2)", true),
            ("a = 'it''s' AND b = '--'", true),
            ("a = 1) OR (1 = 1", false),
            ("(a = 1", false),
            ("a = 'x", false),
            ("a = 1 -- x", false),
            ("a = 1 /* x", false),
            ("a - -1", true),
        ] {
            assert_eq!(is_self_contained(text), does, "{text}");
        }
    }
}
