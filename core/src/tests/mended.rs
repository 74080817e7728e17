//! What was wrong once, each as a short story.

use serde_json::{Value as Json, json};

use super::world::{World, exec, explain, send};
use crate::egress::Policy;
use crate::{Config, Span};

fn problems(w: &mut World) -> Vec<String> {
    let found = w.get("/_reveille/check").json();
    found["problems"].as_array().expect("a list").iter().map(|p| p["kind"].as_str().unwrap_or("").to_owned()).collect()
}

/// An entity `/t/a` with a message, whose webhook has been given up.
fn given_up() -> World {
    let mut w = World::new();
    w.webhook_type("t");
    w.put("/_electric/entities/t/a", &json!({ "initialMessage": "one" }));
    while !w.fetches.is_empty() {
        w.answer(503, &json!({}));
        for _ in 0..80 {
            if w.fetches.is_empty() {
                w.pass(Span::secs(1));
            }
        }
    }
    assert_eq!(explain(&mut w, "/t/a")["dispatch"]["state"], json!("dead"));
    w
}

// A dead letter: "a dead-letter state …, from which one call takes it back"; docs/architecture.md, "Where the server may call":
// a refused announcement is a failed attempt with the usual backoff. `revive` announces while the row still says dead, so
// the failure of that announcement is passed over: a wake in flight without a timer, for ever.
#[test]
fn who_is_revived_while_its_target_may_not_be_called_is_not_forgotten() {
    let w = given_up();
    let open = w.engine.config().clone();
    let mut w = w.restart_as(Config { egress: Policy::serve(), ..open.clone() });
    exec(&w, "UPDATE subscription SET url = 'http://10.0.0.5/'");
    exec(
        &w,
        "UPDATE entity SET policy = '{\"targets\":[{\"type\":\"webhook\",\"url\":\"http://10.0.0.5/\",\"subscription_id\":\"t\"}]}' WHERE type = 't'",
    );
    assert_eq!(w.post("/_reveille/entities/t/a/revive", &Json::Null).status, 200);
    assert_eq!(problems(&mut w), Vec::<String>::new());
    // The list is mended: what waits has to arrive.
    exec(&w, "UPDATE subscription SET url = 'https://agent.test/t'");
    let mut w = w.restart_as(open);
    w.pass(Span::secs(300));
    send(&mut w, "/t/a");
    assert!(!w.fetches.is_empty());
}

// "`reveille check` … reports and repairs it"; docs/operations.md, "Checking". The subscription of a policy with
// a `subscription_id` has the same name whatever its target, so linking anew finds the old one with the old target.
#[test]
fn a_wrong_path_is_repaired() {
    let mut w = World::new();
    w.webhook_type("t");
    w.put("/_electric/entities/t/a", &json!({}));
    exec(&w, "UPDATE subscription SET url = 'https://elsewhere.test/'");
    assert_eq!(problems(&mut w), ["wrong-path"]);
    let mended = w.post("/_reveille/check", &Json::Null).json();
    assert_eq!(problems(&mut w), Vec::<String>::new(), "{mended}");
}

// docs/operations.md, "Checking": "whether status and claims agree". One that is stopping stops when its claim ends; with
// no claim it never does.
#[test]
fn who_is_stopping_and_held_by_nobody_is_a_problem() {
    let mut w = World::new();
    w.webhook_type("t");
    w.put("/_electric/entities/t/a", &json!({}));
    exec(&w, "UPDATE entity SET status = 'stopping'");
    assert_ne!(problems(&mut w), Vec::<String>::new());
}

// Design, law 9 (refusals say why): an absurd number is a refusal, and no failure of the server.
#[test]
fn absurd_numbers_are_refused() {
    let mut w = World::new();
    w.webhook_type("t");
    w.put("/_electric/entities/t/a", &json!({}));
    for path in [
        "/_reveille/entities/t/a/explain?source=/t/a&offset=0000000000000001_0000000000000001",
        "/_reveille/entities/t/a/explain?source=/t/a&offset=0000000000000000_9999999999999999",
        "/_reveille/entities/t/a/explain?source=/t/a&offset=0000000000000000_99999999999999999999",
        "/_reveille/check?after=9223372036854775807",
        "/_reveille/check?after=9007199254740993",
        "/_reveille/check?after=-9223372036854775808",
    ] {
        let got = w.get(path);
        assert!(got.status < 500, "{path}: {} {}", got.status, got.body);
    }
}

