//! Dispatches as shapes: whoever follows one holds, after each step, what a fresh snapshot shows; and while nobody looks,
//! nothing is written for it.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::world::{World, exec, send};
use crate::Span;
use crate::limits::DELIVERIES;

const SHAPE: &str = "/_electric/electric/v1/shape";
const TABLES: [&str; 3] = ["entity_dispatch_state", "wake_notifications", "consumer_claims"];
const BOB: &str = "user:bob";

type Rows = BTreeMap<String, Map<String, Json>>;

/// Somebody who follows a table.
struct Follower {
    table: &'static str,
    by: &'static str,
    rows: Rows,
    at: Option<(String, String)>,
    refetched: usize,
}

impl Follower {
    fn new(table: &'static str, by: &'static str) -> Self {
        Self { table, by, rows: Rows::new(), at: None, refetched: 0 }
    }

    /// Asks for what there is, then for what is new, until it knows everything.
    fn catch_up(&mut self, w: &mut World) {
        let mut knows = false;
        for _ in 0..8 {
            if knows {
                return;
            }
            let from = match &self.at {
                None => "offset=-1".to_owned(),
                Some((handle, offset)) => format!("handle={handle}&offset={offset}"),
            };
            let got = w.ask(
                "GET",
                &format!("{SHAPE}?table={}&{from}", self.table),
                &[("electric-principal", self.by)],
                &Json::Null,
            );
            if got.status == 409 {
                (self.at, self.rows) = (None, Rows::new());
                self.refetched += 1;
                continue;
            }
            assert_eq!(got.status, 200, "{}", got.body);
            self.at = Some((got.header("electric-handle").to_owned(), got.header("electric-offset").to_owned()));
            for message in got.json().as_array().expect("messages") {
                self.hear(message);
            }
            knows = got.headers.contains_key("electric-up-to-date") && from != "offset=-1";
        }
        assert!(knows, "{} never knew everything", self.table);
    }

    fn hear(&mut self, message: &Json) {
        let Some(key) = message["key"].as_str() else { return };
        let value = message["value"].as_object().expect("a value").clone();
        match message["headers"]["operation"].as_str() {
            Some("insert") => drop(self.rows.insert(key.to_owned(), value)),
            Some("update") => self.rows.get_mut(key).expect("a row that it has").extend(value),
            Some("delete") => drop(self.rows.remove(key).expect("a row that it has")),
            other => assert_eq!(other, None, "an operation that there is"),
        }
    }

    /// What a snapshot shows.
    fn fresh(&self, w: &mut World) -> Rows {
        let path = format!("{SHAPE}?table={}&offset=-1", self.table);
        let got = w.ask("GET", &path, &[("electric-principal", self.by)], &Json::Null).json();
        let rows = got.as_array().expect("messages").iter().filter(|message| message["key"].is_string());
        rows.map(|m| (m["key"].as_str().unwrap_or("").to_owned(), m["value"].as_object().expect("a value").clone()))
            .collect()
    }
}

/// All three tables, as the system and as Bob follow them.
struct Followers(Vec<Follower>);

impl Followers {
    fn new(w: &mut World) -> Self {
        let by = ["system:dev-local", BOB];
        let mut all = Self(TABLES.iter().flat_map(|table| by.map(|by| Follower::new(table, by))).collect());
        all.check(w, "the beginning");
        all.0.iter_mut().for_each(|follower| follower.refetched = 0);
        all
    }

    fn check(&mut self, w: &mut World, what: &str) {
        for follower in &mut self.0 {
            follower.catch_up(w);
            assert_eq!(follower.rows, follower.fresh(w), "{} of {} after {what}", follower.table, follower.by);
        }
    }

    /// The only row that the system sees of an entity in a table.
    fn row(&self, table: &str, entity: &str) -> Json {
        let follower = self.0.iter().find(|f| f.table == table && f.by != BOB).expect("a follower");
        let mut rows = follower.rows.values().filter(|row| row["entity_url"] == entity);
        let row = rows.next().cloned().map_or(Json::Null, Json::Object);
        assert!(rows.next().is_none(), "one row of {entity} in {table}");
        row
    }

    fn seen_by_bob(&self) -> Vec<usize> {
        self.0.iter().filter(|f| f.by == BOB).map(|f| f.rows.len()).collect()
    }

