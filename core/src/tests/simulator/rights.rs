//! Grants: who runs the cluster lets people see and do things, for good or for a while, with an entity or with all that is
//! below it. Where each grant is in effect, and what each may, is what follows from all that was granted.

use serde_json::{Value as Json, json};

use super::super::world::Got;
use super::cluster::{Cluster, text};
use super::host::Op;
use super::members;
use super::people::{refuses, some};
use super::tables;
use crate::{Span, Time};

/// A grant on an entity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Grant {
    on: usize,
    permission: &'static str,
    /// To whom: a principal's URL, or a kind.
    subject: &'static str,
    descendants: bool,
    copies: bool,
    until: Option<Time>,
}

/// Those who try what they may.
const PEOPLE: [(&str, &str); 3] =
    [("user:a", "/principal/user%3Aa"), ("user:b", "/principal/user%3Ab"), ("agent:c", "/principal/agent%3Ac")];
const SUBJECTS: [&str; 4] = ["/principal/user%3Aa", "/principal/user%3Ab", "user", "agent"];
const PERMISSIONS: [&str; 7] = ["read", "read", "read", "write", "signal", "manage", "fork"];

/// Something is granted, by those who may or by those who may not.
pub(super) fn grants(c: &mut Cluster) -> Option<Op> {
    let on = some(c)?;
    let by = someone(c);
    let lasts = c.dice.percent(40).then(|| Span::millis(c.dice.between(0, 120_000)));
    let grant = Grant {
        on,
        permission: c.dice.pick(&PERMISSIONS)?,
        subject: c.dice.pick(&SUBJECTS)?,
        descendants: c.dice.percent(50),
        copies: c.dice.percent(25),
        until: lasts.map(|span| c.world.now + span),
    };
    let kind = if grant.subject.starts_with('/') { "principal" } else { "principal_kind" };
    let mut body = json!({
        "subject_kind": kind, "subject_value": grant.subject, "permission": grant.permission,
        "propagation": if grant.descendants { "descendants" } else { "self" }, "copy_to_children": grant.copies,
    });
    if let Some(until) = grant.until {
        body["expires_at"] = until.iso().into();
    }
    let path = format!("/_electric/entities{}/grants", c.entities[on].url);
    let headers = header(by);
    let what = format!("{} grants on {}: {body}", name(by), c.entities[on].url);
    Some(Op::ask(what, ("POST", &path), &headers, &body, move |c, got| {
        if !c.may(by, "manage", on) {
            return refused(c, got);
        }
        assert_eq!(got.status, 201, "{}", got.body);
        c.heard.insert("granted".to_owned());
        c.grants.push(grant);
    }))
}

/// A grant is taken away: one that is there, or was.
pub(super) fn revokes(c: &mut Cluster) -> Option<Op> {
    let (at, by) = (c.dice.below(c.grants.len()), someone(c));
    let grant = c.grants.get(at)?.clone();
    let url = c.entities[grant.on].url.clone();
    let end = grant.until.map_or("IS NULL".to_owned(), |until| format!("= {}", until.as_millis()));
    let sql = format!(
        "SELECT COALESCE(max(g.id), 0) FROM entity_grant g JOIN entity e ON e.id = g.entity WHERE e.url = '{url}' AND g.permission = '{}'
         AND g.subject = '{}' AND g.descendants = {} AND g.copies = {} AND g.expires_at {end} AND g.ended = 0",
        grant.permission, grant.subject, i64::from(grant.descendants), i64::from(grant.copies)
    );
    let id = c.world.engine.sql().number(&sql);
    let path = format!("/_electric/entities{url}/grants/{id}");
    let what = format!("{} revokes {grant:?} on {url}", name(by));
    Some(Op::ask(what, ("DELETE", &path), &header(by), &Json::Null, move |c, got| {
        if !c.may(by, "manage", grant.on) {
            return refused(c, got);
        }
        if grant.until.is_some_and(|until| until <= c.world.now) || !c.grants.contains(&grant) {
            // Its time was over, and it may have been swept.
            assert!(got.status == 204 || got.status == 404 || got.status == 400, "{}", got.body);
        } else if got.status == 404 {
            // It was revoked a moment before, and another like it was not.
            return;
        } else {
            assert_eq!(got.status, 204, "{}", got.body);
            c.heard.insert("revoked".to_owned());
        }
        if let Some(at) = c.grants.iter().position(|known| *known == grant) {
            c.grants.remove(at);
        }
    }))
}