// "permission holes": whoever is authenticated can count through the wakes of all, since the random half of an id
// is not looked at before the refusal, which names the entity.
#[test]
fn a_wakes_journal_names_no_entity_of_somebody_else() {
    let mut w = World::new();
    w.webhook_type("t");
    w.put("/_electric/entities/t/secret-name", &json!({ "initialMessage": "one" }));
    let (hook, _) = w.claim();
    let wake = hook["wakeId"].as_str().expect("an id").to_owned();
    let guessed = format!("{}00000000000000", &wake[..12]);
    let mallory = [("electric-principal", "user:mallory")];
    let got = w.ask("GET", &format!("/_reveille/wakes/{guessed}/journal"), &mallory, &Json::Null);
    assert_eq!(got.status, 404, "{}", got.body);
    assert!(!got.body.contains("secret-name"), "{}", got.body);
}

// explain `?source=PATH`; `/main` is taken off every path, also where that is the id or a stream of its own.
#[test]
fn sources_that_end_in_main_are_found() {
    let mut w = World::new();
    w.webhook_type("t");
    w.put("/_electric/entities/t/main", &json!({}));
    w.put("/_electric/entities/t/a", &json!({}));
    let json_type = [("content-type", "application/json")];
    w.ask("PUT", "/branch/of/main", &json_type, &Json::Null);
    w.ask("POST", "/branch/of/main", &json_type, &json!({ "type": "note" }));
    for (source, stream) in [("/t/main", "/t/main/main"), ("/branch/of/main", "/branch/of/main")] {
        let offset = w.ask("HEAD", stream, &[], &Json::Null).header("stream-next-offset").to_owned();
        let got = w.get(&format!("/_reveille/entities/t/a/explain?source={source}&offset={offset}"));
        assert_eq!(got.status, 200, "{source}: {}", got.body);
    }
}

// "for that event": an offset at which nothing ends answers for whatever comes next, and the refusal "nothing on
// … ends at …" is never given for one.
#[test]
fn an_offset_at_which_nothing_ends_is_no_event() {
    let mut w = World::new();
    w.webhook_type("t");
    w.put("/_electric/entities/t/a", &json!({}));
    let got = w.get("/_reveille/entities/t/a/explain?source=/t/a&offset=0000000000000000_0000000000000001");
    assert_eq!(got.status, 404, "{}", got.body);
}

// docs/architecture.md, "Explanations": each sentence is true when it is said. The failures before it was revived are not
// the new wake's.
#[test]
fn a_wake_that_was_sent_once_has_not_failed() {
    let mut w = given_up();
    w.post("/_reveille/entities/t/a/revive", &Json::Null);
    let summary = explain(&mut w, "/t/a")["summary"].as_str().expect("words").to_owned();
    assert!(!summary.contains("has failed"), "{summary}");
}

// The same: while an attempt is on its way, only those before it have failed.
#[test]
fn an_attempt_on_its_way_has_not_failed() {
    let mut w = World::new();
    w.webhook_type("t");
    w.put("/_electric/entities/t/a", &json!({ "initialMessage": "one" }));
    w.answer(500, &json!({}));
    w.pass(Span::secs(2));
    assert_eq!(w.fetches.len(), 1, "the second is on its way");
    let summary = explain(&mut w, "/t/a")["summary"].as_str().expect("words").to_owned();
    assert!(!summary.contains("failed 2 times"), "{summary}");
}

