//! JSON bodies, parsed at the door: members read by name, every complaint gathered, numbers left as they were sent.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};

use super::{Refusal, Request};
use crate::limits::{BODY_DEPTH, COMPLAINTS};
use crate::stream::json::parse;
use crate::stream::{depth, members, members_of, string};

/// A JSON object from a request.
pub(crate) struct Body<'a> {
    members: Vec<(Cow<'a, str>, &'a RawValue)>,
    complaints: RefCell<Vec<(String, String)>>,
}

impl<'a> Body<'a> {
    /// Reads the body of a request: blank is `{}`, anything but an object is refused (control plane, section 1.5).
    pub(crate) fn of(request: &'a Request) -> Result<Self, Refusal> {
        let text = std::str::from_utf8(&request.body).map_err(|_| invalid())?;
        let text = if text.trim().is_empty() { "{}" } else { text };
        if depth(text) > BODY_DEPTH {
            return Err(Refusal::new(
                StatusCode::BAD_REQUEST,
                "INVALID_REQUEST",
                format!("the JSON body nests deeper than {BODY_DEPTH}"),
            ));
        }
        let value: &RawValue = serde_json::from_str(text).map_err(|_| invalid())?;
        if !value.get().starts_with('{') {
            return Err(mismatch(vec![("/".to_owned(), "must be object".to_owned())]));
        }
        let members = members_of(value.get()).ok_or_else(invalid)?;
        Ok(Self { members, complaints: RefCell::default() })
    }

    /// A member's JSON text; the last wins when it is repeated.
    pub(crate) fn raw(&self, name: &str) -> Option<&'a RawValue> {
        self.members.iter().rfind(|(n, _)| n == name).map(|(_, v)| *v)
    }

    /// A member as a JSON value.
    pub(crate) fn json(&self, name: &str) -> Option<Json> {
        self.raw(name).and_then(|raw| self.value(name, raw))
    }

    /// JSON text in the member `name` as a value. A number that is out of range is no value.
    pub(crate) fn value(&self, name: &str, raw: &RawValue) -> Option<Json> {
        let value = parse(raw.get()).ok();
        if value.is_none() {
            self.complain(format!("/{name}"), "must have no number that is out of range");
        }
        value
    }

    /// A string member.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let raw = self.raw(name)?;
        let text = string(raw);
        if text.is_none() {
            self.complain(format!("/{name}"), "must be string");
        }
        text.map(Cow::into_owned)
    }

    /// A string member that must be there.
    pub(crate) fn required_text(&self, name: &str) -> String {
        self.require(name);
        self.text(name).unwrap_or_default()
    }

    /// A string member that is one of a few.
    pub(crate) fn choice(&self, name: &str, of: &[&str]) -> Option<String> {
        let text = self.text(name)?;
        if !of.contains(&text.as_str()) {
            for _ in of {
                self.complain(format!("/{name}"), "must be equal to constant");
            }
            self.complain(format!("/{name}"), "must match a schema in anyOf");
        }
        Some(text)
    }

    /// A number member, fraction and all.
    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        let number = self.raw(name)?.get().parse::<f64>().ok().filter(|n| n.is_finite());
        if number.is_none() {
            self.complain(format!("/{name}"), "must be number");
        }
        number
    }

    /// A whole number of milliseconds, rounded up; negative is zero.
    pub(crate) fn millis(&self, name: &str) -> Option<i64> {
        #[allow(clippy::cast_possible_truncation, reason = "saturating is what an absurd delay deserves")]
        self.number(name).map(|n| n.ceil().max(0.0) as i64)
    }

    /// A boolean member.
    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        match self.raw(name)?.get() {
            "true" => Some(true),
            "false" => Some(false),
            _ => {
                self.complain(format!("/{name}"), "must be boolean");
                None
            }
        }
    }

    /// An object member, as JSON text.
    pub(crate) fn object(&self, name: &str) -> Option<&'a RawValue> {
        let raw = self.raw(name)?;
        if !raw.get().starts_with('{') {
            self.complain(format!("/{name}"), "must be object");
            return None;
        }
        Some(raw)
    }

    /// An object member whose values are strings, in order.
    pub(crate) fn strings(&self, name: &str) -> Option<Vec<(String, String)>> {
        let raw = self.object(name)?;
        let mut all: Vec<(String, String)> = Vec::new();
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        for (key, value) in members(raw.get()) {
            match (string(value), places.get(&*key)) {
                (Some(text), Some(place)) => all[*place].1 = text.into_owned(),
                (Some(text), None) => {
                    places.insert(key.clone().into_owned(), all.len());
                    all.push((key.into_owned(), text.into_owned()));
                }
                (None, _) => self.complain(format!("/{name}/{}", escape(&key)), "must be string"),
            }
        }
        Some(all)
    }

    /// Complains about a member.
    pub(crate) fn complain(&self, path: String, message: impl Into<String>) {
        self.complaints.borrow_mut().push((path, message.into()));
    }

    /// Complains when a member is absent.
    pub(crate) fn require(&self, name: &str) {
        if self.raw(name).is_none() {
            self.complain("/".to_owned(), format!("must have required property '{name}'"));
        }
    }

    /// Complains about members that a closed object does not have.
    pub(crate) fn closed(&self, known: &[&str]) {
        for (name, _) in &self.members {
            if !known.contains(&&**name) {
                self.complain("/".to_owned(), "must NOT have additional properties");
            }
        }
    }

    /// Refuses the request when anything was wrong with it.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        let complaints = self.complaints.take();
        if complaints.is_empty() { Ok(()) } else { Err(mismatch(complaints)) }
    }
}