/// Somebody who may or may not looks at an entity, or at what it says.
pub(super) fn looks(c: &mut Cluster) -> Option<Op> {
    let (entity, by) = (some(c)?, c.dice.pick(&[0, 1, 2])?);
    let url = &c.entities[entity].url;
    let path = if c.dice.percent(50) { format!("/_electric/entities{url}") } else { format!("{url}/main") };
    let what = format!("{} looks at {path}", name(Some(by)));
    Some(Op::ask(what, ("GET", &path), &header(Some(by)), &Json::Null, move |c, got| {
        if c.may(Some(by), "read", entity) {
            assert_eq!(got.status, 200, "{}", got.body);
            c.heard.insert("somebody may look".to_owned());
        } else {
            refused(c, got);
        }
    }))
}

/// Somebody who may or may not sends a message.
pub(super) fn sends(c: &mut Cluster) -> Option<Op> {
    let (entity, by, number) = (some(c)?, c.dice.pick(&[0, 1, 2])?, c.number());
    let url = &c.entities[entity].url;
    let (what, path) =
        (format!("{} sends {number} to {url}", name(Some(by))), format!("/_electric/entities{url}/send"));
    Some(Op::ask(what, ("POST", &path), &header(Some(by)), &json!({ "payload": number }), move |c, got| {
        if !c.may(Some(by), "write", entity) {
            return refused(c, got);
        }
        if !refuses(c, entity, got) {
            assert_eq!(got.status, 200, "{}", got.body);
            members::acts(c, PEOPLE[by].1);
            c.arrive(entity, number, false);
            c.heard.insert("somebody may write".to_owned());
        }
    }))
}

/// An entity was spawned: it has copies of those of its parent's grants that say so.
pub(super) fn inherit(c: &mut Cluster, entity: usize) {
    let (Some(parent), now) = (c.entities[entity].parent, c.world.now) else { return };
    let copied = |grant: &&Grant| grant.on == parent && grant.copies && lasts(grant, now);
    let copies: Vec<Grant> =
        c.grants.iter().filter(copied).map(|g| Grant { on: entity, descendants: false, ..g.clone() }).collect();
    c.grants.extend(copies);
}

fn refused(c: &mut Cluster, got: &Got) {
    assert_eq!((got.status, got.code()), (401, "UNAUTHORIZED".to_owned()), "{}", got.body);
    c.heard.insert("somebody may not".to_owned());
}

/// Somebody, or who runs the cluster.
fn someone(c: &mut Cluster) -> Option<usize> {
    if c.dice.percent(75) { None } else { c.dice.pick(&[0, 1, 2]) }
}

/// How somebody is called.
pub(super) fn name(by: Option<usize>) -> &'static str {
    by.map_or("system:dev-local", |by| PEOPLE[by].0)
}

/// The entity of somebody.
pub(super) fn url(by: usize) -> &'static str {
    PEOPLE[by].1
}

pub(super) fn header(by: Option<usize>) -> [(&'static str, &'static str); 1] {
    [("electric-principal", name(by))]
}

fn lasts(grant: &Grant, now: Time) -> bool {
    grant.until.is_none_or(|until| now < until)
}

impl Grant {
    /// Whether it is meant for somebody.
    fn means(&self, by: usize) -> bool {
        let (key, url) = PEOPLE[by];
        self.subject == url || key.split_once(':').is_some_and(|(kind, _)| self.subject == kind)
    }

    fn reaches(&self, c: &Cluster, entity: usize) -> bool {
        self.on == entity || self.descendants && c.is_below(entity, self.on)
    }
}

