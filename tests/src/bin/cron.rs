//! Cron of the engine by itself. Each line of the input is a question in JSON, and each line of the output its answer.
//!
//! * `{"expression", "timezone"?, "after", "count"}`, or `"path"` in place of the first two: up to so many times after one
//!   another, in milliseconds. `{"path", "zone", "next": […]}` or `{"error"}`; both, where there is an end to them.
//! * `{"zones": true}`: the names of all time zones. `{"zones": […]}`.
//! * `{"zone"}`: its canonical name. `{"zone"}`, or `{"error"}`.
//! * `{"zone", "at": […]}`: how far its clock is ahead of UTC at those times. `{"offsets": […]}`, in milliseconds.
#![allow(clippy::print_stdout, reason = "what the command prints is its output")]

use std::io::stdin;

use jiff::Timestamp;
use jiff::tz::TimeZoneDatabase;
use reveille_core::Time;
use reveille_core::cron::{CronError, Spec, next_fire};
use reveille_tests::Result;
use serde_json::{Value as Json, json};

fn main() -> Result<()> {
    for line in stdin().lines() {
        println!("{}", answer(&serde_json::from_str(&line?)?));
    }
    Ok(())
}

fn answer(question: &Json) -> Json {
    if question["zones"] == true {
        let names: Vec<String> = TimeZoneDatabase::bundled().available().map(|name| name.to_string()).collect();
        return json!({ "zones": names });
    }
    if let (Some(zone), Some(times)) = (question["zone"].as_str(), question["at"].as_array()) {
        return json!({ "offsets": offsets(zone, times) });
    }
    if let Some(zone) = question["zone"].as_str() {
        return match Spec::parse("* * * * *", Some(zone)) {
            Ok(spec) => json!({ "zone": spec.zone() }),
            Err(error) => refused(&error),
        };
    }
    let spec = match question["path"].as_str() {
        Some(path) => Spec::of_path(path).ok_or_else(|| CronError::Expression(path.to_owned())),
        None => Spec::parse(question["expression"].as_str().unwrap_or_default(), question["timezone"].as_str()),
    };
    match spec {
        Ok(spec) => times(&spec, question),
        Err(error) => refused(&error),
    }
}

fn times(spec: &Spec, question: &Json) -> Json {
    let mut answer = json!({ "path": spec.path(), "zone": spec.zone(), "next": [] });
    let mut next = Vec::new();
    let mut after = Time::from_millis(question["after"].as_i64().unwrap_or_default());
    for _ in 0..question["count"].as_u64().unwrap_or(1) {
        match next_fire(spec, after) {
            Ok(time) => after = time,
            Err(error) => {
                answer["error"] = error.to_string().into();
                break;
            }
        }
        next.push(after.as_millis());
    }
    answer["next"] = next.into();
    answer
}

fn offsets(zone: &str, times: &[Json]) -> Option<Vec<i32>> {
    let zone = TimeZoneDatabase::bundled().get(zone).ok()?;
    let offset = |time: &Json| {
        let time = Timestamp::from_millisecond(time.as_i64()?).ok()?;
        Some(zone.to_offset(time).seconds() * 1000)
    };
    times.iter().map(offset).collect()
}

fn refused(error: &CronError) -> Json {
    json!({ "error": error.to_string() })
}
