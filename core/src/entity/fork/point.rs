//! Where in its root's stream a fork branches off, when that is not its end.

use super::ask::{Place, bad};
use super::replay::{Told, check_rows, check_size};
use crate::http::Error;
use crate::store::{EntityRow, SqlError, StreamRow, Tx};
use crate::stream::{Event, Offset, split};

/// A place between two events of a stream.
#[derive(Clone, Debug)]
pub(super) struct Point {
    /// The entry before it ends here.
    pub(super) at: Offset,
    /// How many events of the next entry come before it, too.
    pub(super) sub: i64,
    /// Those of the root's children that its manifest names there.
    pub(super) children: Vec<String>,
}

/// Finds the place that is asked for.
pub(super) fn find(tx: &Tx<'_>, root: &EntityRow, place: &Place) -> Result<Point, Error> {
    let stream = tx.stream_by_id(root.id)?.ok_or_else(|| SqlError::new("an entity has lost its stream"))?;
    check_size(root, [&stream])?;
    let (at, sub) = match place {
        Place::Head => (stream.tail, 0),
        Place::Pointer { offset, sub } => pointed_at(tx, &stream, offset.as_deref(), *sub)?,
        Place::LatestRun => after_latest_run(tx, &stream)?,
    };
    let mut point = Point { at, sub, children: Vec::new() };
    let told = Told::of(tx, &stream, Some(&point))?;
    check_rows(root, std::slice::from_ref(&told))?;
    for url in told.children() {
        if tx.entity(&url)?.is_some_and(|child| child.parent.as_deref() == Some(&root.url)) {
            point.children.push(url);
        }
    }
    Ok(point)
}

/// The place so many events after the entry that ends at an offset, or after the start.
fn pointed_at(tx: &Tx<'_>, stream: &StreamRow, offset: Option<&str>, sub: f64) -> Result<(Offset, i64), Error> {
    let known = offset.map_or(Some(Offset::ZERO), |text| Offset::parse(text).filter(|at| at.to_string() == text));
    let (mut found, mut after, mut place) = (offset.is_none(), 0usize, None);
    let mut before = Offset::ZERO;
    tx.entries_apart(stream, Offset::ZERO, |end, entry| {
        let here = events(entry).len();
        if found {
            place = place.or_else(|| within(sub - after as f64, here, before, end));
            after += here;
        }
        found |= known == Some(end);
        before = end;
    })?;
    if !found {
        let offset = offset.unwrap_or("null");
        let what = "does not match any event's Stream-Next-Offset on";
        return Err(bad(format!("fork_pointer.offset ({offset}) {what} {}", stream.path)).into());
    }
    let out_of_range = || {
        let range = format!("out of range past anchor on {} (valid: 1..{after})", stream.path);
        bad(format!("fork_pointer.sub_offset {sub} {range}")).into()
    };
    place.filter(|_| sub >= 1.0 && sub.fract() == 0.0).ok_or_else(out_of_range)
}

/// The place behind `left` events of an entry, if it has as many.
fn within(left: f64, events: usize, before: Offset, end: Offset) -> Option<(Offset, i64)> {
    #[allow(clippy::cast_possible_truncation, reason = "it is no more than there are events in an entry")]
    match left {
        left if left > events as f64 => None,
        left if left == events as f64 => Some((end, 0)),
        left => Some((before, left as i64)),
    }
}

/// The place behind the last event that says that a run was completed.
fn after_latest_run(tx: &Tx<'_>, stream: &StreamRow) -> Result<(Offset, i64), Error> {
    let (mut latest, mut before) = (None, Offset::ZERO);
    tx.entries_apart(stream, Offset::ZERO, |end, entry| {
        let events = events(entry);
        if let Some(index) = events.iter().rposition(|event| completes_run(&Event::of(event))) {
            latest = if index + 1 == events.len() { Some((end, 0)) } else { Some((before, index as i64 + 1)) };
        }
        before = end;
    })?;
    latest.ok_or_else(|| bad(format!("Source {} has no completed run to fork from", stream.path)).into())
}

fn completes_run(event: &Event<'_>) -> bool {
    event.kind.as_deref() == Some("run")
        && event.operation.as_deref() != Some("delete")
        && event.value_str("status").as_deref() == Some("completed")
}

/// The events of an entry.
pub(super) fn events(entry: &[u8]) -> Vec<&str> {
    split(std::str::from_utf8(entry).unwrap_or(""))
}
