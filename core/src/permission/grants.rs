//! Grants as they are asked for and as they are shown (control plane, section 5.6).

use serde::Serialize;
use serde_json::Value as Json;

use super::{Held, Permission, Subject};
use crate::entity::validate;
use crate::http::{Body, Refusal, failure};
use crate::limits::SUBJECT;
use crate::store::{EntityGrant, TypeGrant};
use crate::time::Time;

failure! {
    /// The moment at which a grant is to end is none.
    BadEnd => BAD_REQUEST "INVALID_REQUEST", "Invalid expires_at timestamp"
}

failure! {
    /// What stands for a grant in the path is none.
    BadGrantId => BAD_REQUEST "INVALID_REQUEST", "Invalid grant id"
}

failure! {
    /// There is no such grant here.
    GrantNotFound => NOT_FOUND "NOT_FOUND", "Grant not found"
}

failure! {
    /// There are as many as there may be.
    TooManyGrants { what: String } => CONFLICT "LIMIT_EXCEEDED", "{what} already has the most grants that it may"
}

/// A grant that somebody asks for, in a form that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    permission: Permission,
    subject: Subject,
    pub(crate) descendants: bool,
    pub(crate) copies: bool,
    expires_at: Option<String>,
}

impl Asked {
    /// The grants in a member of a body. Complaints go to the body.
    pub(crate) fn all(body: &Body<'_>, name: &str, form: &str) -> Vec<Self> {
        let Some(raw) = body.raw(name) else { return Vec::new() };
        for (path, message) in validate::form(form, raw) {
            body.complain(format!("/{name}{path}"), message);
        }
        let all = body.json(name).unwrap_or_default();
        all.as_array().into_iter().flatten().filter_map(Self::of).collect()
    }

    /// The grant that a body is. Complaints go to the body; without any, it is there.
    pub(super) fn one(body: &Body<'_>, permissions: &[&str], more: &[&str]) -> Option<Self> {
        let members = ["subject_kind", "subject_value", "permission", "expires_at"];
        body.closed(&[&members[..], more].concat());
        for name in &members[..3] {
            body.require(name);
        }
        let kind = body.choice("subject_kind", &Subject::KINDS);
        let value = body.text("subject_value");
        if value.as_ref().is_some_and(|value| value.len() > SUBJECT) {
            body.complain("/subject_value".to_owned(), format!("must NOT have more than {SUBJECT} characters"));
        }
        let permission = body.choice("permission", permissions);
        let expires_at = body.text("expires_at");
        let known = |name: &str| more.contains(&name);
        let descendants = known("propagation").then(|| body.choice("propagation", &PROPAGATION)).flatten();
        let copies = known("copy_to_children").then(|| body.flag("copy_to_children")).flatten();
        Some(Self {
            permission: Permission::parse(&permission?)?,
            subject: Subject::parse(&kind?, &value?)?,
            descendants: descendants.as_deref() == Some(PROPAGATION[1]),
            copies: copies == Some(true),
            expires_at,
        })
    }

    fn of(json: &Json) -> Option<Self> {
        let text = |name: &str| json[name].as_str();
        Some(Self {
            permission: Permission::parse(text("permission")?)?,
            subject: Subject::parse(text("subject_kind")?, text("subject_value")?)?,
            descendants: text("propagation") == Some(PROPAGATION[1]),
            copies: json["copy_to_children"] == true,
            expires_at: text("expires_at").map(str::to_owned),
        })
    }

    /// What it would allow, to whom and until when.
    pub(super) fn held(&self) -> Result<Held, BadEnd> {
        let end = |text: &String| Time::parse_iso(text).ok_or(BadEnd);
        let expires_at = self.expires_at.as_ref().map(end).transpose()?;
        Ok(Held { permission: self.permission, subject: self.subject.clone(), expires_at })
    }

    /// Whether it gives away more than a spawner may of what is another's: everything, to many, or further on.
    pub(crate) fn is_broad(&self) -> bool {
        let many = matches!(self.subject, Subject::Kind(_));
        self.permission == Permission::Manage || many || self.descendants || self.copies
    }
}

/// The grant that a path names: its leading digits.
pub(super) fn id_of(text: &str) -> Result<i64, Refusal> {
    let text = text.trim_start();
    let digits = text.strip_prefix('+').unwrap_or(text);
    let end = digits.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(digits.len());
    // One that is too long is a number, and no grant's.
    let id = if end > 15 { Some(i64::MAX >> 11) } else { digits[..end].parse::<i64>().ok() };
    id.filter(|id| *id > 0).ok_or_else(|| BadGrantId.into())
}