fn invalid() -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "INVALID_REQUEST", "Invalid JSON body")
}

fn mismatch(complaints: Vec<(String, String)>) -> Refusal {
    let mut refusal =
        Refusal::new(StatusCode::BAD_REQUEST, "INVALID_REQUEST", "Request body does not match API schema");
    refusal.details = Some(details(&complaints));
    refusal
}

/// Complaints as the wire has them, as many as an answer holds. The path of the whole is `/`.
pub(crate) fn details(complaints: &[(String, String)]) -> Json {
    let detail = |(path, message): &(String, String)| json!({ "path": if path.is_empty() { "/" } else { path }, "message": message });
    complaints.iter().take(COMPLAINTS).map(detail).collect()
}

/// A member's name as it stands in a JSON pointer.
pub(crate) fn escape(name: &str) -> Cow<'_, str> {
    if name.contains(['~', '/']) { name.replace('~', "~0").replace('/', "~1").into() } else { name.into() }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method};

    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn request(body: &str) -> Request {
        Request {
            method: Method::POST,
            path: "/".into(),
            query: String::new(),
            headers: HeaderMap::new(),
            body: body.into(),
            by: None,
            origin: None,
        }
    }

    #[test]
    fn complaints_are_gathered_and_named() {
        let request = request(r#"{"label":7,"tags":{"a/b~c":1},"on":"x","extra":null}"#);
        let body = Body::of(&request).expect("an object");
        body.required_text("id");
        body.text("label");
        body.strings("tags");
        body.flag("on");
        body.closed(&["id", "label", "tags", "on"]);
        let refusal = body.check().expect_err("refused");
        let details = refusal.details.expect("details").to_string();
        for want in [
            "must have required property 'id'",
            "/label",
            "/tags/a~1b~0c",
            "must be boolean",
            "must NOT have additional properties",
        ] {
            assert!(details.contains(want), "{want} in {details}");
        }
    }

    #[test]
    fn what_is_not_an_object_is_refused() {
        for body in ["null", "[]", "\"x\"", "7"] {
            let refusal = Body::of(&request(body)).err().expect("refused");
            assert!(refusal.details.expect("details").to_string().contains("must be object"), "{body}");
        }
        assert_eq!(Body::of(&request("{")).err().expect("refused").message, "Invalid JSON body");
        assert!(Body::of(&request("  ")).is_ok());
    }
}