// The same: who is stopping stops when its claim is over, and who is paused waits; nobody is given its work then.
#[test]
fn what_comes_after_a_claim_depends_on_the_status() {
    for (signal, false_words) in [("SIGTERM", "given out again"), ("SIGSTOP", "given out again")] {
        let mut w = World::new();
        w.webhook_type("t");
        w.put("/_electric/entities/t/a", &json!({ "initialMessage": "one" }));
        w.claim();
        w.post("/_electric/entities/t/a/signal", &json!({ "signal": signal }));
        let told = explain(&mut w, "/t/a");
        let next = told["next"][0]["what"].as_str().unwrap_or("").to_owned();
        assert!(!next.contains(false_words), "{signal}: {told}");
        assert!(!told["waiting_for"].to_string().contains("begins the next wake"), "{signal}: {told}");
    }
}

// The same: who is paused is paused, also when nothing dispatches it.
#[test]
fn who_is_paused_with_nothing_to_do_says_how_it_goes_on() {
    let mut w = World::new();
    w.post("/_electric/entity-types", &json!({ "name": "bare", "description": "d" }));
    w.put("/_electric/entities/bare/a", &json!({}));
    w.post("/_electric/entities/bare/a/signal", &json!({ "signal": "SIGSTOP" }));
    let told = explain(&mut w, "/bare/a");
    assert!(told["summary"].as_str().expect("words").contains("paused"), "{told}");
}

// the journal; `explain`'s `last`: of two dispatches that are filed together the older is taken for the newest.
#[test]
fn the_last_dispatch_of_one_that_ended_is_its_newest() {
    let mut w = World::new();
    w.webhook_type("t");
    w.put("/_electric/entities/t/a", &json!({ "initialMessage": "one" }));
    let (hook, _) = w.claim();
    w.done(&hook);
    w.pass(Span::secs(1));
    send(&mut w, "/t/a");
    assert_eq!(w.fetches.len(), 1);
    w.ask("DELETE", "/_electric/entities/t/a", &[], &Json::Null);
    let told = explain(&mut w, "/t/a");
    assert_eq!(told["last"][0]["generation"], json!(2), "{}", told["last"]);
}

// Design, section 5: a read gathers at most 1 MB. An explanation of an append of many events says something of each.
#[test]
fn an_explanation_is_bounded() {
    let mut w = World::new();
    w.webhook_type("t");
    w.put("/_electric/entities/t/a", &json!({}));
    let json_type = [("content-type", "application/json")];
    w.ask("PUT", "/notes", &json_type, &Json::Null);
    for i in 0..8 {
        let condition = json!({ "on": "change", "collections": [format!("c{i}")] });
        let wake = json!({ "subscriberUrl": "/t/a", "sourceUrl": "/notes", "condition": condition });
        assert_eq!(w.post("/_electric/wake", &wake).status, 204);
    }
    let events: Vec<Json> = (0..10_000).map(|i| json!({ "type": "note", "key": i.to_string() })).collect();
    let offset = w.ask("POST", "/notes", &json_type, &json!(events)).header("stream-next-offset").to_owned();
    let got = w.get(&format!("/_reveille/entities/t/a/explain?source=/notes&offset={offset}"));
    assert!(got.body.len() < 4 << 20, "{} bytes", got.body.len());
}

// "Bounded …, and within the row budget"; `limits.rs`: whatever a client can make grow has a limit and a named
// error. A collection is kept whole in the journal, so one that is too long for a value of the store fails the append.
#[test]
fn a_long_collection_does_not_fail_an_append() {
    let mut w = World::new();
    w.webhook_type("t");
    w.put("/_electric/entities/t/a", &json!({}));
    let json_type = [("content-type", "application/json")];
    w.ask("PUT", "/notes", &json_type, &Json::Null);
    let wake = json!({ "subscriberUrl": "/t/a", "sourceUrl": "/notes", "condition": { "on": "change" } });
    assert_eq!(w.post("/_electric/wake", &wake).status, 204);
    let got = w.ask("POST", "/notes", &json_type, &json!({ "type": "x".repeat(1_100_000), "key": "k" }));
    assert!(got.status < 500, "{} {}", got.status, got.body);
    // Nor is it kept whole in each step.
    w.ask("POST", "/notes", &json_type, &json!({ "type": "x".repeat(100_000), "key": "k" }));
    let journal = w.get("/_reveille/entities/t/a/journal");
    assert!(journal.body.len() < 20_000, "{}", journal.body.len());
}

