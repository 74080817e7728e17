//! URLs that the server is asked to call: judged without a panic, and alike under whatever case of scheme and host.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reveille_core::egress::{Policy, judge};

fuzz_target!(|url: &str| {
    for policy in [Policy::serve(), Policy::dev()] {
        let _ = judge(&policy, url);
        let _ = judge(&policy, &format!("https://{url}"));
    }
});
