//! The budget of wakes: how many an entity may begin before it is slowed down. Nothing is lost by that, since one wake
//! serves all that has come; but a loop becomes slow, and can be seen.
//!
//! The budget refills steadily and holds some minutes' worth. One number remembers it: the moment at which it would be
//! full again, had nothing been spent since (a *generic cell rate algorithm*).

use crate::limits::{DEEP, DEPTH, WAKES_AT_ONCE};
use crate::time::{Span, Time};

/// How many wakes an entity may begin in a minute, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget(u32);

impl Budget {
    /// So many a minute, and ten minutes' worth at once; 0 is no limit, but for chains of causes that are too deep.
    #[must_use]
    pub const fn a_minute(wakes: u32) -> Self {
        Self(wakes)
    }

    /// How many a minute.
    #[must_use]
    pub fn wakes_a_minute(self) -> u32 {
        self.0
    }

    /// How many at once.
    #[must_use]
    pub fn at_once(self) -> i64 {
        i64::from(self.0) * WAKES_AT_ONCE
    }

    /// What one wake costs: how long the budget takes to refill by it.
    fn price(self) -> Span {
        if self.0 == 0 { Span::ZERO } else { Span::millis((60_000 / i64::from(self.0)).max(1)) }
    }

    /// How much may be spent at once.
    fn depth(self) -> Span {
        Span::millis(self.price().as_millis() * self.at_once())
    }

    /// When the next wake may begin whose chain of causes is so deep, by what is spent. Where there is no limit, what was
    /// spent under one does not count.
    #[must_use]
    pub fn turn(self, spent: Time, depth: i64) -> Time {
        if self.0 == 0 && depth <= DEPTH {
            return Time::ZERO;
        }
        let slack = self.depth().as_millis() - self.price().as_millis();
        Time::from_millis((spent.as_millis() - slack.max(0)).max(0))
    }

    /// What is spent once a wake has begun `now` whose chain of causes is so deep. One that is too deep spends all that
    /// is left, so that the next one stands apart.
    #[must_use]
    pub fn spend(self, spent: Time, depth: i64, now: Time) -> Time {
        let spent = spent.max(now) + self.price();
        if depth <= DEPTH {
            return spent;
        }
        let slack = self.depth().as_millis() - self.price().as_millis();
        spent.max(now + DEEP + Span::millis(slack.max(0)))
    }

    /// How many wakes may begin now.
    #[must_use]
    pub fn left(self, spent: Time, now: Time) -> Option<i64> {
        let price = self.price().as_millis();
        (price > 0).then(|| (self.depth().as_millis() - spent.since(now).as_millis()).max(0) / price)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// Begins wakes as soon as they may, for a minute, and says how many there were.
    fn wakes(budget: Budget, depth: i64, minutes: i64) -> i64 {
        let (mut now, mut spent, mut wakes) = (Time::from_millis(1_000_000), Time::ZERO, 0);
        let end = now + Span::secs(60 * minutes);
        while now < end && wakes < 100_000 {
            spent = budget.spend(spent, depth, now);
            wakes += 1;
            now = now.max(budget.turn(spent, depth));
        }
        wakes
    }

    #[test]
    fn a_burst_is_free_and_what_follows_is_steady() {
        let budget = Budget::a_minute(60);
        assert_eq!(budget.left(Time::ZERO, Time::from_millis(5)), Some(600));
        assert_eq!(wakes(budget, 0, 1), 600 + 60 - 1);
        assert_eq!(wakes(budget, 0, 10), 600 + 600 - 1);
        assert_eq!(wakes(Budget::a_minute(6), 0, 10), 60 + 60 - 1);
        assert_eq!(wakes(Budget::a_minute(0), 0, 1), 100_000, "no limit");
    }

    #[test]
    fn deep_causes_stand_apart_whatever_the_budget() {
        for budget in [0, 1, 60, 100_000] {
            let spaced = wakes(Budget::a_minute(budget), DEPTH + 1, 10);
            assert!((10..=121).contains(&spaced), "{budget}: {spaced}");
        }
    }

    #[test]
    fn what_is_spent_comes_back() {
        let budget = Budget::a_minute(60);
        let (start, mut spent) = (Time::from_millis(1_000_000), Time::ZERO);
        for _ in 0..600 {
            assert!(budget.turn(spent, 0) <= start);
            spent = budget.spend(spent, 0, start);
        }
        assert_eq!(budget.left(spent, start), Some(0));
        assert_eq!(budget.turn(spent, 0), start + Span::secs(1));
        assert_eq!(Budget::a_minute(0).turn(spent, 0), Time::ZERO, "what was spent under a limit that is gone");
        assert_eq!(budget.left(spent, start + Span::secs(600)), Some(600));
    }
}
