//! Choices that a seed repeats, one sequence for whoever chooses.

use std::ops::Range;
use std::time::Duration;

/// A sequence: splitmix64.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// Sequence number `n` of a seed.
    pub(crate) fn new(seed: u64, n: u64) -> Self {
        let mut of_seed = Self(seed);
        let start = of_seed.next();
        Self(start ^ Self(n).next())
    }

    /// Another sequence, for somebody who chooses meanwhile.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.next())
    }

    /// A whole number from 0 to below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// Whether something happens that happens in so many of a thousand cases.
    pub(crate) fn per_mille(&mut self, chance: u64) -> bool {
        self.below(1000) < chance
    }

    /// One of a list.
    pub(crate) fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len() as u64) as usize]
    }

    /// So many milliseconds.
    pub(crate) fn millis(&mut self, range: &Range<u64>) -> Duration {
        Duration::from_millis(range.start + self.below(range.end - range.start))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
