//! What the policy refuses is refused at creation, and again at each call.

use http::Method;
use serde_json::{Value as Json, json};

use super::world::{World, got};
use crate::{Answer, Command, Config, Span, egress};

fn allowing(list: &str) -> Config {
    let mut config = Config { public_url: Some("http://reveille.test".to_owned()), ..Config::dev() };
    config.egress.allow_list(list).expect("a list");
    config
}

/// A world whose type `t` is served at `http://agents.corp/t`, as long as the list allows it.
fn served() -> World {
    let mut w = World::new().restart_as(allowing("agents.corp"));
    let body = json!({ "name": "t", "description": "d", "serve_endpoint": "http://agents.corp/t" });
    let got = w.post("/_electric/entity-types", &body);
    assert_eq!(got.status, 201, "{}", got.body);
    w
}

fn error(w: &World) -> String {
    w.engine.sql().text("SELECT coalesce(error, '') FROM subscription")
}

#[test]
fn what_may_not_be_called_is_refused_wherever_it_is_asked_for() {
    let mut w = World::new();
    w.webhook_type("t");
    let webhook = |url: &str| json!({ "targets": [{ "type": "webhook", "url": url }] });
    for url in ["http://10.0.0.1/s3cret", "http://example.com/s3cret", "https://s3cret@example.com", "s3cret://x"] {
        let why = egress::judge(&egress::Policy::dev(), url).expect_err("refused").to_string();
        for (method, path, body) in [
            (Method::PUT, "/_electric/entities/t/e", json!({ "dispatch_policy": webhook(url) })),
            (Method::POST, "/_electric/entity-types", json!({ "name": "u", "serve_endpoint": url })),
            (
                Method::POST,
                "/_electric/entity-types",
                json!({ "name": "u", "description": "d", "serve_endpoint": url }),
            ),
            (
                Method::POST,
                "/_electric/entity-types",
                json!({ "name": "u", "description": "d", "default_dispatch_policy": webhook(url) }),
            ),
        ] {
            let got = w.ask(method.as_str(), path, &[], &body);
            let said = &got.json()["error"]["message"];
            assert_eq!((got.status, got.code().as_str(), said), (400, "INVALID_REQUEST", &json!(why)), "{path} {body}");
        }
    }
    assert!(w.fetches.is_empty());
}

#[test]
fn a_manifest_may_not_name_what_may_not_be_called() {
    let mut w = World::new();
    let asked = json!({ "name": "t", "serve_endpoint": "https://agent.test/t" });
    w.batch(vec![World::command("POST", "/_electric/entity-types", &[], &asked.to_string())]);
    let policy = json!({ "targets": [{ "type": "webhook", "url": "http://10.0.0.1/" }] });
    let manifest = json!({ "name": "t", "description": "d", "default_dispatch_policy": policy }).to_string();
    let effect = w.fetches.remove(0).id;
    let result = Ok(Answer { status: 200, headers: Vec::new(), body: manifest.into_bytes() });
    let got = got(w.batch(vec![Command::Outcome { effect, result }]).remove(0));
    assert_eq!((got.status, got.code().as_str()), (400, "INVALID_REQUEST"));
    assert_eq!(w.types(), Vec::<String>::new());
}

/// The list had the agents' host, entities were spawned, and then it was taken off.
#[test]
fn a_call_that_is_no_longer_allowed_is_a_failed_attempt() {
    let mut w = served();
    w.put("/_electric/entities/t/a", &json!({}));
    let mut w = w.restart_as(allowing(""));
    w.post("/_electric/entities/t/a/send", &json!({ "payload": 1 }));
    assert!(w.fetches.is_empty());
    assert!(error(&w).starts_with("`http://agents.corp` may not be called"), "{}", error(&w));
    assert_eq!(w.status("/t/a"), "idle");
    // A second, two, four: each attempt is judged anew, and none takes a slot.
    w.pass(Span::secs(9));
    let attempts = |w: &World| w.engine.sql().number("SELECT attempt FROM subscription");
    assert_eq!((attempts(&w), w.fetches.len(), w.engine.in_flight()), (4, 0, 0));

    let mut w = w.restart_as(allowing("agents.corp:80"));
    w.pass(Span::secs(12));
    assert_eq!((w.fetches.len(), attempts(&w)), (1, 5));
    let (hook, _) = w.claim();
    assert_eq!(hook["generation"], 1, "the same wake");
    assert_eq!(error(&w), "");
    assert_eq!(w.done(&hook).json()["next_wake"], Json::Bool(false));
}

#[test]
fn a_type_whose_endpoint_is_no_longer_allowed_spawns_nothing() {
    let mut w = served().restart_as(allowing(""));
    let got = w.put("/_electric/entities/t/a", &json!({}));
    assert_eq!((got.status, got.code().as_str()), (400, "INVALID_REQUEST"));
    let policy = json!({ "targets": [{ "type": "webhook", "url": "http://127.0.0.1:1/" }] });
    assert_eq!(w.put("/_electric/entities/t/a", &json!({ "dispatch_policy": policy })).status, 201);
}

/// A shape was registered, and then its server was taken off the list.
#[test]
fn a_shape_that_may_no_longer_be_called_is_not_asked() {
    let mut w = World::new().restart_as(allowing("shapes.corp"));
    let options = json!({ "options": { "url": "http://shapes.corp/v1/shape?s3cret", "table": "todos" } }).to_string();
    w.batch(vec![World::command("POST", "/_electric/pg-sync/register", &[], &options)]);
    let effect = w.fetches.remove(0).id;
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let headers = vec![header("electric-handle", "h"), header("electric-offset", "0_0")];
    let result = Ok(Answer { status: 200, headers, body: b"[]".to_vec() });
    assert_eq!(got(w.batch(vec![Command::Outcome { effect, result }]).remove(0)).status, 200);
    assert_eq!(w.fetches.len(), 1, "it is asked at once");

    let mut w = w.restart_as(allowing(""));
    w.fetches.clear();
    w.pass(Span::secs(120));
    assert!(w.fetches.is_empty());
    assert_eq!(w.engine.in_flight(), 0);
    let error = w.engine.sql().text("SELECT coalesce(error, '') FROM pg_sync");
    assert!(error.starts_with("`http://shapes.corp` may not be called"), "{error}");

    let mut w = w.restart_as(allowing("shapes.corp"));
    w.pass(Span::secs(60));
    assert_eq!(w.fetches.len(), 1);
}
