//! What must hold of whatever comes: each property against a model that was written without looking at the code.
//!
//! The cases are the same ones each time, so that a run that passes passes everywhere. `PROPTEST_CASES` asks for more of
//! them, `PROPTEST_RNG_SEED` for others.

mod added_rows;
mod content;
mod cron;
mod forms;
mod globs;
mod grants;
mod grants_model;
mod json;
mod offsets;
mod producers;
mod segments;
mod sse;
mod stores;

use std::fmt::Debug;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngSeed, TestCaseResult, TestRunner};

/// Tries a property on so many cases, and panics with the smallest that fails.
fn check<S: Strategy<Value: Debug>>(cases: u32, strategy: &S, test: impl Fn(S::Value) -> TestCaseResult) {
    let asked = Config::default();
    let config = Config {
        cases: if asked.cases == DEFAULT { cases } else { asked.cases },
        rng_seed: if asked.rng_seed == RngSeed::Random { RngSeed::Fixed(1) } else { asked.rng_seed },
        failure_persistence: None,
        ..asked
    };
    let failure = TestRunner::new(config).run(strategy, test).err().map(|failure| failure.to_string());
    assert!(failure.is_none(), "{}", failure.unwrap_or_default());
}

/// How many cases the library tries of itself.
const DEFAULT: u32 = 256;
