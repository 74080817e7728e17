//! Grants against a model that is written from the rules alone: whatever random principals do, what each may see and do
//! is what the rules say of everything that was granted, computed from nothing.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use serde_json::{Value as Json, json};

use super::check;
use crate::tenant::Principal;
use crate::tests::world::World;
use crate::{Config, Span};

// -- what is done

#[derive(Clone, Debug)]
enum Step {
    /// Somebody spawns an entity, perhaps below another, perhaps with grants.
    Spawn {
        by: usize,
        kind: usize,
        parent: Option<usize>,
        grants: Vec<Given>,
    },
    Grant {
        by: usize,
        entity: usize,
        grant: Given,
    },
    /// Somebody takes a grant away, by the address of an entity that need not be its own.
    Revoke {
        by: usize,
        entity: usize,
        grant: usize,
    },
    GrantType {
        by: usize,
        kind: usize,
        manage: bool,
        subject: usize,
        lasts: Option<i64>,
    },
    RevokeType {
        by: usize,
        kind: usize,
        grant: usize,
    },
    Kill {
        by: usize,
        entity: usize,
    },
    Pass(i64),
    /// Time passes, and no timer runs.
    Skip(i64),
    Restart,
}

#[derive(Clone, Debug)]
struct Given {
    permission: usize,
    subject: usize,
    descendants: bool,
    copies: bool,
    /// Milliseconds from now.
    lasts: Option<i64>,
}

const PEOPLE: [&str; 5] = ["user:a", "user:b", "agent:a", "agent:c", "system:dev-local"];
const SYSTEM: usize = 4;
const KINDS: [&str; 2] = ["t0", "t1"];
/// Those that the steps try; the others are granted like them.
const PERMISSIONS: [&str; 5] = ["read", "write", "spawn", "delete", "manage"];
/// Four principals, two kinds.
const SUBJECTS: [(&str, &str); 6] = [
    ("principal", "/principal/user%3Aa"),
    ("principal", "/principal/user%3Ab"),
    ("principal", "/principal/agent%3Aa"),
    ("principal", "/principal/agent%3Ac"),
    ("principal_kind", "user"),
    ("principal_kind", "agent"),
];

