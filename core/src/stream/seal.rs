//! Sealing: cold entries are laid many in a row, from which they are read several times as fast.
//!
//! An append that carries its stream past a step arms a timer; when it is due, one segment is made at a time, in a
//! command of its own. The newest entry is never sealed: it is where the tail stands. An entry that is large by itself
//! stays as it is.

use super::offset::Offset;
use crate::limits::{SEAL_AFTER, SEAL_LARGE, SEAL_LEAST, SEAL_MOST, SEAL_ROWS};
use crate::store::{Segment, SqlError, TimerKind, Tx};

/// An append has moved a stream: it may have something to seal later.
pub(super) fn moved(tx: &Tx<'_>, stream: i64, start: Offset, end: Offset, size: usize) -> Result<(), SqlError> {
    let step = |offset: Offset| offset.bytes() / SEAL_STEP;
    if step(start) == step(end) || size >= SEAL_LARGE {
        return Ok(());
    }
    tx.arm(tx.now + SEAL_AFTER, TimerKind::Seal, stream)
}

/// Seals one segment of a stream, and says to go on when there may be more.
pub(crate) fn seal(tx: &Tx<'_>, id: i64) -> Result<(), SqlError> {
    let Some(mut stream) = tx.stream_by_id(id)? else { return Ok(()) };
    if tx.runner_of(&stream.path)?.is_some() {
        return Ok(()); // a wake stream is compacted instead
    }
    let from = stream.sealed.max(stream.base);
    let (mut sizes, full) = tx.entry_sizes(id, from, SEAL_ROWS)?;
    sizes.pop();
    let plan = plan(from, &sizes, full);
    if let Some(run) = plan.run {
        let (mut segment, mut at, json) = (Segment::default(), run.start, stream.is_json());
        tx.entries(&stream, run.start, run.bytes, |end, entry| {
            segment.push(end.since(at), entry, json);
            at = end;
        })?;
        if at != run.end {
            return Err(SqlError::new(format!("sealing stopped at {at} instead of {}", run.end)));
        }
        tx.insert_segment(id, run.start, run.end, &segment)?;
        tx.delete_entries(id, run.start, run.end)?;
    }
    if plan.next > stream.sealed {
        stream.sealed = plan.next;
        tx.update_stream(&stream)?;
    }
    if plan.next > from && (full || plan.run.is_some()) {
        tx.arm(tx.now, TimerKind::Seal, id)?;
    }
    Ok(())
}

/// What one turn of sealing does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The entries to lay in one segment.
    pub(crate) run: Option<Run>,
    /// Where to look next.
    pub(crate) next: Offset,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) start: Offset,
    pub(crate) end: Offset,
    pub(crate) bytes: usize,
}

/// Plans a turn over entries after `from`: large ones are passed over, small ones gathered until they are enough, in
/// bytes or, where there are `many`, in number.
pub(crate) fn plan(from: Offset, sizes: &[(Offset, usize)], many: bool) -> Plan {
    let mut run = Run { start: from, end: from, bytes: 0 };
    let mut count = 0;
    for (end, size) in sizes {
        if *size >= SEAL_LARGE {
            if count > 1 {
                return Plan { run: Some(run), next: *end };
            }
            run = Run { start: *end, end: *end, bytes: 0 };
            count = 0;
            continue;
        }
        run = Run { end: *end, bytes: run.bytes + size, ..run };
        count += 1;
        if run.bytes >= SEAL_MOST {
            break;
        }
    }
    if run.bytes >= SEAL_LEAST || (many && count > 1) {
        Plan { run: Some(run), next: run.end }
    } else {
        Plan { run: None, next: run.start }
    }
}

/// How far a stream moves from one sealing to the next.
const SEAL_STEP: i64 = 128 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn sizes(of: &[usize]) -> Vec<(Offset, usize)> {
        let mut at = Offset::ZERO;
        of.iter()
            .map(|size| {
                at = at.after(*size);
                (at, *size)
            })
            .collect()
    }

    #[test]
    fn small_entries_are_gathered_and_large_ones_left() {
        let of = |list: &[usize]| plan(Offset::ZERO, &sizes(list), false);
        assert_eq!(of(&[]), Plan { run: None, next: Offset::ZERO });
        assert_eq!(of(&[100; 10]), Plan { run: None, next: Offset::ZERO }, "too few to be worth it");
        let many = of(&[1000; 1000]);
        let run = many.run.expect("a segment");
        assert_eq!((run.start, run.end, many.next), (Offset::ZERO, Offset::at(263_000), Offset::at(263_000)));
        let tiny = plan(Offset::ZERO, &sizes(&[10; 100]), true);
        assert_eq!(tiny.next, Offset::at(1000), "as many as one turn looks at");
        let large = of(&[SEAL_LARGE, SEAL_LARGE, 5]);
        assert_eq!(large, Plan { run: None, next: Offset::at(2 * SEAL_LARGE as i64) });
        let mixed = of(&[10, 20, SEAL_LARGE, 30]);
        assert_eq!(mixed.run, Some(Run { start: Offset::ZERO, end: Offset::at(30), bytes: 30 }));
        assert_eq!(mixed.next, Offset::at(30 + SEAL_LARGE as i64));
    }
}
