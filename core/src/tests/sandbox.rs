//! Sandboxes: what nobody offers, and what runners said before profiles were found by name.

use serde_json::{Value as Json, json};

use super::driver::Memory;
use super::world::{Got, World};
use crate::store::migrate::migrate;
use crate::{Entropy, Time};

fn world() -> World {
    let mut w = World::new();
    assert_eq!(w.post("/_electric/entity-types", &json!({ "name": "t", "description": "d" })).status, 201);
    w
}

fn register(w: &mut World, id: &str, profiles: &Json) {
    let got = w.post("/_electric/runners", &json!({ "id": id, "label": id, "sandbox_profiles": profiles }));
    assert_eq!(got.status, 201, "{}", got.body);
}

fn spawn(w: &mut World, id: &str, sandbox: &Json) -> Got {
    w.put(&format!("/_electric/entities/t/{id}"), &json!({ "sandbox": sandbox }))
}

fn message(got: &Got) -> String {
    got.json()["error"]["message"].as_str().unwrap_or("").to_owned()
}

#[test]
fn a_refusal_names_what_there_is_but_no_more_than_fits() {
    let mut w = world();
    let refused = spawn(&mut w, "a", &json!({ "profile": "p" }));
    assert_eq!(message(&refused), "sandbox profile \"p\" is not offered by any registered runner (available: (none)).");
    for (runner, names) in [("one", ["b", "a"]), ("two", ["c", "b"])] {
        register(&mut w, runner, &json!(names.map(|name| json!({ "name": name }))));
    }
    assert!(message(&spawn(&mut w, "a", &json!({ "profile": "p" }))).ends_with("(available: a, b, c)."));
    for runner in 0..3 {
        let many: Vec<Json> = (0..50).map(|n| json!({ "name": format!("{runner}-{n:03}") })).collect();
        register(&mut w, &format!("many-{runner}"), &json!(many));
    }
    let named = message(&spawn(&mut w, "a", &json!({ "profile": "p" })));
    assert_eq!(named.matches(", ").count(), 63);
    assert_eq!(w.get("/_electric/entities").json(), json!([]));
}

#[test]
fn what_runners_said_before_version_4_is_found_since() {
    let memory = Memory::new();
    let (now, entropy) = (Time::from_millis(1_800_000_000_000), Entropy::new([0; 32]));
    migrate(&memory, 3, now, &entropy).expect("migrates");
    for (id, profiles) in
        [("r", r#"[7,{"name":"a"},{"name":"b","remote":true}]"#), ("s", r#"[{"name":"b","remote":true}]"#)]
    {
        memory.execute(&format!(
            "INSERT INTO runner (id, serial, owner, label, kind, status, wake_stream, profiles, created_at, updated_at) \
             VALUES ('{id}', 1, '/principal/system%3Adev-local', '{id}', 'local', 'enabled', '/runners/{id}/wake', '{profiles}', 0, 0)"
        ));
    }
    let mut w = World::on(memory);
    assert_eq!(w.post("/_electric/entity-types", &json!({ "name": "t", "description": "d" })).status, 201);
    assert_eq!(spawn(&mut w, "a", &json!({ "profile": "a" })).status, 201);
    assert_eq!(spawn(&mut w, "b", &json!({ "profile": "b", "key": "shared" })).status, 201);
    register(&mut w, "r", &json!([]));
    assert_eq!(spawn(&mut w, "c", &json!({ "profile": "a" })).status, 400);
    assert_eq!(spawn(&mut w, "d", &json!({ "profile": "b" })).status, 201);
}

#[test]
fn a_sandbox_is_there_after_a_restart_and_after_what_moves_the_entity() {
    let mut w = world();
    register(&mut w, "r", &json!([{ "name": "a" }]));
    let made = spawn(&mut w, "a", &json!({ "profile": "a", "scope": "wake" })).json();
    assert_eq!(made["sandbox"], json!({ "profile": "a", "scope": "wake" }));
    assert_eq!(w.post("/_electric/entities/t/a/signal", &json!({ "signal": "SIGSTOP" })).status, 200);
    let mut w = w.restart();
    assert_eq!(w.get("/_electric/entities/t/a").json()["sandbox"], made["sandbox"]);
}
