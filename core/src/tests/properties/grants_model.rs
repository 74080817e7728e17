//! What random principals do with grants, and the rules of who may do what, by themselves: nothing here asks the engine.

use proptest::prelude::*;

use crate::tenant::Principal;

#[derive(Clone, Debug)]
pub(super) enum Step {
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
    /// Somebody hands an entity over.
    HandOver {
        by: usize,
        entity: usize,
        to: usize,
    },
    Pass(i64),
    /// Time passes, and no timer runs.
    Skip(i64),
    Restart,
}

#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) permission: usize,
    pub(super) subject: usize,
    pub(super) descendants: bool,
    pub(super) copies: bool,
    /// Milliseconds from now.
    pub(super) lasts: Option<i64>,
}

pub(super) const PEOPLE: [&str; 5] = ["user:a", "user:b", "agent:a", "agent:c", "system:dev-local"];
pub(super) const SYSTEM: usize = 4;
pub(super) const KINDS: [&str; 2] = ["t0", "t1"];
/// Those that the steps try; the others are granted like them.
pub(super) const PERMISSIONS: [&str; 5] = ["read", "write", "spawn", "delete", "manage"];
/// Four principals, two kinds.
pub(super) const SUBJECTS: [(&str, &str); 6] = [
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

pub(super) fn step() -> impl Strategy<Value = Step> {
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
        1 => (who(), 0..12_usize, 0..PEOPLE.len()).prop_map(|(by, entity, to)| Step::HandOver { by, entity, to }),
        2 => (0..30_i64).prop_map(Step::Pass),
        1 => (0..30_i64).prop_map(Step::Skip),
        1 => Just(Step::Restart),
    ]
}

#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub(super) id: i64,
    /// The entity, or the type.
    pub(super) on: usize,
    pub(super) given: Given,
    pub(super) until: Option<i64>,
}

pub(super) struct Entity {
    pub(super) url: String,
    pub(super) owner: usize,
    pub(super) parent: Option<usize>,
    pub(super) alive: bool,
}

#[derive(Default)]
pub(super) struct Model {
    pub(super) now: i64,
    pub(super) entities: Vec<Entity>,
    pub(super) grants: Vec<Grant>,
    pub(super) types: Vec<Grant>,
}

impl Model {
    pub(super) fn holds(&self, grant: &Grant, by: usize, asked: &str) -> bool {
        let subject = SUBJECTS[grant.given.subject];
        let (kind, _) = PEOPLE[by].split_once(':').expect("a key");
        let url = Principal::parse(PEOPLE[by]).expect("a principal").url();
        let meant = if subject.0 == "principal" { subject.1 == url } else { subject.1 == kind };
        let permission = PERMISSIONS[grant.given.permission];
        meant && (permission == asked || permission == "manage") && self.lasts(grant)
    }

    pub(super) fn lasts(&self, grant: &Grant) -> bool {
        grant.until.is_none_or(|until| self.now < until)
    }

    pub(super) fn may(&self, by: usize, asked: &str, entity: usize) -> bool {
        let covers = |grant: &Grant| grant.on == entity || grant.given.descendants && self.is_below(entity, grant.on);
        by == SYSTEM
            || self.entities[entity].owner == by
            || self.grants.iter().any(|grant| covers(grant) && self.holds(grant, by, asked))
    }

    pub(super) fn may_type(&self, by: usize, asked: &str, kind: usize) -> bool {
        by == SYSTEM || self.types.iter().any(|grant| grant.on == kind && self.holds(grant, by, asked))
    }

    pub(super) fn is_below(&self, entity: usize, above: usize) -> bool {
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