fn given() -> impl Strategy<Value = Given> {
    let lasts = prop_oneof![3 => Just(None), 1 => (0..40_i64).prop_map(Some)];
    (0..PERMISSIONS.len(), 0..SUBJECTS.len(), any::<bool>(), prop::bool::weighted(0.2), lasts).prop_map(
        |(permission, subject, descendants, copies, lasts)| Given { permission, subject, descendants, copies, lasts },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let who = || prop_oneof![3 => 0..PEOPLE.len(), 1 => Just(SYSTEM)];
    prop_oneof![
        8 => (who(), 0..2_usize, prop::option::weighted(0.8, 0..12_usize), prop::collection::vec(given(), 0..2))
            .prop_map(|(by, kind, parent, grants)| Step::Spawn { by, kind, parent, grants }),
        8 => (who(), 0..12_usize, given()).prop_map(|(by, entity, grant)| Step::Grant { by, entity, grant }),
        4 => (who(), 0..12_usize, 0..12_usize).prop_map(|(by, entity, grant)| Step::Revoke { by, entity, grant }),
        2 => (who(), 0..2_usize, any::<bool>(), 0..SUBJECTS.len(), prop::option::weighted(0.3, 0..40_i64))
            .prop_map(|(by, kind, manage, subject, lasts)| Step::GrantType { by, kind, manage, subject, lasts }),
        1 => (who(), 0..2_usize, 0..6_usize).prop_map(|(by, kind, grant)| Step::RevokeType { by, kind, grant }),
        1 => (who(), 0..12_usize).prop_map(|(by, entity)| Step::Kill { by, entity }),
        2 => (0..30_i64).prop_map(Step::Pass),
        1 => (0..30_i64).prop_map(Step::Skip),
        1 => Just(Step::Restart),
    ]
}

// -- the model

#[derive(Clone, Debug)]
struct Grant {
    id: i64,
    /// The entity, or the type.
    on: usize,
    given: Given,
    until: Option<i64>,
}

struct Entity {
    url: String,
    owner: usize,
    parent: Option<usize>,
    alive: bool,
}

#[derive(Default)]
struct Model {
    now: i64,
    entities: Vec<Entity>,
    grants: Vec<Grant>,
    types: Vec<Grant>,
}

impl Model {
    fn holds(&self, grant: &Grant, by: usize, asked: &str) -> bool {
        let subject = SUBJECTS[grant.given.subject];
        let (kind, _) = PEOPLE[by].split_once(':').expect("a key");
        let url = Principal::parse(PEOPLE[by]).expect("a principal").url();
        let meant = if subject.0 == "principal" { subject.1 == url } else { subject.1 == kind };
        let permission = PERMISSIONS[grant.given.permission];
        meant && (permission == asked || permission == "manage") && self.lasts(grant)
    }

    fn lasts(&self, grant: &Grant) -> bool {
        grant.until.is_none_or(|until| self.now < until)
    }

    fn may(&self, by: usize, asked: &str, entity: usize) -> bool {
        let covers = |grant: &Grant| grant.on == entity || grant.given.descendants && self.is_below(entity, grant.on);
        by == SYSTEM
            || self.entities[entity].owner == by
            || self.grants.iter().any(|grant| covers(grant) && self.holds(grant, by, asked))
    }

    fn may_type(&self, by: usize, asked: &str, kind: usize) -> bool {
        by == SYSTEM || self.types.iter().any(|grant| grant.on == kind && self.holds(grant, by, asked))
    }

    fn is_below(&self, entity: usize, above: usize) -> bool {
        let mut up = self.entities[entity].parent;
        while let Some(at) = up {
            if at == above {
                return true;
            }
            up = self.entities[at].parent;
        }
        false
    }
}

// -- one run

struct Run {
    world: World,
    model: Model,
    /// A membership stream of everything for each of the first two.
    members: Vec<String>,
}

impl Run {
    fn new() -> Self {
        let world = World::new();
        // Chunks of two, so that what takes several is usual.
        let config = Config { fan_out: 2, ..world.engine.config().clone() };
        let mut world = world.restart_as(config);
        for kind in KINDS {
            let body = json!({ "name": kind, "description": "d", "permission_grants": [
                { "subject_kind": "principal_kind", "subject_value": "user", "permission": "spawn" },
            ] });
            assert_eq!(world.post("/_electric/entity-types", &body).status, 201);
        }
        let mut model = Model { now: world.now.as_millis(), ..Model::default() };
        for (on, kind) in KINDS.iter().enumerate() {
            let grants = world.get(&format!("/_electric/entity-types/{kind}/grants")).json();
            let id = grants["grants"][0]["id"].as_i64().expect("an id");
            let given = Given { permission: 2, subject: 4, descendants: false, copies: false, lasts: None };
            model.types.push(Grant { id, on, given, until: None });
        }
        let mut run = Self { world, model, members: Vec::new() };
        for by in 0..2 {
            let got = run.ask("POST", "/_electric/observations/entities/ensure-stream", by, &json!({}));
            run.members.push(got.1["streamUrl"].as_str().expect("a path").to_owned());
        }
        run
    }

    fn ask(&mut self, method: &str, path: &str, by: usize, body: &Json) -> (u16, Json) {
        let got = self.world.ask(method, path, &[("electric-principal", PEOPLE[by])], body);
        (got.status, got.json())
    }

    /// Whether what may be done was done. What a grant is still on its way to may be refused until it is there; what may
    /// not be done never is.
    fn judge(&self, status: u16, done: u16, may: bool, what: &str) -> Result<bool, TestCaseError> {
        let spreads = "SELECT count(*) FROM entity_grant WHERE at IS NOT NULL AND ended = 0";
        if may && status == 401 && self.world.engine.sql().number(spreads) > 0 {
            return Ok(false);
        }
        prop_assert_eq!(status, if may { done } else { 401 }, "{}", what);
        Ok(may)
    }

    fn entity(&self, n: usize) -> Option<usize> {
        n.checked_rem(self.model.entities.len())
    }

    fn wire(&self, given: &Given) -> Json {
        let (kind, value) = SUBJECTS[given.subject];
        let mut json = json!({
            "subject_kind": kind, "subject_value": value, "permission": PERMISSIONS[given.permission],
            "propagation": if given.descendants { "descendants" } else { "self" }, "copy_to_children": given.copies,
        });
        if let Some(lasts) = given.lasts {
            json["expires_at"] = (self.world.now + Span::millis(lasts)).iso().into();
        }
        json
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Spawn { by, kind, parent, grants } => self.spawn(*by, *kind, *parent, grants),
            Step::Grant { by, entity, grant } => self.grant(*by, *entity, grant),
            Step::Revoke { by, entity, grant } => self.revoke(*by, *entity, *grant),
            Step::GrantType { by, kind, manage, subject, lasts } => {
                let given = Given {
                    permission: if *manage { 4 } else { 2 },
                    subject: *subject,
                    descendants: false,
                    copies: false,
                    lasts: *lasts,
                };
                self.grant_type(*by, *kind, &given)
            }
            Step::RevokeType { by, kind, grant } => self.revoke_type(*by, *kind, *grant),
            Step::Kill { by, entity } => self.kill(*by, *entity),
            Step::Pass(ms) => {
                self.world.pass(Span::millis(*ms));
                self.model.now = self.world.now.as_millis();
                Ok(())
            }
            Step::Skip(ms) => {
                self.world.now = self.world.now + Span::millis(*ms);
                self.model.now = self.world.now.as_millis();
                Ok(())
            }
            Step::Restart => {
                let world = std::mem::replace(&mut self.world, World::new());
                self.world = world.restart();
                Ok(())
            }
        }
    }

    fn spawn(&mut self, by: usize, kind: usize, parent: Option<usize>, grants: &[Given]) -> Result<(), TestCaseError> {
        let parent = parent.and_then(|n| self.entity(n));
        let n = self.model.entities.len();
        let url = format!("/{}/e{n}", KINDS[kind]);
        let mut body = json!({ "grants": grants.iter().map(|given| self.wire(given)).collect::<Vec<_>>() });
        if let Some(parent) = parent {
            body["parent"] = self.model.entities[parent].url.as_str().into();
        }
        let (status, answer) = self.ask("PUT", &format!("/_electric/entities{url}"), by, &body);
        let model = &self.model;
        let broad = grants.iter().any(|g| g.permission == 4 || g.subject > 3 || g.descendants || g.copies);
        let may = model.may_type(by, "spawn", kind)
            && parent
                .is_none_or(|parent| model.may(by, "spawn", parent) && (!broad || model.may(by, "manage", parent)));
        if !self.judge(status, 201, may, &format!("spawn {url} by {}: {answer}", PEOPLE[by]))? {
            return Ok(());
        }
        self.model.entities.push(Entity { url: url.clone(), owner: by, parent, alive: true });
        // Which ids its grants have is told by the server; that they are these and no others is not.
        let listed = self.ask("GET", &format!("/_electric/entities{url}/grants"), SYSTEM, &Json::Null).1;
        let model = &self.model;
        let copied = |g: &&Grant| Some(g.on) == parent && g.given.copies && model.lasts(g);
        let copies =
            self.model.grants.iter().filter(copied).map(|g| (Given { descendants: false, ..g.given.clone() }, g.until));
        let own = grants.iter().map(|g| (g.clone(), g.lasts.map(|ms| self.model.now + ms)));
        let all: Vec<(Given, Option<i64>)> = copies.chain(own).collect();
        let ids: Vec<i64> =
            listed["grants"].as_array().expect("a list").iter().map(|g| g["id"].as_i64().expect("an id")).collect();
        prop_assert_eq!(ids.len(), all.len(), "the grants of {}: {}", url, listed);
        for (id, (given, until)) in ids.into_iter().zip(all) {
            self.model.grants.push(Grant { id, on: n, given, until });
        }
        Ok(())
    }

    fn grant(&mut self, by: usize, entity: usize, given: &Given) -> Result<(), TestCaseError> {
        let Some(on) = self.entity(entity) else { return Ok(()) };
        let path = format!("/_electric/entities{}/grants", self.model.entities[on].url);
        let body = self.wire(given);
        let (status, answer) = self.ask("POST", &path, by, &body);
        let may = self.model.may(by, "manage", on);
        if self.judge(status, 201, may, &format!("{path} by {}: {answer}", PEOPLE[by]))? {
            let id = answer["id"].as_i64().expect("an id");
            let until = given.lasts.map(|ms| self.model.now + ms);
            self.model.grants.push(Grant { id, on, given: given.clone(), until });
        }
        Ok(())
    }

    fn revoke(&mut self, by: usize, entity: usize, grant: usize) -> Result<(), TestCaseError> {
        let Some(on) = self.entity(entity) else { return Ok(()) };
        let Some(n) = grant.checked_rem(self.model.grants.len()) else { return Ok(()) };
        let grant = self.model.grants[n].clone();
        let path = format!("/_electric/entities{}/grants/{}", self.model.entities[on].url, grant.id);
        let (status, answer) = self.ask("DELETE", &path, by, &Json::Null);
        let (may, what) = (self.model.may(by, "manage", on), format!("{path} by {}: {answer}", PEOPLE[by]));
        if !may || status == 401 {
            self.judge(status, 204, may, &what)?;
        } else if grant.on != on {
            prop_assert_eq!(status, 404, "{} by {}: {}", path, PEOPLE[by], answer);
        } else {
            // One that has ended may have been taken away already.
            prop_assert!(
                status == 204 || status == 404 && !self.model.lasts(&grant),
                "{}: {} {}",
                path,
                status,
                answer
            );
            self.model.grants.remove(n);
        }
        Ok(())
    }

    fn grant_type(&mut self, by: usize, on: usize, given: &Given) -> Result<(), TestCaseError> {
        let path = format!("/_electric/entity-types/{}/grants", KINDS[on]);
        let mut body = self.wire(given);
        for name in ["propagation", "copy_to_children"] {
            body.as_object_mut().expect("an object").remove(name);
        }
        let (status, answer) = self.ask("POST", &path, by, &body);
        let may = self.model.may_type(by, "manage", on);
        prop_assert_eq!(status, if may { 201 } else { 401 }, "{} by {}: {}", path, PEOPLE[by], answer);
        if may {
            let id = answer["id"].as_i64().expect("an id");
            let until = given.lasts.map(|ms| self.model.now + ms);
            self.model.types.push(Grant { id, on, given: given.clone(), until });
        }
        Ok(())
    }

    fn revoke_type(&mut self, by: usize, on: usize, grant: usize) -> Result<(), TestCaseError> {
        let Some(n) = grant.checked_rem(self.model.types.len()) else { return Ok(()) };
        let grant = self.model.types[n].clone();
        let path = format!("/_electric/entity-types/{}/grants/{}", KINDS[on], grant.id);
        let (status, answer) = self.ask("DELETE", &path, by, &Json::Null);
        if !self.model.may_type(by, "manage", on) {
            prop_assert_eq!(status, 401, "{} by {}: {}", path, PEOPLE[by], answer);
        } else if grant.on != on {
            prop_assert_eq!(status, 404, "{} by {}: {}", path, PEOPLE[by], answer);
        } else {
            prop_assert!(
                status == 204 || status == 404 && !self.model.lasts(&grant),
                "{}: {} {}",
                path,
                status,
                answer
            );
            self.model.types.remove(n);
        }
        Ok(())
    }

    fn kill(&mut self, by: usize, entity: usize) -> Result<(), TestCaseError> {
        let Some(n) = self.entity(entity) else { return Ok(()) };
        let path = format!("/_electric/entities{}", self.model.entities[n].url);
        let (status, answer) = self.ask("DELETE", &path, by, &Json::Null);
        let (may, alive) = (self.model.may(by, "delete", n), self.model.entities[n].alive);
        if self.judge(status, if alive { 200 } else { 409 }, may, &format!("{path} by {}: {answer}", PEOPLE[by]))? {
            self.model.entities[n].alive = false;
        }
        Ok(())
    }

    /// What has not been everywhere yet has had its time, and each may see and do what they may.
    fn check(&mut self) -> Result<(), TestCaseError> {
        self.world.pass(Span::ZERO);
        for (by, person) in PEOPLE.iter().enumerate() {
            let mut readable: Vec<String> = Vec::new();
            for n in 0..self.model.entities.len() {
                let url = self.model.entities[n].url.clone();
                let may = self.model.may(by, "read", n);
                let (status, _) = self.ask("GET", &format!("/_electric/entities{url}"), by, &Json::Null);
                prop_assert_eq!(status, if may { 200 } else { 401 }, "{} reads {}", person, &url);
                if may {
                    readable.push(url);
                }
            }
            let (_, listed) = self.ask("GET", "/_electric/entities", by, &Json::Null);
            let listed = listed.as_array().expect("a list").iter().map(|e| e["url"].as_str().expect("a URL"));
            let mut listed: Vec<String> =
                listed.filter(|url| !url.starts_with("/principal/")).map(str::to_owned).collect();
            listed.reverse();
            prop_assert_eq!(&listed, &readable, "what {} lists", person);
            let (_, types) = self.ask("GET", "/_electric/entity-types", by, &Json::Null);
            let types =
                types.as_array().expect("a list").iter().map(|t| t["name"].as_str().expect("a name").to_owned());
            let types: Vec<String> = types.filter(|name| name != "principal").collect();
            let may = (0..KINDS.len()).filter(|kind| self.model.may_type(by, "spawn", *kind)).map(|kind| KINDS[kind]);
            prop_assert_eq!(types, may.collect::<Vec<_>>(), "the types that {} lists", person);
            if let Some(stream) = self.members.get(by).cloned() {
                prop_assert_eq!(self.membership(by, &stream), readable.into_iter().collect(), "members for {}", person);
            }
        }
        self.check_rows()
    }

    /// Those whom a membership stream leaves in.
    fn membership(&mut self, by: usize, stream: &str) -> BTreeSet<String> {
        let (_, events) = self.ask("GET", stream, by, &Json::Null);
        let mut members = BTreeSet::new();
        for event in events.as_array().expect("a list") {
            let url = event["key"].as_str().expect("a key").to_owned();
            match event["headers"]["operation"].as_str() {
                Some("delete") => assert!(members.remove(&url), "{url} leaves once"),
                Some("insert") => assert!(members.insert(url), "it comes once"),
                _ => {}
            }
        }
        members.into_iter().filter(|url| !url.starts_with("/principal/")).collect()
    }

    /// The rows that say where grants are in effect are those that the rules give, and no others.
    fn check_rows(&self) -> Result<(), TestCaseError> {
        let text = self.world.engine.sql().text(
            "SELECT json_group_array(json_array(x.grant, e.url)) FROM effective x JOIN entity e ON e.id = x.entity",
        );
        let rows: Vec<(i64, String)> = serde_json::from_str(&text).expect("JSON");
        let found: BTreeSet<(i64, String)> = rows.into_iter().collect();
        let mut want = BTreeSet::new();
        for grant in self.model.grants.iter().filter(|grant| self.model.lasts(grant)) {
            for (n, entity) in self.model.entities.iter().enumerate() {
                if n == grant.on || grant.given.descendants && self.model.is_below(n, grant.on) {
                    want.insert((grant.id, entity.url.clone()));
                }
            }
        }
        prop_assert_eq!(found, want);
        let grants = self.world.engine.sql().number("SELECT count(*) FROM entity_grant");
        let lasting = self.model.grants.iter().filter(|grant| self.model.lasts(grant)).count();
        prop_assert_eq!(usize::try_from(grants), Ok(lasting), "what has ended is swept");
        Ok(())
    }
}

#[test]
fn everybody_may_what_was_granted_and_nothing_else() {
    check(32, &prop::collection::vec(step(), 1..40), |steps| {
        let mut run = Run::new();
        for step in &steps {
            run.step(step)?;
        }
        run.check()
    });
}
