//! The bodies that make subscriptions: one that makes one confirms it.
#![no_main]

use std::sync::LazyLock;

use http::{HeaderMap, Method};
use libfuzzer_sys::fuzz_target;
use reveille_fuzz::{SETTING, Template};

thread_local!(static TEMPLATE: LazyLock<Template> = const { LazyLock::new(|| Template::new(SETTING)) });

fuzz_target!(|body: &[u8]| {
    TEMPLATE.with(|template| {
        template.with(|world| {
            let mut put = |id: &str| {
                let target = format!("/__ds/subscriptions/{id}");
                world.request(Method::PUT, &target, HeaderMap::new(), body.to_vec()).expect("an answer")
            };
            let (first, again, other) = (put("new"), put("new"), put("p"));
            match first.status.as_u16() {
                201 => assert_eq!((again.status.as_u16(), &again.body), (200, &first.body)),
                status => assert_eq!((again.status.as_u16(), status), (status, 400), "{first:?}"),
            }
            assert!(matches!(other.status.as_u16(), 200 | 400 | 409), "{other:?}");
        });
    });
});
