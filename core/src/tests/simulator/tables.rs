//! Dashboards: each follows a table by its shape, as one principal, from a handle that it keeps whatever happens to the
//! server. What it has been told adds up to what there is to see.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::super::world::Got;
use super::cluster::{Cluster, text};
use super::rights;

/// Who follows which table, and what they have of it.
pub(super) struct Dashboard {
    table: &'static str,
    by: &'static str,
    /// From where it goes on: the handle and the offset.
    place: Option<(String, String)>,
    rows: Rows,
    /// When it is told things twice: after a snapshot of several pieces.
    loose: bool,
}

type Rows = BTreeMap<String, BTreeMap<String, Json>>;

/// Those who run the server see everything, and a user what is granted.
pub(super) fn dashboards() -> Vec<Dashboard> {
    let new = |table, by| Dashboard { table, by, place: None, rows: Rows::new(), loose: false };
    let all = ["entities", "entity_types", "entity_effective_permissions", "entity_dispatch_state", "runners"];
    let work = ["wake_notifications", "consumer_claims"];
    let theirs = ["entities", "entity_types", "entity_effective_permissions", "entity_dispatch_state"];
    let all = all.into_iter().chain(work).map(|table| new(table, "system:dev-local"));
    all.chain(theirs.map(|table| new(table, "user:a"))).collect()
}

/// One of them asks what has changed.
pub(super) fn looks(c: &mut Cluster) {
    if rights::are_late(c) {
        return;
    }
    let at = c.dice.below(c.dashboards.len());
    follow(c, at);
}

/// All have asked, and none has strayed from what there is.
pub(super) fn check(c: &mut Cluster) {
    // Where the host is late, who begins no longer sees by a grant that is over, and who goes on has yet to be told.
    if rights::are_late(c) {
        return;
    }
    for at in 0..c.dashboards.len() {
        follow(c, at);
        let (table, by) = (c.dashboards[at].table, c.dashboards[at].by);
        let mut fresh = Dashboard { table, by, place: None, rows: Rows::new(), loose: false };
        while !fresh.goes_on(c) {}
        let it = &c.dashboards[at];
        let strayed = fresh.rows.iter().find(|(key, row)| it.rows.get(*key) != Some(row));
        let gone = it.rows.keys().find(|key| !fresh.rows.contains_key(*key));
        assert!(
            strayed.is_none() && gone.is_none(),
            "what {by} is told of {table} is not what there is: {strayed:?}, but {:?}; {gone:?} has gone",
            strayed.and_then(|(key, _)| it.rows.get(key))
        );
    }
}

/// The entities that somebody sees.
pub(super) fn seen(c: &mut Cluster, by: &'static str) -> Vec<String> {
    let mut fresh = Dashboard { table: "entities", by, place: None, rows: Rows::new(), loose: false };
    while !fresh.goes_on(c) {}
    let urls = fresh.rows.values().map(|row| text(&row["url"]));
    urls.filter(|url| !url.starts_with("/principal/")).collect()
}

fn follow(c: &mut Cluster, at: usize) {
    let mut it = c.dashboards.remove(at);
    if it.place.is_some() {
        c.heard.insert("a dashboard goes on".to_owned());
    }
    while !it.goes_on(c) {}
    c.dashboards.insert(at, it);
}

impl Dashboard {
    /// Asks once more. Says whether it knows everything now.
    fn goes_on(&mut self, c: &mut Cluster) -> bool {
        let from = match &self.place {
            None => "offset=-1".to_owned(),
            Some((handle, offset)) => format!("offset={offset}&handle={handle}"),
        };
        let path = format!("/_electric/electric/v1/shape?table={}&{from}", self.table);
        let got = c.world.ask("GET", &path, &[("electric-principal", self.by)], &Json::Null);
        if got.status == 409 {
            assert!(got.body.contains("must-refetch"), "{}", got.body);
            (self.place, self.rows) = (None, Rows::new());
            return false;
        }
        assert_eq!(got.status, 200, "{}", got.body);
        for message in got.json().as_array().expect("a list") {
            self.hear(message);
        }
        self.stand(&got)
    }

    fn stand(&mut self, got: &Got) -> bool {
        let (handle, offset) = (got.header("electric-handle").to_owned(), got.header("electric-offset").to_owned());
        let complete = got.headers.contains_key("electric-up-to-date");
        self.loose |= self.place.is_none() && !complete;
        self.place = Some((handle, offset));
        complete
    }

    fn hear(&mut self, message: &Json) {
        let Some(operation) = message["headers"]["operation"].as_str() else { return };
        let key = text(&message["key"]);
        let value = message["value"].as_object().cloned().unwrap_or_default();
        let before = self.rows.get_mut(&key);
        match operation {
            "insert" => {
                assert!(before.is_none() || self.loose, "{} is told twice that {key} has come", self.by);
                self.rows.insert(key, value.into_iter().collect());
            }
            "update" => {
                let row = before.unwrap_or_else(|| panic!("{} is told of {key}, which it does not see", self.by));
                row.extend(value);
            }
            "delete" => {
                let known = self.rows.remove(&key).is_some();
                assert!(known || self.loose, "{} is told that {key} has gone, which it does not see", self.by);
            }
            _ => panic!("{}", json!(message)),
        }
    }
}
