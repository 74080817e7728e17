//! Request targets: a canonical path stays as it is, has no dot segments, and goes to the same place every time.
#![no_main]

use http::{HeaderMap, Method};
use libfuzzer_sys::fuzz_target;
use reveille_core::fuzz::is_write;
use reveille_core::http::{Access, access, admit, canonical_path, canonical_query};
use reveille_core::{Config, config::StreamRoot};

fuzz_target!(|target: &str| {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = canonical_path(path);
    assert_eq!(canonical_path(&path), path);
    assert!(path.starts_with('/') && path.bytes().all(|b| (b'!'..0x7f).contains(&b)), "{path}");
    let dots = |segment: &str| matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
    assert!(!path.split('/').any(dots), "{path}");
    let query = canonical_query(query);
    assert_eq!(canonical_query(&query), query);

    let mut configs = vec![Config::dev(), Config { stream_root: "/v1/stream".to_owned(), ..Config::dev() }];
    if let Ok(root) = path.parse::<StreamRoot>() {
        configs.push(Config { stream_root: root.into(), ..Config::dev() });
    }
    for config in &configs {
        for method in [Method::GET, Method::PUT, Method::POST, Method::DELETE, Method::HEAD, Method::PATCH] {
            let _ = admit(config, &method, &path, &HeaderMap::new());
            let writes = is_write(config, &method, &path);
            let virtual_clock = path.trim_end_matches('/').ends_with("/_reveille/dev/clock");
            assert!(writes == (access(config, &method, &path) == Access::Write) || virtual_clock, "{path}");
        }
    }
});
