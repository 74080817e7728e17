//! Whole requests, ticks and outcomes, into an engine: none panics, none fails to commit, none answers 5xx.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use reveille_fuzz::{SETTING, Template, lines};

thread_local!(static TEMPLATE: LazyLock<Template> = const { LazyLock::new(|| Template::new(SETTING)) });

fuzz_target!(|script: &[u8]| {
    let lines = lines(script);
    if lines.is_empty() {
        return;
    }
    TEMPLATE.with(|template| {
        template.with(|world| {
            for line in &lines {
                world.run(line);
            }
        });
    });
});