// Specification, section 5.4, H-14: a generation that is not this wake's is fenced, and no failure of the server.
#[test]
fn an_absurd_generation_is_fenced() {
    let mut w = World::new();
    w.webhook_type("t");
    w.put("/_electric/entities/t/a", &json!({ "initialMessage": "one" }));
    let (hook, _) = w.claim();
    for epoch in [json!(1e300), json!(-1e300), json!(1.5), json!(9_007_199_254_740_993_i64)] {
        let got = w.callback(&hook, &json!({ "epoch": epoch }));
        assert!(got.status < 500, "{epoch}: {} {}", got.status, got.body);
        assert_ne!(got.status, 200, "{epoch}: {}", got.body);
    }
}

// `explain`: "what will happen next and when". What is gathered, what times out and a message that is on its way
// each have a moment in the timer table.
#[test]
fn what_is_due_by_a_timer_is_told() {
    let mut w = World::new();
    w.webhook_type("t");
    w.put("/_electric/entities/t/a", &json!({}));
    w.put("/_electric/entities/t/b", &json!({}));
    let sent = w.post("/_electric/entities/t/a/send", &json!({ "payload": 1, "afterMs": 60_000 }));
    assert_eq!(sent.status, 204, "{}", sent.body);
    let told = explain(&mut w, "/t/a");
    assert_ne!(told["next"], json!([]), "a delayed message: {told}");
}

#[test]
fn what_is_gathered_is_told() {
    let mut w = World::new();
    w.webhook_type("t");
    w.put("/_electric/entities/t/a", &json!({}));
    let json_type = [("content-type", "application/json")];
    w.ask("PUT", "/notes", &json_type, &Json::Null);
    let wake = json!({ "subscriberUrl": "/t/a", "sourceUrl": "/notes", "condition": { "on": "change" }, "debounceMs": 60_000 });
    assert_eq!(w.post("/_electric/wake", &wake).status, 204);
    w.ask("POST", "/notes", &json_type, &json!({ "type": "n", "key": "k" }));
    let told = explain(&mut w, "/t/a");
    assert_ne!(told["next"], json!([]), "something is gathered: {told}");
    assert!(!told["summary"].as_str().expect("words").contains("all that came is done"), "{told}");
}

// docs/architecture.md, "Explanations": each sentence is true. A timeout is no event of a collection.
#[test]
fn a_timeout_is_told_as_one() {
    let mut w = World::new();
    w.webhook_type("t");
    w.put("/_electric/entities/t/a", &json!({}));
    w.put("/_electric/entities/t/b", &json!({}));
    let wake = json!({ "subscriberUrl": "/t/a", "sourceUrl": "/t/b", "condition": "runFinished", "timeoutMs": 1000 });
    assert_eq!(w.post("/_electric/wake", &wake).status, 204);
    w.pass(Span::secs(2));
    assert_eq!(w.fetches.len(), 1);
    let summary = explain(&mut w, "/t/a")["summary"].as_str().expect("words").to_owned();
    assert!(!summary.contains("``"), "{summary}");
}

// The same: what was announced and not taken has woken nobody.
#[test]
fn who_was_never_claimed_never_woke() {
    let mut w = World::new();
    w.post("/_electric/runners", &json!({ "id": "r", "label": "r" }));
    let policy = json!({ "targets": [{ "type": "runner", "runnerId": "r" }] });
    w.post("/_electric/entity-types", &json!({ "name": "t", "description": "d", "default_dispatch_policy": policy }));
    w.put("/_electric/entities/t/a", &json!({ "initialMessage": "one" }));
    let summary = explain(&mut w, "/t/a")["summary"].as_str().expect("words").to_owned();
    assert!(!summary.contains("It last woke"), "{summary}");
}

