//! What a row says of an entity, a shared state or an attachment, said of its copy. Functions of values.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Value as Json, json};

use crate::stream::{members, shared_state, string};

/// What the copies are called.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    urls: BTreeMap<String, String>,
    states: BTreeMap<String, String>,
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
                let name = row["streamPath"].as_str()?.strip_prefix(owner)?.strip_prefix("/attachments/")?;
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
