//! What agents answer webhooks with: two bytes for the status, then the body.
#![no_main]

use std::sync::LazyLock;

use http::{HeaderMap, Method};
use libfuzzer_sys::fuzz_target;
use reveille_fuzz::{Line, SETTING, Template};

thread_local!(static TEMPLATE: LazyLock<Template> = const { LazyLock::new(|| Template::new(SETTING)) });

fuzz_target!(|input: &[u8]| {
    let Some((status, body)) = input.split_first_chunk::<2>() else { return };
    let status = u16::from_be_bytes(*status);
    let status = if status > 1000 { 200 } else { status };
    TEMPLATE.with(|template| {
        template.with(|world| {
            // One wake of a client's subscription, one of an entity, one of a type that is registered meanwhile.
            for (target, body) in [
                ("/x", "more"),
                ("/_electric/entities/t/a/send", r#"{"payload":2}"#),
                (
                    "/_electric/entity-types",
                    r#"{"name":"u","description":"d","serve_endpoint":"https://agent.test/u"}"#,
                ),
            ] {
                let mut headers = HeaderMap::new();
                headers.insert("content-type", http::HeaderValue::from_static("text/plain"));
                world.request(Method::POST, target, headers, body.as_bytes().to_vec());
            }
            for _ in 0..8 {
                world.run(&Line::Outcome(status, body.to_vec()));
                world.run(&Line::Tick(61_000));
            }
        });
    });
});
