//! What was met in a history, and how often.

use std::collections::BTreeMap;

#[derive(Clone, Default)]
pub(super) struct Heard(BTreeMap<String, u64>);

impl Heard {
    pub(super) fn insert(&mut self, what: String) {
        *self.0.entry(what).or_default() += 1;
    }

    pub(super) fn contains(&self, what: &str) -> bool {
        self.0.contains_key(what)
    }

    /// What was met in another history was met, too.
    pub(super) fn append(&mut self, other: &Self) {
        for (what, times) in &other.0 {
            *self.0.entry(what.clone()).or_default() += times;
        }
    }

    /// All of it, a line each.
    pub(super) fn told(&self) -> String {
        self.0.iter().map(|(what, times)| format!("{times:>8}  {what}\n")).collect()
    }
}
