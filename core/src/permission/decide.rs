//! The decision itself, and its words.

use percent_encoding::utf8_percent_encode;

use crate::tenant::Principal;
use crate::tenant::principal::COMPONENT;
use crate::time::Time;

/// What may be done with an entity; with a type, only the last two of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// See it and its stream.
    Read,
    /// Send to it, tag it, register its wakes.
    Write,
    /// Kill it.
    Delete,
    /// Send it a signal.
    Signal,
    /// Copy it.
    Fork,
    /// Say what it is to be told, and when.
    Schedule,
    /// Make it the parent of another; make an entity of the type.
    Spawn,
    /// Say who may do what with it, and do all of that oneself.
    Manage,
}

impl Permission {
    /// Those of an entity.
    pub const ALL: [Self; 8] =
        [Self::Read, Self::Write, Self::Delete, Self::Signal, Self::Fork, Self::Schedule, Self::Spawn, Self::Manage];

    /// Its name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Delete => "delete",
            Self::Signal => "signal",
            Self::Fork => "fork",
            Self::Schedule => "schedule",
            Self::Spawn => "spawn",
            Self::Manage => "manage",
        }
    }

    /// Reads its name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|permission| permission.as_str() == name)
    }

    /// Whether a grant of this allows `asked`.
    #[must_use]
    pub fn allows(self, asked: Self) -> bool {
        self == asked || self == Self::Manage
    }
}

/// Whom a grant is for. What it names is kept as it was given, and compared byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The principal with this URL.
    Principal(String),
    /// Every principal of this kind.
    Kind(String),
}

impl Subject {
    /// What the wire calls the two kinds of subjects.
    pub const KINDS: [&str; 2] = ["principal", "principal_kind"];

    /// A subject as the wire and the store have it.
    #[must_use]
    pub fn parse(kind: &str, value: &str) -> Option<Self> {
        match kind {
            "principal" => Some(Self::Principal(value.to_owned())),
            "principal_kind" => Some(Self::Kind(value.to_owned())),
            _ => None,
        }
    }

    /// Which of the two kinds it is.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Principal(_) => Self::KINDS[0],
            Self::Kind(_) => Self::KINDS[1],
        }
    }

    /// Whom it names.
    #[must_use]
    pub fn value(&self) -> &str {
        match self {
            Self::Principal(value) | Self::Kind(value) => value,
        }
    }

    /// The URL of the principal, or what the URLs of all of its kind begin with.
    #[must_use]
    pub fn urls(&self) -> String {
        match self {
            Self::Principal(url) => url.clone(),
            Self::Kind(kind) => format!("/principal/{}", utf8_percent_encode(&format!("{kind}:"), COMPONENT)),
        }
    }

    /// Whether `by` is meant.
    #[must_use]
    pub fn means(&self, by: &Principal) -> bool {
        match self {
            Self::Principal(url) => *url == by.url(),
            Self::Kind(kind) => kind == by.kind(),
        }
    }
}

/// A grant as far as a decision needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// What it allows.
    pub permission: Permission,
    /// To whom.
    pub subject: Subject,
    /// Until when; for ever when `None`.
    pub expires_at: Option<Time>,
}

impl Held {
    /// Whether it still holds.
    #[must_use]
    pub fn holds(&self, now: Time) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }

    /// Whether it allows `by` to do what they ask.
    #[must_use]
    pub fn allows(&self, by: &Principal, asked: Permission, now: Time) -> bool {
        self.permission.allows(asked) && self.subject.means(by) && self.holds(now)
    }
}

/// What is known of what somebody wants to do something with.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The principal URL of who it belongs to. A type belongs to nobody.
    pub owner: Option<&'a str>,
    /// The grants that are in effect on it: its own, and those that reach it from its ancestors.
    pub grants: &'a [Held],
    /// When it is asked.
    pub now: Time,
}

