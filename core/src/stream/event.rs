//! Change events: the JSON objects that entity streams carry, looked at without being rewritten.
//!
//! `{"type", "key", "value", "old_value", "headers": {"operation", …}}` — everything is optional, and whatever else a
//! message holds is kept as it was sent (wake specification, section 0.1).

use std::borrow::Cow;
use std::fmt;

use super::json;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A change event, borrowed from its message.
#[derive(Clone, Debug, Default)]
pub struct Event<'a> {
    /// `type`: what kind of row it is about.
    pub kind: Option<Cow<'a, str>>,
    /// `key`: which row.
    pub key: Option<Cow<'a, str>>,
    /// `value`: the row, as JSON text.
    pub value: Option<&'a RawValue>,
    /// `headers.operation`.
    pub operation: Option<Cow<'a, str>>,
    /// `headers`, as JSON text, when it is an object that has a string `operation` or `control`: such an event is
    /// stamped with its offset.
    pub(crate) stamped: Option<&'a RawValue>,
}

impl<'a> Event<'a> {
    /// Looks at a message; anything but an object is an event without members.
    #[must_use]
    pub fn of(message: &'a str) -> Self {
        let mut event = Self::default();
        for (name, value) in members(message) {
            match &*name {
                "type" => event.kind = string(value),
                "key" => event.key = string(value),
                "value" => event.value = Some(value),
                "headers" => {
                    let headers = members(value.get());
                    let find = |wanted: &str| headers.iter().rfind(|(name, _)| name == wanted).map(|(_, value)| *value);
                    let is_string = |name: &str| find(name).is_some_and(|value| value.get().starts_with('"'));
                    event.operation = find("operation").and_then(string);
                    event.stamped = (is_string("operation") || is_string("control")).then_some(value);
                }
                _ => {}
            }
        }
        event
    }

    /// A member of `value` that is a string.
    #[must_use]
    pub fn value_str(&self, name: &str) -> Option<Cow<'a, str>> {
        self.value_member(name).and_then(string)
    }

    /// A member of `value`, as JSON text.
    #[must_use]
    pub fn value_member(&self, name: &str) -> Option<&'a RawValue> {
        members(self.value?.get()).into_iter().rfind(|(n, _)| n == name).map(|(_, v)| v)
    }

    /// Whether it ends a run: `run`, `update`, with a `status` of `completed` or `failed`; and which of the two.
    #[must_use]
    pub fn run_finished(&self) -> Option<Cow<'a, str>> {
        let about_a_run = self.kind.as_deref() == Some("run") && self.operation.as_deref() == Some("update");
        about_a_run.then(|| self.value_str("status")).flatten().filter(|s| matches!(&**s, "completed" | "failed"))
    }
}

/// The messages of a stored JSON entry.
pub(crate) fn messages(entry: &[u8]) -> Vec<String> {
    let array = [b"[", entry, b"]"].concat();
    let messages: Vec<&RawValue> = serde_json::from_slice(&array).unwrap_or_default();
    messages.into_iter().map(|m| m.get().to_owned()).collect()
}

/// The members of a JSON object in order; none when the text is something else.
pub(crate) fn members(text: &str) -> Vec<(Cow<'_, str>, &RawValue)> {
    members_of(text).unwrap_or_default()
}

/// The members of a JSON object in order; `None` when the text is something else, or a name in it is no text.
pub(crate) fn members_of(text: &str) -> Option<Vec<(Cow<'_, str>, &RawValue)>> {
    let members = text.trim_start().starts_with('{').then(|| serde_json::from_str::<Members<'_>>(text));
    members?.ok().map(|members| members.0)
}

/// A JSON string's text. Half a surrogate pair in it counts as one character.
pub(crate) fn string(value: &RawValue) -> Option<Cow<'_, str>> {
    let text = value.get();
    if !text.starts_with('"') {
        return None;
    }
    match serde_json::from_str::<&str>(text) {
        Ok(borrowed) => Some(Cow::Borrowed(borrowed)),
        Err(_) => json::mended(text).map(Cow::Owned),
    }
}

struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::with_capacity(map.size_hint().unwrap_or(4));
                while let Some((Name(name), value)) = map.next_entry()? {
                    all.push((name, value));
                }
                Ok(Members(all))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// A member's name. One with half a surrogate pair in it is not text, and is some other name.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
                Ok(Name(String::from_utf8_lossy(bytes)))
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(String::from_utf8_lossy(bytes).into_owned())))
            }
        }
        deserializer.deserialize_bytes(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn an_event_is_looked_at_without_being_changed() {
        let event = Event::of(
            r#"{"type":"run","key":"r\u002d1","value":{"status":"completed","n":12345678901234567890},"headers":{"operation":"update"}}"#,
        );
        assert_eq!(event.kind.as_deref(), Some("run"));
        assert_eq!(event.key.as_deref(), Some("r-1"));
        assert_eq!(event.value_member("n").map(RawValue::get), Some("12345678901234567890"));
        assert_eq!(event.run_finished().as_deref(), Some("completed"));
    }

    #[test]
    fn what_is_not_an_event_has_no_members() {
        for text in ["null", "1", "[]", r#""run""#, r#"{"type":7,"headers":[]}"#] {
            let event = Event::of(text);
            assert!(event.kind.is_none() && event.stamped.is_none(), "{text}");
        }
    }

    /// JavaScript cuts strings in two anywhere. One such name hid every other member: the event was checked by no schema,
    /// woke nobody and had no offset, and a request's body counted as empty.
    #[test]
    fn a_name_with_half_a_surrogate_pair_hides_no_other() {
        let event = Event::of(r#"{"\ud83d":1,"type":"run","headers":{"a\ude00":2,"operation":"update"}}"#);
        assert_eq!((event.kind.as_deref(), event.operation.as_deref()), (Some("run"), Some("update")));
        assert!(event.stamped.is_some());
    }

    #[test]
    fn a_run_that_is_inserted_as_completed_does_not_finish() {
        let event = Event::of(r#"{"type":"run","value":{"status":"completed"},"headers":{"operation":"insert"}}"#);
        assert!(event.run_finished().is_none());
    }
}
