//! Randomness as an argument: 32 bytes come in with each call and seed a SHA-256 counter, so that one command can
//! have any number of ids and the same command with the same bytes has the same ones.

use std::cell::Cell;

use sha2::{Digest, Sha256};

/// The entropy of one call: 32 bytes drawn by the host from a cryptographic source.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Entropy([u8; 32]);

impl Entropy {
    /// Entropy from the host's bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The entropy of one part of a call (a command of a batch, a row of a tick), told apart by `label` and `number`.
    #[must_use]
    pub fn part(&self, label: &str, number: u64) -> Self {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(label.as_bytes());
        hash.update(number.to_be_bytes());
        Self(hash.finalize().into())
    }

    /// Starts drawing from it.
    #[must_use]
    pub fn draw(self) -> Draw {
        Draw { seed: self.0, used: Cell::new(0) }
    }
}

impl std::fmt::Debug for Entropy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Entropy(..)")
    }
}

/// A supply of bytes: SHA-256 of the seed and a counter.
#[derive(Debug)]
pub struct Draw {
    seed: [u8; 32],
    used: Cell<u64>,
}

impl Draw {
    /// The next `N` bytes, at most 32.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let used = self.used.get();
        self.used.set(used + 1);
        let mut hash = Sha256::new();
        hash.update(self.seed);
        hash.update(used.to_be_bytes());
        let block: [u8; 32] = hash.finalize().into();
        let mut out = [0; N];
        out.copy_from_slice(&block[..N]);
        out
    }

    /// A random (version 4) UUID in its usual spelling.
    pub fn uuid(&self) -> String {
        let mut b = self.bytes::<16>();
        b[6] = (b[6] & 0x0f) | 0x40;
        b[8] = (b[8] & 0x3f) | 0x80;
        let hex = hex(&b);
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }

    /// `N` random bytes in lower-case hexadecimal.
    pub fn hex<const N: usize>(&self) -> String {
        hex(&self.bytes::<N>())
    }

    /// `N` random characters of `0-9a-z`, at most 32.
    pub fn base36<const N: usize>(&self) -> String {
        self.bytes::<N>()
            .iter()
            .map(|b| char::from(b"0123456789abcdefghijklmnopqrstuvwxyz"[usize::from(*b) % 36]))
            .collect()
    }

    /// A number below `bound` (which must not be zero).
    pub fn below(&self, bound: u64) -> u64 {
        u64::from_be_bytes(self.bytes::<8>()) % bound
    }
}

/// The first 16 hexadecimal digits of a text's SHA-256.
pub(crate) fn sha16(text: &str) -> String {
    hex(&Sha256::digest(text)[..8])
}

/// Bytes as lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_same_seed_draws_the_same_ids() {
        let draw = || {
            let d = Entropy::new([7; 32]).part("request", 3).draw();
            (d.uuid(), d.hex::<4>(), d.base36::<6>())
        };
        assert_eq!(draw(), draw());
        assert_ne!(draw().0, Entropy::new([7; 32]).part("request", 4).draw().uuid());
    }

    #[test]
    fn a_uuid_says_its_version_and_variant() {
        let id = Entropy::new([255; 32]).draw().uuid();
        assert_eq!(id.len(), 36);
        assert_eq!(&id[14..15], "4");
        assert!(matches!(&id[19..20], "8" | "9" | "a" | "b"));
    }
}
