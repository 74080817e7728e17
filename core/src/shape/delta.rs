//! What a reader is told of a stretch of the log.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::columns::{Projector, Row, rolled_back};
use super::filter::Budget;
use super::{Past, Place, Scope, Shape, answer};
use crate::limits::{SHAPE_ANSWER, SHAPE_BEHIND};
use crate::store::{Change, Read, Since, SqlError, Table};

/// The difference between two commits, as one reader sees it.
pub(super) struct Delta {
    pub(super) messages: Vec<Json>,
    /// How far it goes.
    pub(super) to: Place,
    /// Whether that is the last commit.
    pub(super) complete: bool,
    /// The filter asked for more of one commit than an answer may spend on it.
    pub(super) too_expensive: bool,
}

impl Delta {
    /// The messages, with the one that says that they are all.
    pub(super) fn told(&self) -> Vec<Json> {
        let end = self.complete.then(|| answer::up_to_date(self.to.at));
        self.messages.iter().cloned().chain(end).collect()
    }
}

/// What has changed since a place; `None` when that is no longer known, or never was.
pub(super) fn since(read: &Read<'_>, shape: &Shape, from: Place) -> Result<Option<Delta>, SqlError> {
    let last = read.commit()?;
    if from.at > last || !shape.is_logged_since(read, from.at)? {
        return Ok(None);
    }
    let changes = match read.changes_since(from.at, Scope::tables(shape.spec.table))? {
        Since::Known(changes) if changes.len() <= SHAPE_BEHIND => changes,
        _ => return Ok(None),
    };
    let (projector, budget) = (Projector::new(read), Budget::default());
    let (mut messages, mut bytes): (Vec<(i64, Json)>, _) = (Vec::new(), 0);
    let mut at = last;
    let past = shape.scope.past(read, &changes)?;
    for (key, changes) in touched(read, shape, &changes, &past)? {
        let first = changes.first().map_or(last, |change| change.txid);
        // A commit is told whole: all rows that it was the first to touch.
        if bytes >= SHAPE_ANSWER && messages.last().is_none_or(|(told, _)| first > *told) {
            at = first - 1;
            break;
        }
        let now = projector.row(shape.spec, &key)?;
        let told = tell(read, shape, &key, now, &changes, &past, from.loose, &budget)?;
        if budget.is_spent() {
            at = first - 1;
            messages.retain(|(told, _)| *told < first);
            break;
        }
        bytes += told.as_ref().map_or(0, |(_, size)| *size);
        messages.extend(told.map(|(message, _)| (first, message)));
    }
    let messages = number(messages.into_iter().map(|(_, message)| message).collect());
    let complete = at == last && !budget.is_spent();
    let too_expensive = budget.is_spent() && at <= from.at;
    Ok(Some(Delta { messages, to: Place { at, within: 0, loose: !complete }, complete, too_expensive }))
}

/// What each row was touched by, the rows in the order in which they were first touched: changes of its own, and of grants
/// by which its reader sees it.
fn touched<'c>(
    read: &Read<'_>,
    shape: &Shape,
    changes: &'c [Change],
    past: &Past,
) -> Result<Vec<(String, Vec<&'c Change>)>, SqlError> {
    let mut rows = InOrder::default();
    for change in changes {
        if is_of(shape, change) {
            rows.add(change.key.clone(), change);
        }
        if let Some(on) = past.of(change) {
            for key in shape.scope.rows_on(read, shape.spec, on)? {
                rows.add(key, change);
            }
        }
    }
    Ok(rows.rows)
}

/// Whether a change is of a row of the shape's own table. How an entity is dispatched begins with the entity.
fn is_of(shape: &Shape, change: &Change) -> bool {
    let begins = change.table == Table::Entities && change.before.is_none();
    change.table == shape.spec.table || (shape.spec.table == Table::DispatchState && begins)
}

#[derive(Default)]
struct InOrder<'c> {
    places: BTreeMap<String, usize>,
    rows: Vec<(String, Vec<&'c Change>)>,
}

impl<'c> InOrder<'c> {
    fn add(&mut self, key: String, change: &'c Change) {
        let place = *self.places.entry(key.clone()).or_insert_with(|| {
            self.rows.push((key, Vec::new()));
            self.rows.len() - 1
        });
        let changes = &mut self.rows[place].1;
        // One that touches a row in two ways does so at once.
        if !changes.last().is_some_and(|last| std::ptr::eq(*last, change)) {
            changes.push(change);
        }
    }
}

/// What is told of one row, and how long that is. What it was counts only where that is known, and where it was told so.
#[allow(clippy::too_many_arguments, reason = "a row, its reader, and what both were")]
fn tell(
    read: &Read<'_>,
    shape: &Shape,
    key: &str,
    now: Option<Row>,
    changes: &[&Change],
    past: &Past,
    loose: bool,
    budget: &Budget,
) -> Result<Option<(Json, usize)>, SqlError> {
    let spec = shape.spec;
    let own = changes.iter().copied().filter(|change| is_of(shape, change) && change.key == key);
    let (before, known) = rolled_back(spec, now.clone(), own);
    let sees = now.as_ref().map_or(Ok(false), |row| shape.sees(read, row, budget))?;
    let sure = known && !loose;
    let saw = match before.as_ref().or(now.as_ref()) {
        Some(row) if !sure => shape.may_have_seen(read, row, past)?,
        _ => before.as_ref().map_or(Ok(false), |row| shape.saw(read, row, past, budget))?,
    };
    // Whoever may no longer see a row is told its key and nothing of what it was.
    let full = shape.full && sure && before.as_ref().map_or(Ok(false), |row| shape.scope.sees(read, spec, row))?;
    let (operation, row, changed): (_, _, Box<dyn Fn(usize) -> bool>) = match (saw, sees, &before, &now) {
        (true, true, Some(before), Some(now)) if sure => {
            if before == now {
                return Ok(None);
            }
            let (was, is, full) = (before.0.clone(), now.0.clone(), shape.full);
            ("update", now, Box::new(move |place| full || was[place] != is[place]))
        }
        (_, true, _, Some(now)) => ("insert", now, Box::new(|_| true)),
        (true, false, Some(row), _) | (true, false, None, Some(row)) => ("delete", row, Box::new(move |_| full)),
        _ => return Ok(None),
    };
    let mut txids: Vec<i64> = changes.iter().map(|change| change.txid).collect();
    txids.dedup();
    let lsn = txids.last().copied().unwrap_or(0).to_string();
    let mut message = json!({
        "key": row.name(spec),
        "value": row.value(spec, changed),
        "headers": { "operation": operation, "relation": ["public", spec.name], "txids": txids, "lsn": lsn },
    });
    if let (true, "update", Some(before)) = (shape.full, operation, &before) {
        message["old_value"] = before.changed_from(spec, row);
    }
    Ok(Some((message, row.len())))
}

/// Numbers the messages of each commit, and marks its last.
fn number(mut messages: Vec<Json>) -> Vec<Json> {
    let lsn = |message: Option<&Json>| message.map(|message| message["headers"]["lsn"].clone());
    let mut position = 0;
    for i in 0..messages.len() {
        let last = lsn(messages.get(i + 1)) != lsn(messages.get(i));
        let headers = &mut messages[i]["headers"];
        headers["op_position"] = position.into();
        position += 2;
        if last {
            headers["last"] = true.into();
            position = 0;
        }
    }
    messages
}