    fn refetched(&self) -> usize {
        self.0.iter().map(|f| f.refetched).sum()
    }
}

fn runner_type(w: &mut World) {
    let runner = json!({ "id": "r", "owner_principal": "/principal/system%3Adev-local", "label": "r" });
    assert_eq!(w.post("/_electric/runners", &runner).status, 201);
    let policy = json!({ "targets": [{ "type": "runner", "runnerId": "r" }] });
    let kind = json!({ "name": "pulled", "description": "d", "default_dispatch_policy": policy });
    assert_eq!(w.post("/_electric/entity-types", &kind).status, 201);
    assert_eq!(w.put("/_electric/entities/pulled/e", &json!({})).status, 201);
}

#[test]
fn a_runners_wake_is_told_from_its_announcement_to_its_end() {
    let mut w = World::new();
    runner_type(&mut w);
    let mut f = Followers::new(&mut w);
    let state = f.row("entity_dispatch_state", "/pulled/e");
    assert_eq!((&state["pending_source_streams"], &state["outstanding_wake_id"]), (&json!("[]"), &Json::Null));
    send(&mut w, "/pulled/e");
    f.check(&mut w, "the announcement");
    let (state, wake) = (f.row("entity_dispatch_state", "/pulled/e"), f.row("wake_notifications", "/pulled/e"));
    assert_eq!(state["outstanding_wake_id"], wake["wake_id"]);
    assert_eq!(state["outstanding_wake_target"], r#"{"type":"runner","runnerId":"r"}"#);
    let fields = ["target_type", "target_runner_id", "runner_wake_stream", "delivery_status", "claim_status"];
    assert_eq!(
        fields.map(|name| wake[name].as_str()),
        ["runner", "r", "/runners/r/wake", "delivered", "unclaimed"].map(Some)
    );
    assert_eq!(f.row("consumer_claims", "/pulled/e"), Json::Null);

    w.now = w.now + Span::secs(1);
    let event = announced(&mut w);
    let claimed = w.post("/_electric/runners/r/claim", &event);
    assert_eq!(claimed.status, 200, "{}", claimed.body);
    let hook = claimed.json();
    f.check(&mut w, "the claim");
    let (state, claim) = (f.row("entity_dispatch_state", "/pulled/e"), f.row("consumer_claims", "/pulled/e"));
    assert_eq!(
        (&state["active_consumer_id"], &state["active_runner_id"], &state["active_epoch"]),
        (&hook["wakeId"], &json!("r"), &json!("1"))
    );
    assert_eq!(
        (&claim["status"], &claim["stream_path"], &claim["last_heartbeat_at"]),
        (&json!("active"), &json!("/pulled/e/main"), &Json::Null)
    );
    assert_eq!(f.row("wake_notifications", "/pulled/e")["claim_status"], "claimed");

    w.now = w.now + Span::secs(1);
    w.callback(&hook, &json!({ "epoch": 1 }));
    f.check(&mut w, "a heartbeat");
    assert!(f.row("consumer_claims", "/pulled/e")["last_heartbeat_at"].is_string());
    assert_eq!(w.done(&hook).status, 200);
    f.check(&mut w, "the end");
    let (state, claim) = (f.row("entity_dispatch_state", "/pulled/e"), f.row("consumer_claims", "/pulled/e"));
    assert_eq!((&state["active_consumer_id"], &state["last_wake_id"]), (&Json::Null, &hook["wakeId"]));
    assert!(state["last_completed_at"].is_string() && state["last_released_at"].is_string(), "{state}");
    assert_eq!(claim["status"], "released");
    assert!(
        claim["acked_streams"]
            .as_str()
            .is_some_and(|acked| acked.starts_with(r#"[{"path":"/pulled/e/main","offset":"#)),
        "{claim}"
    );
    assert_eq!(f.row("wake_notifications", "/pulled/e")["claim_status"], "completed");

    send(&mut w, "/pulled/e");
    f.check(&mut w, "the next announcement");
    assert_ne!(f.row("wake_notifications", "/pulled/e")["wake_id"], hook["wakeId"]);
    w.post("/_electric/entities/pulled/e/signal", &json!({ "signal": "SIGSTOP" }));
    f.check(&mut w, "a pause");
    let state = f.row("entity_dispatch_state", "/pulled/e");
    assert_eq!(state["pending_source_streams"], r#"["/pulled/e/main"]"#);
    assert!(state["pending_reason"].is_string(), "{state}");
    w.post("/_electric/entities/pulled/e/signal", &json!({ "signal": "SIGCONT" }));
    f.check(&mut w, "going on");
    assert_eq!(w.ask("DELETE", "/_electric/entities/pulled/e", &[], &Json::Null).status, 200);
    f.check(&mut w, "the entity's end");
    assert_eq!(f.row("entity_dispatch_state", "/pulled/e")["last_wake_id"], Json::Null);
    assert_eq!(f.row("wake_notifications", "/pulled/e"), Json::Null);
    assert_eq!(f.refetched(), 0, "nobody began anew");
}

/// The event that the runner was told last, as it asks with it.
fn announced(w: &mut World) -> Json {
    let events = w.get("/runners/r/wake").json();
    events.as_array().and_then(|events| events.last()).cloned().unwrap_or_default()
}

#[test]
fn a_webhooks_wake_is_told_through_failures_and_expiry() {
    let mut w = World::new();
    w.webhook_type("t");
    w.put("/_electric/entities/t/a", &json!({}));
    let mut f = Followers::new(&mut w);
    send(&mut w, "/t/a");
    f.check(&mut w, "the delivery");
    assert_eq!(f.row("wake_notifications", "/t/a")["delivery_status"], "queued");
    w.answer(500, &json!({}));
    f.check(&mut w, "a failure");
    assert!(f.row("entity_dispatch_state", "/t/a")["last_error"].is_string());
    w.pass(Span::secs(60));
    f.check(&mut w, "another delivery");
    let (hook, _) = w.claim();
    f.check(&mut w, "the claim");
    assert_eq!(f.row("wake_notifications", "/t/a")["delivery_status"], "delivered");
    w.pass(Span::secs(120));
    f.check(&mut w, "the lease's end");
    assert_ne!(f.row("wake_notifications", "/t/a")["wake_id"], hook["wakeId"], "the next has begun");
    for _ in 0..=DELIVERIES {
        while !w.fetches.is_empty() {
            w.answer(500, &json!({}));
        }
        w.pass(Span::secs(400));
        f.check(&mut w, "one of many failures");
    }
    let (state, wake) = (f.row("entity_dispatch_state", "/t/a"), f.row("wake_notifications", "/t/a"));
    assert_eq!((&wake["delivery_status"], &wake["claim_status"]), (&json!("failed"), &json!("unclaimed")));
    assert!(state["pending_reason"].is_string() && wake["resolved_at"].is_string(), "{state}");
    assert_eq!(w.post("/_reveille/entities/t/a/revive", &json!({})).status, 200);
    f.check(&mut w, "being taken back");
    assert!(f.row("entity_dispatch_state", "/t/a")["outstanding_wake_id"].is_string());
}

#[test]
fn who_may_read_an_entity_sees_how_it_is_dispatched() {
    let mut w = World::new();
    w.webhook_type("t");
    w.put("/_electric/entities/t/a", &json!({}));
    let mut f = Followers::new(&mut w);
    send(&mut w, "/t/a");
    w.claim();
    f.check(&mut w, "a claim of another's");
    assert_eq!(f.seen_by_bob(), [0, 0, 0]);
    let grant = json!({ "subject_kind": "principal", "subject_value": "/principal/user%3Abob", "permission": "read" });
    let granted = w.post("/_electric/entities/t/a/grants", &grant).json();
    f.check(&mut w, "a grant");
    assert_eq!(f.seen_by_bob(), [1, 1, 1]);
    w.ask("DELETE", &format!("/_electric/entities/t/a/grants/{}", granted["id"]), &[], &Json::Null);
    f.check(&mut w, "its end");
    assert_eq!(f.seen_by_bob(), [0, 0, 0]);
    assert_eq!(w.ask("PUT", "/_electric/entities/t/mine", &[("electric-principal", BOB)], &json!({})).status, 201);
    f.check(&mut w, "a spawn");
    assert_eq!(f.seen_by_bob(), [2, 0, 0], "it, and himself");
}

#[test]
fn nothing_is_written_while_nobody_looks() {
    let mut w = World::new();
    w.webhook_type("t");
    w.put("/_electric/entities/t/a", &json!({}));
    let logged = |w: &World| {
        let mut count = 0;
        let sql = "SELECT count(*) FROM change WHERE tab IN (7, 8, 9)";
        crate::store::Sql::run(w.engine.sql(), sql, &[], &mut |row| {
            count = row.int(0)?;
            Ok(())
        })
        .expect("readable");
        count
    };
    let wake = |w: &mut World| {
        send(w, "/t/a");
        let (hook, _) = w.claim();
        w.done(&hook);
    };
    wake(&mut w);
    assert_eq!(logged(&w), 0);
    let mut f = Followers::new(&mut w);
    wake(&mut w);
    f.check(&mut w, "a wake");
    w.pass(Span::secs(20 * 60));
    let while_watched = logged(&w);
    assert!(while_watched > 0);
    // Somebody who comes back late begins anew, and misses nothing.
    wake(&mut w);
    assert_eq!(logged(&w), while_watched);
    f.check(&mut w, "a long time");
    assert_eq!(f.refetched(), 6, "each once, because the log has a gap");
    wake(&mut w);
    f.check(&mut w, "a wake afterwards");
    // That somebody looks survives a restart.
    let mut w = w.restart();
    wake(&mut w);
    f.check(&mut w, "a wake after a restart");
    assert_eq!(f.refetched(), 6);
}

#[test]
fn a_look_that_is_rolled_back_is_none() {
    let mut w = World::new();
    w.webhook_type("t");
    w.put("/_electric/entities/t/a", &json!({}));
    exec(
        &w,
        "CREATE TRIGGER no BEFORE UPDATE OF watched_until ON clock WHEN NEW.txid = OLD.txid BEGIN SELECT RAISE(FAIL, 'no'); END",
    );
    let got = w.get(&format!("{SHAPE}?table=consumer_claims&offset=-1"));
    assert_eq!(got.status, 200);
    exec(&w, "DROP TRIGGER no");
    send(&mut w, "/t/a");
    let at = format!("handle={}&offset={}", got.header("electric-handle"), got.header("electric-offset"));
    assert_eq!(w.get(&format!("{SHAPE}?table=consumer_claims&{at}")).status, 409, "it does not claim to know");
}

#[test]
fn what_an_entity_did_last_is_told_while_it_is_awake_again() {
    let mut w = World::new();
    w.webhook_type("t");
    w.put("/_electric/entities/t/a", &json!({}));
    let mut f = Followers::new(&mut w);
    send(&mut w, "/t/a");
    let (hook, _) = w.claim();
    assert_eq!(w.done(&hook).status, 200);
    f.check(&mut w, "a wake");
    let last = |f: &Followers| {
        let state = f.row("entity_dispatch_state", "/t/a");
        ["last_claimed_at", "last_released_at", "last_completed_at"].map(|name| state[name].clone())
    };
    let [claimed, released, completed] = last(&f);
    assert!([&claimed, &released, &completed].iter().all(|at| at.is_string()));
    // Awake again, it says when it was done before; and so it does when nobody comes back to say so, time and again.
    for round in 0..4 {
        w.pass(Span::secs(1));
        send(&mut w, "/t/a");
        f.check(&mut w, "a message");
        assert_eq!(last(&f)[2], completed, "announced, {round}");
        w.claim();
        f.check(&mut w, "a claim");
        let [_, before, done] = last(&f);
        assert_eq!(done, completed, "claimed, {round}");
        assert!(before.is_string() && (round > 0 || before == released), "claimed, {round}");
        w.post("/_electric/entities/t/a/signal", &json!({ "signal": "SIGSTOP" }));
        w.pass(Span::secs(60));
        f.check(&mut w, "the lease's end");
        assert_eq!(last(&f)[2], completed, "expired, {round}");
        w.fetches.clear();
        w.post("/_electric/entities/t/a/signal", &json!({ "signal": "SIGCONT" }));
        f.check(&mut w, "going on");
        assert_eq!(last(&f)[2], completed, "next, {round}");
    }
}