// docs/operations.md, "When an agent does not wake": an event on the entity's own stream, a message above all, is served by
// a wake and by no registration.
#[test]
fn a_message_is_explained_by_the_wake_that_serves_it() {
    let mut w = World::new();
    w.webhook_type("t");
    w.put("/_electric/entities/t/a", &json!({}));
    send(&mut w, "/t/a");
    let (hook, _) = w.claim();
    let offset = w.ask("HEAD", "/t/a/main", &[], &Json::Null).header("stream-next-offset").to_owned();
    let told = w.get(&format!("/_reveille/entities/t/a/explain?source=/t/a&offset={offset}")).json();
    let wake = hook["wakeId"].as_str().expect("an id");
    assert!(told["event"].to_string().contains(wake), "{}", told["event"]);
}

// Specification, section 5.4: what is refused says what is wrong, not what would be right.
#[test]
fn an_acknowledgement_out_of_place_is_said_to_be_so() {
    let mut w = World::new();
    w.webhook_type("t");
    w.put("/_electric/entities/t/a", &json!({ "initialMessage": "one" }));
    let (hook, _) = w.claim();
    let ack = json!([{ "path": "/t/a/main", "offset": "0000000000000000_0000000000999999" }]);
    let got = w.callback(&hook, &json!({ "epoch": 1, "acks": ack }));
    assert_eq!(got.code(), "INVALID_OFFSET");
    let message = got.json()["error"]["message"].as_str().expect("words").to_owned();
    assert!(message.contains("must") || message.contains("does not"), "{message}");
}

// docs/operations.md: a fenced step says what came; the last of several is not all of them.
#[test]
fn repeated_steps_of_different_kinds_are_not_one() {
    let mut w = World::new();
    w.webhook_type("t");
    w.put("/_electric/entities/t/a", &json!({ "initialMessage": "one" }));
    let (hook, _) = w.claim();
    w.done(&hook);
    w.done(&hook);
    w.callback(&hook, &json!({ "epoch": 1 }));
    let steps = w.get("/_reveille/entities/t/a/journal").json()["steps"].clone();
    let last = steps.as_array().and_then(|s| s.last()).cloned().expect("a step");
    assert!(last["times"].is_null(), "one done and one heartbeat, told as {last}");
}

// `limits.rs`: whatever a client can make grow has a limit. The id of a policy's subscription is in every delivery, every
// callback URL and every announcement on a wake stream.
#[test]
fn a_policys_subscription_id_has_a_limit() {
    let mut w = World::new();
    w.post("/_electric/entity-types", &json!({ "name": "t", "description": "d" }));
    let target = json!({ "type": "webhook", "url": "https://agent.test/", "subscription_id": "s".repeat(800_000) });
    let got = w.put("/_electric/entities/t/a", &json!({ "dispatch_policy": { "targets": [target] } }));
    assert_eq!(got.status, 400, "{}", got.status);
}

// explain of one event: "which wake served it". What was gathered alone became a wake row like any other.
#[test]
fn what_was_gathered_is_explained_by_its_wake() {
    let mut w = World::new();
    w.webhook_type("t");
    w.put("/_electric/entities/t/a", &json!({}));
    let json_type = [("content-type", "application/json")];
    w.ask("PUT", "/notes", &json_type, &Json::Null);
    let wake =
        json!({ "subscriberUrl": "/t/a", "sourceUrl": "/notes", "condition": { "on": "change" }, "debounceMs": 1000 });
    assert_eq!(w.post("/_electric/wake", &wake).status, 204);
    let offset = w
        .ask("POST", "/notes", &json_type, &json!({ "type": "n", "key": "k" }))
        .header("stream-next-offset")
        .to_owned();
    let asked = format!("/_reveille/entities/t/a/explain?source=/notes&offset={offset}");
    let why = |w: &mut World| {
        w.get(&asked).json()["event"]["events"][0]["registrations"][0]["why"].as_str().unwrap_or("").to_owned()
    };
    let early = why(&mut w);
    assert!(!early.contains("became one wake"), "nothing has yet: {early}");
    w.pass(Span::secs(2));
    let (hook, _) = w.claim();
    let late = why(&mut w);
    assert!(late.contains(hook["wakeId"].as_str().expect("an id")), "{late}");
}
