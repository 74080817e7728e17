//! Slash commands: what a type may declare of them (control plane, section 9.1).

use std::collections::BTreeSet;

use serde_json::Value as Json;
use serde_json::value::RawValue;

use super::schema::{Complaint, read};

/// The form that a body has to have.
pub(super) const FORM: &str = r#"{"items":{"type":"object","required":["name"],"additionalProperties":false,"properties":{
    "name":{"type":"string"},"description":{"type":"string"},
    "arguments":{"type":"array","items":{"type":"object","required":["name","type"],"additionalProperties":false,"properties":{
        "name":{"type":"string"},"type":{"anyOf":[{"const":"string"},{"const":"number"},{"const":"boolean"}]},
        "required":{"type":"boolean"},"description":{"type":"string"}}}}}}}"#;

/// What is wrong with the commands of a type, whatever their form.
pub(super) fn check(commands: &RawValue) -> Vec<Complaint> {
    let commands = match read(commands.get()) {
        Ok(commands) => commands,
        Err(e) => return vec![("/slash_commands".to_owned(), format!("must be readable: {e}"))],
    };
    let mut found = Vec::new();
    let mut names = BTreeSet::new();
    for (i, command) in list(Some(&commands)).iter().enumerate() {
        let at = format!("/slash_commands/{i}");
        let name = text(command, "name");
        complain_of_name(&mut found, &at, is_name(name), "must be a lowercase kebab-case command name");
        complain_of_name(&mut found, &at, names.insert(name), "must be unique");
        let mut names = BTreeSet::new();
        for (i, argument) in list(command.get("arguments")).iter().enumerate() {
            let at = format!("{at}/arguments/{i}");
            let name = text(argument, "name");
            complain_of_name(&mut found, &at, is_argument(name), "must be a valid argument name");
            complain_of_name(&mut found, &at, names.insert(name), "must be unique");
            if !matches!(text(argument, "type"), "string" | "number" | "boolean") {
                found.push((at + "/type", "must be string, number, or boolean".to_owned()));
            }
        }
    }
    found
}

/// Whether a text is lower-case kebab-case: `^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$`.
pub(super) fn is_name(text: &str) -> bool {
    let word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    text.starts_with(|first: char| first.is_ascii_lowercase()) && text.split('-').all(word)
}

/// `^[a-z][a-zA-Z0-9_]*$`
fn is_argument(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn complain_of_name(found: &mut Vec<Complaint>, at: &str, holds: bool, message: &str) {
    if !holds {
        found.push((format!("{at}/name"), message.to_owned()));
    }
}

fn list(json: Option<&Json>) -> &[Json] {
    json.and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

fn text<'a>(json: &'a Json, member: &str) -> &'a str {
    json.get(member).and_then(Json::as_str).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn names_are_kebab_case() {
        for (name, is) in [
            ("a", true),
            ("a1-2b-c", true),
            ("", false),
            ("1a", false),
            ("-a", false),
            ("a-", false),
            ("a--b", false),
            ("aB", false),
            ("a_b", false),
            ("é", false),
        ] {
            assert_eq!(is_name(name), is, "{name}");
        }
    }

    #[test]
    fn every_rule_of_commands() {
        let argument = |name: &str, kind: &str| json!({ "name": name, "type": kind });
        let arguments = |arguments: Json| json!([{ "name": "a", "arguments": arguments }]);
        for (commands, want) in [
            (json!([]), vec![]),
            (json!([{ "name": "goal" }, { "name": "goal-2" }]), vec![]),
            (json!([5]), vec!["/slash_commands/0/name must be a lowercase kebab-case command name"]),
            (json!([{ "name": "a" }, { "name": "a" }]), vec!["/slash_commands/1/name must be unique"]),
            (arguments(json!([argument("aB_1", "string"), argument("b", "number"), argument("c", "boolean")])), vec![]),
            (
                arguments(json!([argument("A", "string")])),
                vec!["/slash_commands/0/arguments/0/name must be a valid argument name"],
            ),
            (
                arguments(json!([argument("a", "string"), argument("a", "object")])),
                vec![
                    "/slash_commands/0/arguments/1/name must be unique",
                    "/slash_commands/0/arguments/1/type must be string, number, or boolean",
                ],
            ),
        ] {
            let commands = RawValue::from_string(commands.to_string()).expect("JSON");
            let found: Vec<String> = check(&commands).iter().map(|(p, m)| format!("{p} {m}")).collect();
            assert_eq!(found, want, "{commands}");
        }
    }
}
