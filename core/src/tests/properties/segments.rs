//! Segments and what sealing makes of entries: nothing is lost, and every reader finds its place.

use proptest::prelude::*;

use super::check;
use crate::limits::{SEAL_LARGE, SEAL_LEAST, SEAL_MOST};
use crate::store::{Places, Segment};
use crate::stream::Offset;
use crate::stream::probe::plan;

/// An entry: how far it moved the tail, and its bytes. The two have little to do with each other: stamps are not counted.
fn entries() -> impl Strategy<Value = Vec<(usize, Vec<u8>)>> {
    let step = prop_oneof![8 => 1usize..20, 2 => 120usize..140, 1 => 16_380usize..16_390, 1 => 1usize << 40..1 << 41];
    let data = prop_oneof![
        6 => prop::collection::vec(any::<u8>(), 0..12),
        1 => (120usize..140).prop_map(|n| vec![b'x'; n]),
        1 => (16_380usize..16_390).prop_map(|n| vec![b'y'; n]),
    ];
    prop::collection::vec((step, data), 1..12)
}

#[test]
fn a_range_is_what_reading_entry_by_entry_would_find() {
    let at = || prop_oneof![3 => any::<prop::sample::Index>().prop_map(Some), 1 => Just(None)];
    let budget = prop_oneof![1usize..40, 1usize..40_000, Just(usize::MAX)];
    let cases = (entries(), 0i64..1000, at(), -1i64..=1, at(), -1i64..=1, budget, any::<bool>());
    check(3000, &cases, |(entries, start, after, after_by, upto, upto_by, budget, json)| {
        let mut segment = Segment::default();
        let mut ends = vec![start];
        for (step, data) in &entries {
            segment.push(*step, data, json);
            ends.push(ends[ends.len() - 1] + i64::try_from(*step).expect("small"));
        }
        // Somewhere at an end of an entry, or right beside it.
        let near = |index: Option<prop::sample::Index>, by: i64, none: Offset| {
            index.map_or(none, |i| Offset::at(ends[i.index(ends.len())] + by))
        };
        let (after, upto) = (near(after, after_by, Offset::ZERO), near(upto, upto_by, Offset::END));

        let (mut want, mut last, mut first) = (Vec::new(), None, true);
        for ((_, data), end) in entries.iter().zip(&ends[1..]) {
            let end = Offset::at(*end);
            if end <= after || end > upto || want.len() >= budget && !first {
                continue;
            }
            if json && !first {
                want.push(b',');
            }
            want.extend_from_slice(data);
            (last, first) = (Some(end), false);
        }

        let (bytes, data) = segment.parts();
        let range = Places { start: Offset::at(start), bytes, json }.range(after, upto, budget);
        prop_assert_eq!(range.map(|r| r.end), last);
        prop_assert_eq!(range.map(|r| &data[r.from..r.to]), last.map(|_| want.as_slice()));
        Ok(())
    });
}

#[test]
fn places_that_are_damaged_are_not_read_beyond() {
    let byte = prop_oneof![1 => any::<u8>(), 2 => Just(0xff), 1 => 0u8..4];
    let cases = (prop::collection::vec(byte, 0..60), any::<(u32, u32)>(), any::<usize>(), any::<bool>());
    check(3000, &cases, |(bytes, (after, upto), budget, json)| {
        let offset = |n: u32| Offset::at(i64::from(n));
        let places = Places { start: Offset::ZERO, bytes: &bytes, json };
        let _ = places.range(offset(after), offset(upto), budget);
        Ok(())
    });
}

#[test]
fn sealing_goes_through_all_entries_and_leaves_none_out() {
    let size = prop_oneof![4 => 1usize..2000, 2 => 10_000usize..60_000, 1 => SEAL_LARGE - 2..SEAL_LARGE + 2, 1 => Just(1 << 20)];
    let sizes = prop::collection::vec((1usize..100, size), 0..120);
    check(2000, &(0i64..1000, sizes), |(from, sizes)| {
        let mut at = Offset::at(from);
        let mut left: Vec<(Offset, usize)> = Vec::new();
        for (step, size) in sizes {
            at = at.after(step);
            left.push((at, size));
        }
        let (mut from, whole) = (Offset::at(from), left.len());
        for _ in 0..=whole {
            let plan = plan(from, &left, false);
            prop_assert!(plan.next >= from, "it goes back");
            if let Some(run) = plan.run {
                prop_assert!(run.start >= from && run.start < run.end && run.end <= plan.next);
                let inside: Vec<_> = left.iter().filter(|(end, _)| *end > run.start && *end <= run.end).collect();
                // It begins and ends between entries, and holds small ones, next to each other, of the size it says.
                prop_assert!(run.start == from || left.iter().any(|(end, _)| *end == run.start));
                prop_assert_eq!(inside.last().map(|(end, _)| *end), Some(run.end));
                prop_assert!(inside.iter().all(|(_, size)| *size < SEAL_LARGE));
                prop_assert_eq!(inside.iter().map(|(_, size)| size).sum::<usize>(), run.bytes);
                prop_assert!(run.bytes < SEAL_MOST + SEAL_LARGE);
            }
            // What is passed over for good is large, or alone between two that are, or lies after large ones too little.
            let passed = left.iter().filter(|(end, _)| *end <= plan.next);
            let loose: Vec<usize> = passed
                .filter(|(end, _)| plan.run.is_none_or(|r| *end <= r.start || *end > r.end))
                .map(|e| e.1)
                .collect();
            let small = loose.iter().filter(|size| **size < SEAL_LARGE).count();
            prop_assert!(small <= loose.len() - small, "{} small ones passed over", small);
            left.retain(|(end, _)| *end > plan.next);
            if plan.next == from {
                let rest: usize = left.iter().map(|(_, size)| size).sum();
                prop_assert!(rest < SEAL_LEAST, "{} bytes are not sealed", rest);
                return Ok(());
            }
            from = plan.next;
        }
        prop_assert!(false, "it never ends");
        Ok(())
    });
}