/// A grant as the wire shows it.
#[derive(Serialize)]
pub(super) struct View<'a> {
    id: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    entity_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entity_type: Option<&'a str>,
    permission: &'static str,
    subject_kind: &'static str,
    subject_value: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    propagation: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    copy_to_children: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_by: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    created_at: String,
    updated_at: String,
}

impl<'a> View<'a> {
    pub(super) fn of_entity(url: &'a str, grant: &'a EntityGrant) -> Self {
        Self {
            entity_url: Some(url),
            propagation: Some(PROPAGATION[usize::from(grant.descendants)]),
            copy_to_children: Some(grant.copies),
            ..Self::of(grant.id, &grant.held, grant.created_by.as_deref(), grant.created_at)
        }
    }

    pub(super) fn of_type(grant: &'a TypeGrant) -> Self {
        let view = Self::of(grant.id, &grant.held, grant.created_by.as_deref(), grant.created_at);
        Self { entity_type: Some(&grant.kind), ..view }
    }

    fn of(id: i64, held: &'a Held, created_by: Option<&'a str>, created_at: Time) -> Self {
        Self {
            id,
            entity_url: None,
            entity_type: None,
            permission: held.permission.as_str(),
            subject_kind: held.subject.kind(),
            subject_value: held.subject.value(),
            propagation: None,
            copy_to_children: None,
            created_by,
            expires_at: held.expires_at.map(Time::iso),
            created_at: created_at.iso(),
            updated_at: created_at.iso(),
        }
    }
}

/// How far a grant reaches, as the wire names it.
pub(super) const PROPAGATION: [&str; 2] = ["self", "descendants"];

/// The form of the grants in a spawn.
pub(crate) const ENTITY_FORM: &str = r#"{"type":"array","items":{"type":"object","required":["subject_kind","subject_value","permission"],
    "additionalProperties":false,"properties":{
        "subject_kind":{"anyOf":[{"const":"principal"},{"const":"principal_kind"}]},
        "subject_value":{"type":"string","maxLength":1024},
        "permission":{"anyOf":[{"const":"read"},{"const":"write"},{"const":"delete"},{"const":"signal"},{"const":"fork"},
            {"const":"schedule"},{"const":"spawn"},{"const":"manage"}]},
        "propagation":{"anyOf":[{"const":"self"},{"const":"descendants"}]},
        "copy_to_children":{"type":"boolean"},"expires_at":{"type":"string"}}}}"#;

/// The form of the grants in the registration of a type.
pub(crate) const TYPE_FORM: &str = r#"{"type":"array","items":{"type":"object","required":["subject_kind","subject_value","permission"],
    "additionalProperties":false,"properties":{
        "subject_kind":{"anyOf":[{"const":"principal"},{"const":"principal_kind"}]},
        "subject_value":{"type":"string","maxLength":1024},
        "permission":{"anyOf":[{"const":"spawn"},{"const":"manage"}]},"expires_at":{"type":"string"}}}}"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_grant_is_named_by_its_leading_digits() {
        for (text, id) in [("12", Some(12)), ("12abc", Some(12)), ("+7", Some(7)), ("%20", None), ("0", None)] {
            assert_eq!(id_of(text).ok(), id, "{text}");
        }
        for none in ["", "x1", "-3", "+", "+-1"] {
            assert!(id_of(none).is_err(), "{none}");
        }
        assert!(id_of("99999999999999999999999").is_ok());
    }

    #[test]
    fn what_goes_further_is_broad() {
        for (grant, broad) in [
            (r#"{"permission":"write"}"#, false),
            (r#"{"permission":"write","propagation":"self","copy_to_children":false}"#, false),
            (r#"{"permission":"manage"}"#, true),
            (r#"{"permission":"read","propagation":"descendants"}"#, true),
            (r#"{"permission":"read","copy_to_children":true}"#, true),
            (r#"{"permission":"read","subject_kind":"principal_kind"}"#, true),
        ] {
            let mut json: Json = serde_json::from_str(grant).expect("JSON");
            if json.get("subject_kind").is_none() {
                json["subject_kind"] = "principal".into();
            }
            json["subject_value"] = "user".into();
            assert_eq!(Asked::of(&json).expect("a grant").is_broad(), broad, "{grant}");
        }
    }
}
