//! The configuration of an engine, from a JavaScript object.

use std::fmt::Display;
use std::sync::Once;

use reveille_core::config::StreamRoot;
use reveille_core::dispatch::Budget;
use reveille_core::observe::webhook_sources::Catalogue;
use reveille_core::tenant::{ApiKeys, Authentication};
use reveille_core::{Config, Span, Time, Virtual};
use wasm_bindgen::prelude::*;

use crate::authoriser::{Authoriser, authorise};

#[wasm_bindgen]
extern "C" {
    /// What a host decides for its engine. Exactly one way to authenticate is given.
    pub type Settings;

    /// Development: open, everyone is who they say.
    #[wasm_bindgen(method, getter)]
    fn dev(this: &Settings) -> bool;

    /// The text of a file of API keys.
    #[wasm_bindgen(method, getter, js_name = apiKeys)]
    fn api_keys(this: &Settings) -> Option<String>;

    /// The header in which a proxy in front says who calls.
    #[wasm_bindgen(method, getter, js_name = trustedHeader)]
    fn trusted_header(this: &Settings) -> Option<String>;

    /// Who has the last word on who may do what.
    #[wasm_bindgen(method, getter)]
    fn authoriser(this: &Settings) -> Option<Authoriser>;

    /// The URL under which the server is reached.
    #[wasm_bindgen(method, getter, js_name = publicUrl)]
    fn public_url(this: &Settings) -> Option<String>;

    /// The hosts that webhooks may call wherever they are, parted by commas or white space.
    #[wasm_bindgen(method, getter, js_name = allowWebhooks)]
    fn allow_webhooks(this: &Settings) -> Option<String>;

    /// The path under which streams are served.
    #[wasm_bindgen(method, getter, js_name = streamRoot)]
    fn stream_root(this: &Settings) -> Option<String>;

    /// A clock that only a development route moves: when it starts, in milliseconds; 0 for the usual start.
    #[wasm_bindgen(method, getter, js_name = virtualStart)]
    fn virtual_start(this: &Settings) -> Option<f64>;

    /// How many fetches may be in flight at once.
    #[wasm_bindgen(method, getter)]
    fn fetches(this: &Settings) -> Option<u32>;

    /// How long a long-poll waits, in milliseconds.
    #[wasm_bindgen(method, getter, js_name = longPoll)]
    fn long_poll(this: &Settings) -> Option<f64>;

    /// How many wakes an entity may begin in a minute, for ever.
    #[wasm_bindgen(method, getter, js_name = wakesPerMinute)]
    fn wakes_per_minute(this: &Settings) -> Option<f64>;

    /// How many registrations one transaction evaluates an append against.
    #[wasm_bindgen(method, getter, js_name = fanOut)]
    fn fan_out(this: &Settings) -> Option<u32>;

    /// The catalogue of webhook sources, as JSON.
    #[wasm_bindgen(method, getter, js_name = webhookSources)]
    fn webhook_sources(this: &Settings) -> Option<String>;

    /// How long an SSE connection lives, in milliseconds.
    #[wasm_bindgen(method, getter)]
    fn sse(this: &Settings) -> Option<f64>;

    #[wasm_bindgen(js_namespace = console, js_name = error)]
    fn report(message: &str);
}

/// The configuration that `settings` ask for. The first call also has panics tell the console what happened, before
/// they become traps that say nothing.
pub(crate) fn config(settings: &Settings) -> Result<Config, JsError> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| std::panic::set_hook(Box::new(|info| report(&format!("reveille: {info}")))));

    let auth = match (settings.dev(), settings.api_keys(), settings.trusted_header()) {
        (true, None, None) => Authentication::Dev,
        (false, Some(text), None) => {
            Authentication::ApiKeys(ApiKeys::parse(&text).map_err(|problem| JsError::new(&problem))?)
        }
        (false, None, Some(header)) => Authentication::TrustedHeader(header.to_ascii_lowercase()),
        _ => {
            return Err(JsError::new("say how callers are believed: exactly one of `dev`, `apiKeys`, `trustedHeader`"));
        }
    };
    let mut config = if settings.dev() { Config::dev() } else { Config::serve(auth) };
    config.authorise = settings.authoriser().map(authorise);
    config.public_url =
        settings.public_url().map(|url| url.trim_end_matches('/').to_owned()).filter(|url| !url.is_empty());
    if let Some(list) = settings.allow_webhooks() {
        config.egress.allow_list(&list).map_err(|problem| wrong("allowWebhooks", &problem))?;
    }
    if let Some(path) = settings.stream_root().filter(|path| !path.is_empty()) {
        config.stream_root = path.parse::<StreamRoot>().map_err(|problem| wrong("streamRoot", &problem))?.into();
    }
    config.virtual_time = settings.virtual_start().map(|start| {
        let usual = Virtual::default();
        if start > 0.0 { Virtual { start: Time::from_millis(start as i64), ..usual } } else { usual }
    });
    if let Some(fetches) = settings.fetches() {
        config.fetches = fetches as usize;
    }
    if let Some(millis) = settings.long_poll() {
        if !(1.0..=3_600_000.0).contains(&millis) {
            return Err(wrong("longPoll", &format!("`{millis}` is not a number of milliseconds up to an hour")));
        }
        config.long_poll = Span::millis(millis as i64);
    }
    if let Some(wakes) = settings.wakes_per_minute() {
        if !(0.0..=1_000_000.0).contains(&wakes) {
            return Err(wrong("wakesPerMinute", &format!("`{wakes}` is not a number of wakes up to a million")));
        }
        config.wakes = Budget::a_minute(wakes as u32);
    }
    if let Some(registrations) = settings.fan_out() {
        config.fan_out = registrations.max(1) as usize;
    }
    if let Some(text) = settings.webhook_sources().filter(|text| !text.is_empty()) {
        config.webhook_sources = Some(text.parse::<Catalogue>().map_err(|problem| wrong("webhookSources", &problem))?);
    }
    if let Some(millis) = settings.sse() {
        config.sse = Span::millis(millis as i64);
    }
    Ok(config)
}

fn wrong(setting: &str, problem: &dyn Display) -> JsError {
    JsError::new(&format!("{setting}: {problem}"))
}
