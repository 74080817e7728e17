//! What a program is given: the wake as JSON, and the little that a short script needs in its environment.

use serde_json::Value as Json;

use crate::client::wake::{Row, Wake};

/// The line for standard input: what the claim said, and the rows that are new, as they were sent.
pub(super) fn line(wake: &Wake, fresh: &[&Row]) -> String {
    let mut notification = wake.notification.clone();
    if let Some(members) = notification.as_object_mut() {
        members.retain(|name, _| !matches!(name.as_str(), "callback" | "consumerId" | "streams" | "triggerEvent"));
        members.remove("events");
    }
    let rows: Vec<&str> = fresh.iter().map(|row| row.raw.get()).collect();
    let mut line = notification.to_string();
    // Rows are put in as text: their numbers are none of our business.
    line.truncate(line.trim_end_matches('}').len().max(1));
    if line.len() > 1 {
        line.push(',');
    }
    line.push_str(&format!("\"events\":[{}]}}\n", rows.join(",")));
    line
}

/// The environment.
pub(super) fn environment(wake: &Wake, fresh: &[&Row], server: &str) -> Vec<(&'static str, String)> {
    let mut all = vec![
        ("REVEILLE_ENTITY", wake.entity().to_owned()),
        ("REVEILLE_SERVER", server.to_owned()),
        ("REVEILLE_WRITE_TOKEN", wake.write_token().to_owned()),
        ("REVEILLE_MESSAGE", fresh.last().map(|row| message(row)).unwrap_or_default()),
    ];
    for (_, value) in &mut all {
        value.retain(|c| c != '\0');
    }
    all
}

/// A row as a text: a message's payload, or a child's answer. Too long ones are only on standard input.
fn message(row: &Row) -> String {
    let value = &row.json["value"];
    let text = match (row.json["type"].as_str(), &value["finished_child"]) {
        (Some("wake"), Json::Null) => value["source"].as_str().unwrap_or("").to_owned(),
        (Some("wake"), child) => child["response"].as_str().or(child["error"].as_str()).unwrap_or("").to_owned(),
        _ => value["payload"].as_str().map_or_else(|| value["payload"].to_string(), str::to_owned),
    };
    if text.len() > LONGEST { String::new() } else { text }
}

/// What an environment variable may hold on every system.
const LONGEST: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_is_a_text_for_scripts() {
        for (row, text) in [
            (json!({ "type": "inbox", "value": { "payload": "hi" } }), "hi"),
            (json!({ "type": "inbox", "value": { "payload": { "a": 1 } } }), "{\"a\":1}"),
            (json!({ "type": "wake", "value": { "source": "/w/a", "finished_child": { "response": "yes" } } }), "yes"),
            (json!({ "type": "wake", "value": { "source": "/w/a", "finished_child": { "error": "no" } } }), "no"),
            (json!({ "type": "wake", "value": { "source": "/w/a" } }), "/w/a"),
            (json!({ "type": "inbox", "value": { "payload": "x".repeat(LONGEST + 1) } }), ""),
        ] {
            assert_eq!(message(&Row::of(&row)), text);
        }
    }
}
