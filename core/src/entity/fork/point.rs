//! Where in its root's stream a fork branches off, when that is not its end.

use super::ask::{Place, bad};
use super::replay::Told;
use crate::http::Error;
use crate::store::{EntityRow, SqlError, StreamRow, Tx};
use crate::stream::{Event, Offset, split};

/// A place between two events of a stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    /// The entry before it ends here.
    pub(super) at: Offset,
    /// How many events of the next entry come before it, too.
    pub(super) sub: i64,
}

/// The search for a place, in as many transactions as that takes.
#[derive(Clone, Debug, Default)]
pub(super) struct Search {
    /// Up to where the stream was read.
    at: Offset,
    /// The offset of a pointer was met.
    found: bool,
    /// How many events came after it.
    after: usize,
    place: Option<(Offset, i64)>,
}

impl Search {
    /// Reads on, as far as `left` bytes go. Gives the place once it is known.
    ///
    /// # Errors
    /// There is no such place.
    pub(super) fn go_on(
        &mut self,
        tx: &Tx<'_>,
        stream: &StreamRow,
        place: &Place,
        left: &mut usize,
    ) -> Result<Option<(Offset, i64)>, Error> {
        match place {
            Place::Head => Ok(Some((stream.tail, 0))),
            Place::Pointer { offset, sub } => self.pointed_at(tx, stream, offset.as_deref(), *sub, left),
            Place::LatestRun => self.after_latest_run(tx, stream, left),
        }
    }

    /// The place so many events after the entry that ends at an offset, or after the start.
    fn pointed_at(
        &mut self,
        tx: &Tx<'_>,
        stream: &StreamRow,
        offset: Option<&str>,
        sub: f64,
        left: &mut usize,
    ) -> Result<Option<(Offset, i64)>, Error> {
        let known = offset.map_or(Some(Offset::ZERO), |text| Offset::parse(text).filter(|at| at.to_string() == text));
        self.found |= offset.is_none();
        let is_possible = sub >= 1.0 && sub.fract() == 0.0;
        let there = self.read_on(tx, stream, left, |search, events, before, end| {
            if search.found {
                let place = search.place.or_else(|| within(sub - search.after as f64, events.len(), before, end));
                search.place = place.filter(|_| is_possible);
                search.after += events.len();
            }
            search.found |= known == Some(end);
        })?;
        if self.place.is_some() || !there {
            return Ok(self.place);
        }
        if !self.found {
            let offset = offset.unwrap_or("null");
            let what = "does not match any event's Stream-Next-Offset on";
            return Err(bad(format!("fork_pointer.offset ({offset}) {what} {}", stream.path)).into());
        }
        let range = format!("out of range past anchor on {} (valid: 1..{})", stream.path, self.after);
        Err(bad(format!("fork_pointer.sub_offset {sub} {range}")).into())
    }

    /// The place behind the last event that says that a run was completed.
    fn after_latest_run(
        &mut self,
        tx: &Tx<'_>,
        stream: &StreamRow,
        left: &mut usize,
    ) -> Result<Option<(Offset, i64)>, Error> {
        let there = self.read_on(tx, stream, left, |search, events, before, end| {
            if let Some(index) = events.iter().rposition(|event| completes_run(&Event::of(event))) {
                let place = if index + 1 == events.len() { (end, 0) } else { (before, index as i64 + 1) };
                search.place = Some(place);
            }
        })?;
        match self.place {
            _ if !there => Ok(None),
            None => Err(bad(format!("Source {} has no completed run to fork from", stream.path)).into()),
            place => Ok(place),
        }
    }

    /// Visits the events of the entries that come next. Says whether those were all.
    fn read_on(
        &mut self,
        tx: &Tx<'_>,
        stream: &StreamRow,
        left: &mut usize,
        mut visit: impl FnMut(&mut Self, &[&str], Offset, Offset),
    ) -> Result<bool, SqlError> {
        let mut before = self.at;
        let at = tx.entries_apart(stream, self.at, *left, |end, entry| {
            visit(self, &events(entry), before, end);
            before = end;
            *left = left.saturating_sub(entry.len().max(1));
        })?;
        self.at = at;
        Ok(at >= stream.tail)
    }
}

/// Those of an entity's children that its manifest names.
pub(super) fn children(tx: &Tx<'_>, root: &EntityRow, told: &Told) -> Result<Vec<String>, SqlError> {
    let mut children = told.children();
    let mut is_child = Vec::with_capacity(children.len());
    for url in &children {
        is_child.push(tx.entity(url)?.is_some_and(|child| child.parent.as_deref() == Some(&root.url)));
    }
    let mut is_child = is_child.into_iter();
    children.retain(|_| is_child.next() == Some(true));
    Ok(children)
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

fn completes_run(event: &Event<'_>) -> bool {
    event.kind.as_deref() == Some("run")
        && event.operation.as_deref() != Some("delete")
        && event.value_str("status").as_deref() == Some("completed")
}

/// The events of an entry.
pub(super) fn events(entry: &[u8]) -> Vec<&str> {
    split(std::str::from_utf8(entry).unwrap_or(""))
}