impl Cluster {
    /// What the rules say of all that was granted.
    pub(super) fn may(&self, by: Option<usize>, asked: &str, entity: usize) -> bool {
        let Some(by) = by else { return true };
        let allows = |g: &&Grant| g.permission == asked || g.permission == "manage";
        self.grants.iter().filter(allows).any(|g| g.means(by) && lasts(g, self.world.now) && g.reaches(self, entity))
    }

    fn is_below(&self, entity: usize, above: usize) -> bool {
        let mut up = self.entities[entity].parent;
        while up.is_some_and(|at| at != above) {
            up = up.and_then(|at| self.entities[at].parent);
        }
        up.is_some()
    }

    /// Whether some grant is still on its way.
    pub(super) fn spreads(&self) -> bool {
        self.world.engine.sql().number("SELECT count(*) FROM entity_grant WHERE at IS NOT NULL OR ended = 1") > 0
    }
}

/// Where grants are in effect is what the rules say, computed from nothing.
pub(super) fn check(c: &mut Cluster) {
    let now = c.world.now;
    c.grants.retain(|grant| lasts(grant, now));
    let mut want: Vec<(String, String, &str, &str, bool, bool, i64)> = Vec::new();
    for grant in &c.grants {
        for (n, entity) in c.entities.iter().enumerate().filter(|(n, _)| grant.reaches(c, *n)) {
            let end = grant.until.map_or(0, Time::as_millis);
            let (on, at) = (c.entities[grant.on].url.clone(), entity.url.clone());
            assert!(n < c.entities.len());
            want.push((on, at, grant.permission, grant.subject, grant.descendants, grant.copies, end));
        }
    }
    let sql = format!("{EFFECTIVE} AND COALESCE(g.expires_at, 1e18) > {}", now.as_millis());
    let found: Json = serde_json::from_str(&c.world.engine.sql().text(&sql)).expect("JSON");
    let mut found: Vec<String> = found.as_array().expect("a list").iter().map(Json::to_string).collect();
    let row = |(on, at, permission, subject, descendants, copies, end)| {
        json!([on, at, permission, subject, i64::from(descendants), i64::from(copies), end]).to_string()
    };
    let mut want: Vec<String> = want.into_iter().map(row).collect();
    found.sort();
    want.sort();
    assert_eq!(found, want, "where grants are in effect");
}

/// What each sees is what they may read.
pub(super) fn check_seen(c: &mut Cluster) {
    for (by, (principal, ..)) in PEOPLE.iter().enumerate() {
        let may = |e: &usize| c.may(Some(by), "read", *e);
        let mut want: Vec<String> = (0..c.entities.len()).filter(may).map(|e| c.entities[e].url.clone()).collect();
        let listed = c.world.ask("GET", "/_electric/entities", &header(Some(by)), &Json::Null).json();
        let listed = listed.as_array().expect("a list").iter().map(|e| text(&e["url"]));
        let mut listed: Vec<String> = listed.filter(|url| !url.starts_with("/principal/")).collect();
        let mut seen = tables::seen(c, principal);
        want.sort();
        listed.sort();
        seen.sort();
        assert_eq!(listed, want, "what {principal} lists");
        assert_eq!(seen, want, "what {principal} sees");
    }
}

/// Everything that was due has run: what has ended is gone.
pub(super) fn check_ends(c: &Cluster) {
    assert!(!are_late(c), "a grant that is over is kept");
}

/// Whether a grant is over that is still there, since the host is late.
pub(super) fn are_late(c: &Cluster) -> bool {
    let late = format!("SELECT count(*) FROM entity_grant WHERE expires_at <= {}", c.world.now.as_millis());
    c.world.engine.sql().number(&late) > 0
}

const EFFECTIVE: &str = "
    SELECT json_group_array(json_array(o.url, e.url, g.permission, g.subject, g.descendants, g.copies, COALESCE(g.expires_at, 0)))
    FROM effective x JOIN entity_grant g ON g.id = x.grant JOIN entity o ON o.id = g.entity JOIN entity e ON e.id = x.entity
    WHERE g.ended = 0";
