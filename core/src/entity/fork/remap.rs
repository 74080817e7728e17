//! What a row says of an entity, a shared state or an attachment, said of its copy. Functions of values.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::value::RawValue;
use serde_json::{Value as Json, json};

use crate::stream::{members, shared_state, string};

/// What the copies are called.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    urls: BTreeMap<String, String>,
    states: BTreeMap<String, String>,
    /// Those whose history a copied entity has from before it was a fork itself, each with that entity.
    before: BTreeSet<(String, String)>,
    /// Whatever a text may be that names one of them, and what it is for the copy.
    texts: BTreeMap<String, String>,
}

impl Names {
    /// The copy of an entity has this URL.
    pub(super) fn add_url(&mut self, old: &str, new: String) {
        self.texts.insert(old.to_owned(), new.clone());
        self.texts.insert(format!("{old}/main"), format!("{new}/main"));
        self.urls.insert(old.to_owned(), new);
    }

    /// An entity has its history from another, which its rows of that time name.
    pub(super) fn add_before(&mut self, entity: &str, before: &str) {
        self.before.insert((before.to_owned(), entity.to_owned()));
    }

    /// The copy of a shared state has this id.
    pub(super) fn add_state(&mut self, old: &str, new: String) {
        self.texts.insert(old.to_owned(), new.clone());
        self.texts.insert(shared_state::path(old), shared_state::path(&new));
        self.states.insert(old.to_owned(), new);
    }

    /// The URL of an entity's copy.
    pub(super) fn url(&self, old: &str) -> Option<&String> {
        self.urls.get(old)
    }

    /// The shared states that are copied, each with the id of its copy.
    pub(super) fn states(&self) -> &BTreeMap<String, String> {
        &self.states
    }

    /// A text that names one of them, as it is for the copy.
    pub(super) fn text(&self, text: &str) -> Option<&String> {
        self.texts.get(text)
    }

    /// A JSON text with all such strings in it replaced; everything else stays as it was sent. `None` when nothing changes.
    pub(super) fn json(&self, json: &RawValue) -> Option<String> {
        let text = json.get();
        if let Some(old) = string(json) {
            return self.text(&old).map(|new| json!(new).to_string());
        }
        let parts: Vec<&RawValue> = match text.as_bytes().first() {
            Some(b'{') => members(text).into_iter().map(|(_, value)| value).collect(),
            Some(b'[') => serde_json::from_str(text).unwrap_or_default(),
            _ => return None,
        };
        let (mut out, mut seen) = (String::new(), 0);
        for part in parts {
            if let Some(new) = self.json(part) {
                let at = part.get().as_ptr().addr() - text.as_ptr().addr();
                out.push_str(&text[seen..at]);
                out.push_str(&new);
                seen = at + part.get().len();
            }
        }
        (seen > 0).then(|| out + &text[seen..])
    }

    /// A row of the manifest of `owner`, an entity that is copied. `None` when nothing changes; else its new key, too.
    pub(super) fn manifest(&self, owner: &str, key: &str, row: &Json) -> Option<(String, Json)> {
        let mut new = row.clone();
        let kind = (row["kind"].as_str()?, row["sourceType"].as_str().or(row["scheduleType"].as_str()).unwrap_or(""));
        let key = match kind {
            ("child", _) => self.child(&mut new)?,
            ("shared-state", _) => {
                swap(&mut new, "id", &self.states)?;
                format!("shared-state:{}", new["id"].as_str()?)
            }
            ("source", "entity") => self.observed(&mut new)?,
            ("source", "db") => self.state(&mut new)?,
            ("attachment", _) => {
                let (of, name) = row["streamPath"].as_str()?.rsplit_once("/attachments/")?;
                if of != owner && !self.before.contains(&(of.to_owned(), owner.to_owned())) {
                    return None;
                }
                new["streamPath"] = format!("{}/attachments/{name}", self.urls.get(owner)?).into();
                key.to_owned()
            }
            ("schedule", "future_send") => {
                let target = swap(&mut new, "targetUrl", &self.urls);
                let sender = swap(&mut new, "senderUrl", &self.urls);
                target.or(sender)?;
                key.to_owned()
            }
            _ => return None,
        };
        if new.get("key").is_some() {
            new["key"] = key.as_str().into();
        }
        Some((key, new))
    }

    fn child(&self, row: &mut Json) -> Option<String> {
        swap(row, "entity_url", &self.urls)?;
        let (kind, id) = row["entity_url"].as_str()?.strip_prefix('/')?.split_once('/')?;
        let (key, id) = (format!("child:{kind}:{id}"), id.to_owned());
        row["id"] = id.into();
        Some(key)
    }

    /// A row that observes an entity.
    fn observed(&self, row: &mut Json) -> Option<String> {
        let named = row["config"]["entityUrl"].as_str().or(row["sourceRef"].as_str())?;
        let url = self.urls.get(named)?.as_str();
        row["sourceRef"] = url.into();
        if let Some(config) = row.get_mut("config").and_then(Json::as_object_mut) {
            config.insert("entityUrl".to_owned(), url.into());
            config.insert("streamPath".to_owned(), format!("{url}/main").into());
        }
        Some(format!("source:entity:{url}"))
    }

