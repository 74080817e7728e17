//! From what a program prints to rows of its entity's stream: a function of lines, with the little it must remember.

use serde_json::{Value as Json, json};

use super::program::Line;
use crate::client::wake::{self, ack};

/// What a program has printed so far.
#[derive(Debug)]
pub(super) struct Output {
    run: String,
    /// Whether the run is open.
    opened: bool,
    /// Whether the program writes runs itself.
    own_runs: bool,
    deltas: usize,
    /// Whether the last text ended with its line.
    ended: bool,
    /// How many lines there were.
    pub(super) lines: usize,
}

impl Output {
    /// Nothing yet. `run` is the key of the run that text belongs to.
    pub(super) fn new(run: String) -> Self {
        Self { run, opened: false, own_runs: false, deltas: 0, ended: false, lines: 0 }
    }

    /// The rows of some lines. Neighbouring lines of text are one row.
    pub(super) fn rows(&mut self, lines: &[Line]) -> Vec<String> {
        let (mut rows, mut text) = (Vec::new(), String::new());
        for line in lines {
            self.lines += usize::from(line.ended);
            if let Some(event) = event(line) {
                self.own_runs |= event["type"] == "run";
                self.text(&mut rows, &mut text);
                rows.push(line.text.trim().to_owned());
                continue;
            }
            if std::mem::replace(&mut self.ended, line.ended) {
                text.push('\n');
            }
            text.push_str(&line.text);
            // An empty first line is a text too: it opens the run.
            if text.is_empty() && !self.opened {
                self.open(&mut rows);
            }
        }
        self.text(&mut rows, &mut text);
        rows
    }

    /// The last rows, when the program has ended: `failure` says why its run failed, if it did. `seen` is up to where its
    /// events were read.
    pub(super) fn end(&mut self, failure: Option<&str>, seen: &str) -> Vec<String> {
        let mut rows = Vec::new();
        if !self.opened && (failure.is_some() || !self.own_runs) {
            self.open(&mut rows);
        }
        if let Some(message) = failure {
            let value = json!({ "error_code": "PROGRAM_FAILED", "message": message, "run_id": self.run });
            rows.push(row("error", &format!("{}-error", self.run), value, "insert"));
        }
        if self.opened {
            let (status, reason) = if failure.is_some() { ("failed", "error") } else { ("completed", "stop") };
            rows.push(row("text", &self.text_key(), json!({ "status": status, "run_id": self.run }), "update"));
            rows.push(row("run", &self.run, json!({ "status": status, "finish_reason": reason }), "update"));
        }
        rows.push(ack(seen).to_string());
        rows
    }

    fn text(&mut self, rows: &mut Vec<String>, text: &mut String) {
        if text.is_empty() {
            return;
        }
        self.open(rows);
        let key = self.text_key();
        let value = json!({ "text_id": key, "run_id": self.run, "delta": std::mem::take(text) });
        rows.push(row("text_delta", &format!("{key}:{}", self.deltas), value, "insert"));
        self.deltas += 1;
    }

    fn open(&mut self, rows: &mut Vec<String>) {
        if !std::mem::replace(&mut self.opened, true) {
            rows.push(row("run", &self.run, json!({ "status": "started" }), "insert"));
            rows.push(row("text", &self.text_key(), json!({ "status": "streaming", "run_id": self.run }), "insert"));
        }
    }

    fn text_key(&self) -> String {
        format!("{}-text", self.run)
    }
}

/// A line that is a JSON object with a type.
fn event(line: &Line) -> Option<Json> {
    let text = line.text.trim();
    let event: Json = if line.ended && text.starts_with('{') { serde_json::from_str(text).ok()? } else { return None };
    event["type"].as_str().is_some_and(|kind| !kind.is_empty()).then_some(event)
}

fn row(kind: &str, key: &str, value: Json, operation: &str) -> String {
    wake::row(kind, key, value, operation).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(texts: &[&str]) -> Vec<Line> {
        texts.iter().map(|text| Line { text: (*text).to_owned(), ended: true }).collect()
    }

    /// Rows in short: their type, and what is of interest.
    fn short(rows: &[String]) -> Vec<String> {
        let one = |row: &String| {
            let row: Json = serde_json::from_str(row).unwrap();
            let value = &row["value"];
            let of_interest = [&value["delta"], &value["status"], &value["message"], &value["offset"]];
            let what = of_interest.iter().find_map(|v| v.as_str()).unwrap_or("");
            format!("{} {what}", row["type"].as_str().unwrap())
        };
        rows.iter().map(one).collect()
    }

    #[test]
    fn text_is_a_run() {
        let mut output = Output::new("run-1".to_owned());
        assert_eq!(
            short(&output.rows(&lines(&["one", "two"]))),
            ["run started", "text streaming", "text_delta one\ntwo"]
        );
        assert_eq!(
            short(&output.rows(&lines(&["", "{not json", "{\"a\":1}"]))),
            ["text_delta \n\n{not json\n{\"a\":1}"]
        );
        assert_eq!(short(&output.end(None, "7")), ["text completed", "run completed", "ack 7"]);
        assert_eq!(output.lines, 5);
    }

    #[test]
    fn events_are_appended_as_they_are() {
        let mut output = Output::new("run-1".to_owned());
        let event = r#"{"type":"note", "key":"n","value":12345678901234567890123}"#;
        assert_eq!(output.rows(&lines(&[event])), [event]);
        let mixed = output.rows(&lines(&["a", event, "b"]));
        assert_eq!(short(&mixed), ["run started", "text streaming", "text_delta a", "note ", "text_delta \nb"]);
    }

    #[test]
    fn whoever_says_nothing_has_still_run() {
        let mut output = Output::new("run-1".to_owned());
        assert_eq!(
            short(&output.end(None, "7")),
            ["run started", "text streaming", "text completed", "run completed", "ack 7"]
        );
        let mut own = Output::new("run-1".to_owned());
        own.rows(&lines(&[r#"{"type":"run","key":"mine"}"#]));
        assert_eq!(short(&own.end(None, "7")), ["ack 7"]);
        let failed = own.end(Some("exit status 3"), "7");
        assert_eq!(
            short(&failed),
            ["run started", "text streaming", "error exit status 3", "text failed", "run failed", "ack 7"]
        );
    }

    #[test]
    fn a_line_too_long_is_joined_again() {
        let mut output = Output::new("run-1".to_owned());
        let cut =
            [Line { text: "{\"type\":\"a\"".to_owned(), ended: false }, Line { text: "}".to_owned(), ended: true }];
        assert_eq!(short(&output.rows(&cut))[2], "text_delta {\"type\":\"a\"}");
        assert_eq!(output.lines, 1);
    }
}
