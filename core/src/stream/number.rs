//! Whole numbers in headers: digits and nothing else.

use crate::store::MAX_INT;

/// Digits, leading zeros or not, of at most 53 bits.
pub(super) fn digits(text: &str) -> Option<i64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().filter(|n| *n <= MAX_INT)
}

/// The same in its one spelling: `0`, or digits that do not begin with a zero.
pub(super) fn plain_digits(text: &str) -> Option<i64> {
    digits(text).filter(|_| text == "0" || !text.starts_with('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn numbers_are_digits_of_at_most_53_bits() {
        for (text, digit, plain) in [
            ("0", Some(0), Some(0)),
            ("60", Some(60), Some(60)),
            ("05", Some(5), None),
            ("00", Some(0), None),
            ("9007199254740991", Some(MAX_INT), Some(MAX_INT)),
        ] {
            assert_eq!((digits(text), plain_digits(text)), (digit, plain), "{text}");
        }
        for bad in ["", "1abc", "0x1", "1e3", "-1", "+1", "1.5", "9007199254740992", "99999999999999999999"] {
            assert_eq!((digits(bad), plain_digits(bad)), (None, None), "{bad}");
        }
    }
}
