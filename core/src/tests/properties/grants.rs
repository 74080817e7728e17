//! Grants against a model that is written from the rules alone: whatever random principals do, what each may see and do
//! is what the rules say of everything that was granted, computed from nothing.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use serde_json::{Value as Json, json};

use super::check;
use super::grants_model::{Entity, Given, Grant, KINDS, Model, PEOPLE, PERMISSIONS, SUBJECTS, SYSTEM, Step, step};
use crate::tenant::Principal;
use crate::tests::world::World;
use crate::{Config, Span};

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
            Step::HandOver { by, entity, to } => self.hand_over(*by, *entity, *to),
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
        let ended = parent.is_some_and(|parent| !model.entities[parent].alive);
        let done = if ended { 409 } else { 201 };
        if !self.judge(status, done, may, &format!("spawn {url} by {}: {answer}", PEOPLE[by]))? || ended {
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
        } else if self.is_taken(&grant, on, status, &what)? {
            self.model.grants.remove(n);
        }
        Ok(())
    }

    /// Whether a grant was taken away by the address of something: its own, or it is not there. One that has ended may have
    /// been taken away already.
    fn is_taken(&self, grant: &Grant, on: usize, status: u16, what: &str) -> Result<bool, TestCaseError> {
        if grant.on != on {
            prop_assert_eq!(status, 404, "{}", what);
            return Ok(false);
        }
        prop_assert!(status == 204 || status == 404 && !self.model.lasts(grant), "{}: {}", what, status);
        Ok(true)
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
        let what = format!("{path} by {}: {answer}", PEOPLE[by]);
        if !self.model.may_type(by, "manage", on) {
            prop_assert_eq!(status, 401, "{}", what);
        } else if self.is_taken(&grant, on, status, &what)? {
            self.model.types.remove(n);
        }
        Ok(())
    }

    fn hand_over(&mut self, by: usize, entity: usize, to: usize) -> Result<(), TestCaseError> {
        let Some(n) = self.entity(entity) else { return Ok(()) };
        let path = format!("/_reveille/entities{}/owner", self.model.entities[n].url);
        let (status, answer) = self.ask("POST", &path, by, &json!({ "principal": PEOPLE[to] }));
        prop_assert_eq!(status, if by == SYSTEM { 200 } else { 403 }, "{} by {}: {}", path, PEOPLE[by], answer);
        if by == SYSTEM {
            prop_assert_eq!(&answer["created_by"], &json!(Principal::parse(PEOPLE[to]).expect("a principal").url()));
            self.model.entities[n].owner = to;
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
