//! What the planner does, as a function of its stream: it has no other memory.

use serde_json::{Value as Json, json};

use crate::client::wake::{Row, row};

/// A job for a worker.
#[derive(Debug)]
pub(super) struct Job {
    /// What it is about; the end of the worker's id.
    pub(super) name: &'static str,
    /// What the worker will answer.
    pub(super) say: &'static str,
    /// After how long.
    pub(super) after_ms: u64,
}

/// The jobs. Long enough to pull the plug in between.
pub(super) const JOBS: [Job; 3] = [
    Job { name: "coffee", say: "The coffee is brewed.", after_ms: 1000 },
    Job { name: "bread", say: "The bread is toasted.", after_ms: 1600 },
    Job { name: "paper", say: "The paper is here.", after_ms: 2200 },
];

/// What to do in one wake.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Plan {
    /// Whether to see that the workers exist.
    pub(super) spawn: bool,
    /// What to append.
    pub(super) write: Vec<Json>,
    /// What that is, in words.
    pub(super) words: Vec<String>,
    /// The whole plan, once it is done.
    pub(super) finished: Option<String>,
}

/// Decides by all rows, and those of them that are new.
pub(super) fn decide(rows: &[Row], fresh: &[&Row]) -> Plan {
    let mut plan = Plan::default();
    let first = rows.iter().find(|row| row.json["type"] == "inbox").map(Row::offset);
    for message in fresh.iter().filter(|row| row.json["type"] == "inbox") {
        if Some(message.offset()) == first {
            plan.spawn = true;
            plan.write.push(run("insert", json!({ "status": "started" })));
            plan.write.push(text("insert", "streaming"));
            plan.words.push(format!("spawns {} workers, to be woken by each that finishes, and sleeps", JOBS.len()));
        } else {
            plan.write.extend(reply(message, rows));
            plan.words.push("replies, and sleeps".to_owned());
        }
    }
    let news: Vec<&str> = fresh.iter().filter_map(|row| answer(row)).map(|(_, said)| said).collect();
    if news.is_empty() || is_finished(rows) {
        return plan;
    }
    let said = rows.iter().filter(|row| row.json["type"] == "text_delta" && row.json["value"]["run_id"] == RUN).count();
    for (n, said_now) in news.iter().enumerate() {
        let delta = if said + n == 0 { (*said_now).to_owned() } else { format!(" {said_now}") };
        let value = json!({ "text_id": TEXT, "run_id": RUN, "delta": delta });
        plan.write.push(row("text_delta", &format!("{TEXT}:{}", said + n), value, "insert"));
    }
    let answers = answers(rows);
    if answers.len() < JOBS.len() {
        plan.words.push(format!("has {} of {} answers, and sleeps", answers.len(), JOBS.len()));
    } else {
        plan.write.push(text("update", "completed"));
        plan.write.push(run("update", json!({ "status": "completed", "finish_reason": "stop" })));
        plan.words.push(format!("has all {} answers, and finishes its own", JOBS.len()));
        plan.finished = Some(answers.into_iter().map(|(_, said)| said).collect::<Vec<_>>().join(" "));
    }
    plan
}

/// The answers of the workers so far: whose, and what. Each counts once.
pub(super) fn answers(rows: &[Row]) -> Vec<(&str, &str)> {
    let mut answers: Vec<(&str, &str)> = Vec::new();
    for (who, said) in rows.iter().filter_map(answer) {
        if !answers.iter().any(|(known, _)| *known == who) {
            answers.push((who, said));
        }
    }
    answers
}

/// Whether the planner has written its own answer.
pub(super) fn is_finished(rows: &[Row]) -> bool {
    rows.iter().any(|row| {
        let row = &row.json;
        row["type"] == "run"
            && row["key"] == RUN
            && row["headers"]["operation"] == "update"
            && row["value"]["status"] == "completed"
    })
}

/// What a wake row says of a worker that has finished.
fn answer(row: &Row) -> Option<(&str, &str)> {
    let child = row.json["value"].get("finished_child").filter(|_| row.json["type"] == "wake")?;
    Some((child["url"].as_str()?, child["response"].as_str().unwrap_or("(nothing)")))
}

