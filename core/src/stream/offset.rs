//! Offsets: where an entry ends.

use std::fmt;

use serde::{Serialize, Serializer};

/// A position in a stream: how many stored bytes, separators counted, precede it.
///
/// On the wire an offset is two numbers of 16 digits, `0000000000000000_0000000000000545`, compared as bytes (stream
/// protocol, section 2). The first is always zero here and is not stored; what is stored stays below 2^53.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Offset(i64);

impl Offset {
    /// The start of every stream.
    pub const ZERO: Self = Self(0);

    /// Beyond the end of every stream.
    pub const END: Self = Self(crate::store::MAX_INT);

    /// The offset with this many bytes before it.
    #[must_use]
    pub fn at(bytes: i64) -> Self {
        Self(bytes.max(0))
    }

    /// How many bytes precede it.
    #[must_use]
    pub fn bytes(self) -> i64 {
        self.0
    }

    /// The offset `bytes` further on.
    #[must_use]
    pub fn after(self, bytes: usize) -> Self {
        Self(self.0.saturating_add(i64::try_from(bytes).unwrap_or(i64::MAX)))
    }

    /// How far it lies behind `earlier`; at most what one append can carry.
    #[must_use]
    pub fn since(self, earlier: Self) -> usize {
        usize::try_from(self.0 - earlier.0).unwrap_or(0)
    }

    /// Reads the wire's form. Numbers beyond what a stream can reach are taken as "beyond every tail".
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (read, byte) = text.split_once('_')?;
        let number = |digits: &str| {
            let sane = !digits.is_empty() && digits.len() <= 20 && digits.bytes().all(|b| b.is_ascii_digit());
            sane.then(|| digits.parse::<i64>().unwrap_or(i64::MAX))
        };
        let (read, byte) = (number(read)?, number(byte)?);
        Some(Self(if read > 0 { i64::MAX } else { byte }))
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016}_{:016}", 0, self.0)
    }
}

impl Serialize for Offset {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl From<Offset> for crate::store::Value<'_> {
    fn from(offset: Offset) -> Self {
        // A reader may name any offset; none that a stream reaches is above the seam's integers.
        Self::Int(offset.0.min(crate::store::MAX_INT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_wire_form_round_trips_and_sorts_as_bytes() {
        let offset = Offset::at(545);
        assert_eq!(offset.to_string(), "0000000000000000_0000000000000545");
        assert_eq!(Offset::parse(&offset.to_string()), Some(offset));
        assert!(Offset::at(999).to_string() < Offset::at(1000).to_string());
        assert!("-1" < Offset::ZERO.to_string().as_str());
    }

    #[test]
    fn what_is_not_an_offset_is_refused() {
        for bad in ["", "-1", "now", "1", "_", "1_", "_1", "a_b", "1_2_3", "+1_2", "1 _2", "1,2", "..", "0_-5"] {
            assert_eq!(Offset::parse(bad), None, "{bad}");
        }
        assert!(
            Offset::parse("9999999999999999_9999999999999999").expect("parses") > Offset::at(crate::store::MAX_INT)
        );
    }
}