    /// A row that observes a shared state.
    fn state(&self, row: &mut Json) -> Option<String> {
        let named = row["sourceRef"].as_str().or(row["config"]["id"].as_str())?;
        let id = self.states.get(named)?.as_str();
        row["sourceRef"] = id.into();
        if let Some(config) = row.get_mut("config").and_then(Json::as_object_mut) {
            config.insert("id".to_owned(), id.into());
        }
        Some(format!("source:db:{id}"))
    }
}

/// Has a member name the copy of what it names.
fn swap(row: &mut Json, member: &str, names: &BTreeMap<String, String>) -> Option<()> {
    let value = row.get_mut(member)?;
    *value = names.get(value.as_str()?)?.as_str().into();
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn names() -> Names {
        let mut names = Names::default();
        names.add_url("/t/a", "/t/x".to_owned());
        names.add_url("/t/b", "/t/y".to_owned());
        names.add_state("s 1", "s 2".to_owned());
        names.add_before("/t/a", "/t/old");
        names
    }

    #[test]
    fn strings_that_name_what_is_copied_are_replaced_and_nothing_else_is_touched() {
        for (old, new) in [
            (
                r#"{"a":"/t/a","b":["/t/b/main",1.50,{"/t/a":"s 1"}]}"#,
                r#"{"a":"/t/x","b":["/t/y/main",1.50,{"/t/a":"s 2"}]}"#,
            ),
            (r#" [12345678901234567890, "\u002ft/a" ]"#, r#"[12345678901234567890, "/t/x" ]"#),
            (r#""/_electric/shared-state/s%201""#, r#""/_electric/shared-state/s%202""#),
            (r#"{"a":"/t/a","a":"/t/b"}"#, r#"{"a":"/t/x","a":"/t/y"}"#),
        ] {
            let raw: &RawValue = serde_json::from_str(old).expect("JSON");
            assert_eq!(names().json(raw).as_deref(), Some(new), "{old}");
        }
        for same in [r#"{"a":"/t/a/","b":"x /t/a","c":"/t/ab"}"#, r#"["/t/a/attachments/f",null,true]"#, "{}", "7"] {
            let raw: &RawValue = serde_json::from_str(same).expect("JSON");
            assert_eq!(names().json(raw), None, "{same}");
        }
    }

    #[test]
    fn what_each_row_names_in_a_fork() {
        let child = |id: &str| json!({ "kind": "child", "id": id, "entity_url": format!("/t/{id}") });
        let file = |path: &str| json!({ "kind": "attachment", "streamPath": path });
        let send = |target: &str, sender: &str| json!({ "kind": "schedule", "scheduleType": "future_send", "targetUrl": target, "senderUrl": sender });
        let of = |kind: &str, reference: &str, config: Json| json!({ "kind": "source", "sourceType": kind, "sourceRef": reference, "config": config });
        let entity = |url: &str| of("entity", url, json!({ "entityUrl": url, "streamPath": format!("{url}/main") }));
        for (key, row, want) in [
            ("child:t:b", child("b"), Some(("child:t:y", child("y")))),
            (
                "k",
                json!({ "kind": "shared-state", "id": "s 1" }),
                Some(("shared-state:s 2", json!({ "kind": "shared-state", "id": "s 2" }))),
            ),
            ("source:entity:/t/b", entity("/t/b"), Some(("source:entity:/t/y", entity("/t/y")))),
            (
                "k",
                json!({ "kind": "source", "sourceType": "entity", "sourceRef": "/t/b" }),
                Some(("source:entity:/t/y", json!({ "kind": "source", "sourceType": "entity", "sourceRef": "/t/y" }))),
            ),
            (
                "source:db:s 1",
                of("db", "s 1", json!({ "id": "s 1" })),
                Some(("source:db:s 2", of("db", "s 2", json!({ "id": "s 2" })))),
            ),
            ("attachment:f", file("/t/a/attachments/f"), Some(("attachment:f", file("/t/x/attachments/f")))),
            ("schedule:s", send("/t/a", "/t/b"), Some(("schedule:s", send("/t/x", "/t/y")))),
            (
                "schedule:s",
                send("/t/a", "/principal/user%3Aann"),
                Some(("schedule:s", send("/t/x", "/principal/user%3Aann"))),
            ),
            ("schedule:s", send("/t/c", "/t/b"), Some(("schedule:s", send("/t/c", "/t/y")))),
            ("child:t:c", child("c"), None),
            ("attachment:f", file("/t/old/attachments/f"), Some(("attachment:f", file("/t/x/attachments/f")))),
            ("attachment:f", file("/t/b/attachments/f"), None),
            ("attachment:f", file("/t/ab/attachments/f"), None),
            ("schedule:s", send("/t/c", "/t/c"), None),
            ("source:entity:/t/c", entity("/t/c"), None),
            ("k", of("cron", "/t/a", json!({})), None),
            ("k", json!({ "kind": "child" }), None),
            ("k", json!({ "kind": "effect", "id": "/t/a" }), None),
            ("k", json!("/t/a"), None),
        ] {
            let want = want.map(|(key, row)| (key.to_owned(), row));
            assert_eq!(names().manifest("/t/a", key, &row), want, "{row}");
            let mut keyed = row.clone();
            if let Some(keyed) = keyed.as_object_mut() {
                keyed.insert("key".to_owned(), key.into());
                let new = names().manifest("/t/a", key, &row).map(|(key, _)| Json::from(key));
                assert_eq!(
                    names().manifest("/t/a", key, &json!(keyed)).map(|(_, row)| row["key"].clone()),
                    new,
                    "{row}"
                );
            }
        }
    }
}