/// Whether somebody may, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// A built-in system principal may do everything.
    System,
    /// It is theirs.
    Owner,
    /// A grant says so.
    Granted,
    /// Nothing says so.
    Denied,
}

impl Decision {
    /// Whether they may.
    #[must_use]
    pub fn allows(self) -> bool {
        self != Self::Denied
    }
}

/// Decides whether `by` may do something.
#[must_use]
pub fn decide(by: &Principal, asked: Permission, facts: &Facts<'_>) -> Decision {
    if by.is_system() {
        Decision::System
    } else if facts.owner.is_some_and(|owner| owner == by.url()) {
        Decision::Owner
    } else if facts.grants.iter().any(|grant| grant.allows(by, asked, facts.now)) {
        Decision::Granted
    } else {
        Decision::Denied
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const NOW: Time = Time::ZERO;

    fn held(permission: Permission, kind: &str, value: &str) -> Held {
        Held { permission, subject: Subject::parse(kind, value).expect("a subject"), expires_at: None }
    }

    fn decided(by: &str, asked: Permission, owner: Option<&str>, grants: &[Held]) -> Decision {
        let by = Principal::parse(by).expect("a principal");
        decide(&by, asked, &Facts { owner, grants, now: NOW })
    }

    #[test]
    fn owners_and_the_system_may_and_others_may_not() {
        let owner = Some("/principal/user%3Aalice");
        for (by, decision) in [
            ("user:alice", Decision::Owner),
            ("user:bob", Decision::Denied),
            ("user:Alice", Decision::Denied),
            ("agent:alice", Decision::Denied),
            ("system:dev-local", Decision::System),
            ("system:framework", Decision::System),
            ("system:auth-sync", Decision::System),
            ("system:other", Decision::Denied),
        ] {
            for asked in Permission::ALL {
                assert_eq!(decided(by, asked, owner, &[]), decision, "{by} {asked:?}");
                let nobodys = if decision == Decision::Owner { Decision::Denied } else { decision };
                assert_eq!(decided(by, asked, None, &[]), nobodys, "{by} {asked:?} of a type");
            }
        }
    }

    #[test]
    fn a_grant_allows_what_it_says_and_manage_allows_all() {
        for granted in Permission::ALL {
            let grants = [held(granted, "principal", "/principal/user%3Abob")];
            for asked in Permission::ALL {
                let may = granted == asked || granted == Permission::Manage;
                assert_eq!(decided("user:bob", asked, None, &grants).allows(), may, "{granted:?} for {asked:?}");
                assert_eq!(decided("user:eve", asked, None, &grants), Decision::Denied);
            }
        }
    }

    #[test]
    fn a_subject_is_meant_to_the_byte() {
        let bob = "/principal/user%3Abob";
        for (kind, value, by, may) in [
            ("principal", bob, "user:bob", true),
            ("principal", "user:bob", "user:bob", false),
            ("principal", "/principal/user:bob", "user:bob", false),
            ("principal", "user", "user:bob", false),
            ("principal_kind", "user", "user:bob", true),
            ("principal_kind", "user", "agent:bob", false),
            ("principal_kind", "User", "user:bob", false),
            ("principal_kind", bob, "user:bob", false),
            ("principal_kind", "system", "system:other", true),
        ] {
            let grants = [held(Permission::Read, kind, value)];
            assert_eq!(decided(by, Permission::Read, None, &grants).allows(), may, "{kind} {value} for {by}");
        }
    }

    #[test]
    fn a_grant_ends_at_its_moment() {
        let bob = Principal::parse("user:bob").expect("a principal");
        let grants =
            [Held { expires_at: Some(Time::from_millis(10)), ..held(Permission::Read, "principal_kind", "user") }];
        for (now, decision) in [(9, Decision::Granted), (10, Decision::Denied), (11, Decision::Denied)] {
            let facts = Facts { owner: None, grants: &grants, now: Time::from_millis(now) };
            assert_eq!(decide(&bob, Permission::Read, &facts), decision, "at {now}");
        }
    }
}