/// A reply to a message that came later: a run of its own.
fn reply(message: &Row, rows: &[Row]) -> Vec<Json> {
    let payload = &message.json["value"]["payload"];
    let said = payload.as_str().map_or_else(|| payload.to_string(), str::to_owned);
    let known = answers(rows).len();
    let delta = format!("You said: {said}. I have {known} of {} answers.", JOBS.len());
    let run = format!("reply-{}", message.offset());
    let delta = json!({ "text_id": run, "run_id": run, "delta": delta });
    vec![
        row("run", &run, json!({ "status": "started" }), "insert"),
        row("text_delta", &format!("{run}:0"), delta, "insert"),
        row("run", &run, json!({ "status": "completed", "finish_reason": "stop" }), "update"),
    ]
}

fn run(operation: &str, value: Json) -> Json {
    row("run", RUN, value, operation)
}

fn text(operation: &str, status: &str) -> Json {
    row("text", TEXT, json!({ "status": status, "run_id": RUN }), operation)
}

const RUN: &str = "plan";
const TEXT: &str = "plan-text";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::wake::fresh;

    /// A stream that numbers its rows.
    struct Stream(Vec<Row>);

    impl Stream {
        fn append(&mut self, rows: impl IntoIterator<Item = Json>) {
            let offset = format!("{:04}", self.0.len() + 1);
            for mut row in rows {
                row["headers"]["offset"] = offset.as_str().into();
                self.0.push(Row::of(&row));
            }
        }

        fn message(&mut self, payload: Json) {
            self.append([row("inbox", "m", json!({ "payload": payload }), "insert")]);
        }

        fn finished(&mut self, job: &Job) {
            let child =
                json!({ "url": format!("/worker/{}", job.name), "run_status": "completed", "response": job.say });
            self.append([row("wake", job.name, json!({ "finished_child": child }), "insert")]);
        }

        /// One wake: decide, write, acknowledge.
        fn wake(&mut self) -> Plan {
            let plan = decide(&self.0, &fresh(&self.0));
            let seen = self.0.last().map(|row| row.offset().to_owned()).unwrap_or_default();
            self.append(plan.write.iter().cloned().chain([crate::client::wake::ack(&seen)]));
            plan
        }
    }

    #[test]
    fn a_morning() {
        let mut stream = Stream(Vec::new());
        stream.message(json!("Good morning!"));
        let plan = stream.wake();
        assert!(plan.spawn && plan.finished.is_none());
        stream.finished(&JOBS[1]);
        assert_eq!(stream.wake().words, ["has 1 of 3 answers, and sleeps"]);
        stream.finished(&JOBS[0]);
        stream.finished(&JOBS[2]);
        let plan = stream.wake();
        assert_eq!(plan.finished.as_deref(), Some("The bread is toasted. The coffee is brewed. The paper is here."));
        assert!(is_finished(&stream.0));
        assert_eq!(stream.wake(), Plan::default(), "nothing is new");
    }

    #[test]
    fn a_wake_that_was_lost_before_its_append_is_repeated_whole() {
        let mut stream = Stream(Vec::new());
        stream.message(json!("Good morning!"));
        let lost = decide(&stream.0, &fresh(&stream.0));
        assert_eq!(stream.wake(), lost);
    }

    #[test]
    fn later_messages_are_replied_to_and_repeated_answers_change_nothing() {
        let mut stream = Stream(Vec::new());
        stream.message(json!("Good morning!"));
        stream.wake();
        JOBS.iter().for_each(|job| stream.finished(job));
        stream.wake();
        stream.finished(&JOBS[0]);
        assert_eq!(stream.wake().write, Vec::<Json>::new());
        stream.message(json!({ "any": "thing" }));
        let plan = stream.wake();
        assert!(!plan.spawn && plan.words == ["replies, and sleeps"]);
        assert_eq!(plan.write[1]["value"]["delta"], json!("You said: {\"any\":\"thing\"}. I have 3 of 3 answers."));
    }
}
