//! The gate: who calls, and how much of the body may be read. A host asks it before it reads the first byte, and
//! before it opens or names a tenant.

use ::http::StatusCode;
use reveille_core::{Config, http};
use wasm_bindgen::prelude::*;

use crate::config::{Settings, config};
use crate::message::{Reading, headers_of, method, parts};

/// The gate of a host.
#[wasm_bindgen]
pub struct Gate {
    config: Config,
}

#[wasm_bindgen]
impl Gate {
    /// A gate that believes callers as `settings` say.
    ///
    /// # Errors
    /// When the settings do not say how, or the keys cannot be read.
    #[wasm_bindgen(constructor)]
    pub fn new(settings: &Settings) -> Result<Gate, JsError> {
        Ok(Self { config: config(settings)? })
    }

    /// Calls `admitted` of `answer`, or `respond` with the refusal.
    pub fn admit(&self, method: &str, path: &str, headers: &str, answer: &Reading) {
        let method = self::method(method);
        match http::admit(&self.config, &method, path, &headers_of(headers)) {
            Ok(admission) => {
                let limit = u32::try_from(admission.limit).unwrap_or(u32::MAX);
                let reads = http::access(&self.config, &method, path) == http::Access::Read;
                answer.admitted(admission.by.map(|by| by.to_string()), limit, reads);
            }
            Err(response) => respond(answer, response),
        }
    }

    /// The answer to a body that is longer than its limit.
    #[wasm_bindgen(js_name = tooLarge)]
    pub fn too_large(&self, path: &str, answer: &Reading) {
        respond(answer, http::too_large(&self.config, path));
    }

    /// The answer to a body that does not come.
    #[wasm_bindgen(js_name = tooSlow)]
    pub fn too_slow(&self, path: &str, answer: &Reading) {
        respond(answer, http::too_slow(&self.config, path));
    }

    /// The 500 to a command that trapped. Nothing of it was kept.
    pub fn broken(&self, path: &str, answer: &Reading) {
        let refusal =
            http::Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_SERVER_ERROR", "Internal server error");
        refuse(path, &refusal, answer);
    }

    /// The 503 to a request that was not served. Nothing of it was kept; trying again is safe.
    pub fn busy(&self, why: &str, path: &str, answer: &Reading) {
        let (code, message) = match why {
            "queue" => ("OVERLOADED", "more requests are waiting than the server keeps in line; try again"),
            "live" => ("OVERLOADED", "more live readers are connected than the server keeps; try again"),
            "closing" => ("SERVER_STOPPING", "Server is shutting down"),
            "restarted" => ("ENGINE_RESTARTED", "the engine was restarted while the request waited; try again"),
            _ => ("STORE_UNAVAILABLE", "the store cannot be used; try again"),
        };
        refuse(
            path,
            &http::Refusal::new(StatusCode::SERVICE_UNAVAILABLE, code, message).with("retry-after", "1"),
            answer,
        );
    }
}

fn refuse(path: &str, refusal: &http::Refusal, answer: &Reading) {
    let mut response = refusal.response();
    http::dress(&mut response, path);
    respond(answer, response);
}

fn respond(answer: &Reading, response: http::Response) {
    let (status, headers, body) = parts(response);
    answer.respond(status, headers, body);
}
