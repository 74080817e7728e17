//! Producers: each append is accepted once, in order, whatever the network does to it.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::check;
use crate::stream::producer::{Accepted, Judgement, judge};

/// A log that remembers everything it ever took.
#[derive(Default)]
struct Log(BTreeMap<u8, BTreeSet<(i64, i64)>>);

impl Log {
    /// What the protocol's words say of an append: by the whole history, not by its last line.
    fn expects(&self, name: u8, epoch: i64, seq: i64) -> Judgement {
        let taken = self.0.get(&name);
        let epochs = || taken.into_iter().flatten().map(|(epoch, _)| *epoch);
        let Some(current) = epochs().max() else {
            return if seq == 0 { Judgement::Accept } else { Judgement::Gap { expected: 0 } };
        };
        if epoch < current {
            return Judgement::Fenced;
        }
        if epoch > current {
            return if seq == 0 { Judgement::Accept } else { Judgement::BadEpoch };
        }
        if taken.is_some_and(|t| t.contains(&(epoch, seq))) {
            return Judgement::Duplicate;
        }
        let count = i64::try_from(epochs().filter(|e| *e == current).count()).expect("few");
        if seq == count { Judgement::Accept } else { Judgement::Gap { expected: count } }
    }
}

fn last_of(log: &[(i64, i64)]) -> Option<Accepted> {
    log.last().map(|(epoch, seq)| Accepted { epoch: *epoch, seq: *seq })
}

#[test]
fn every_append_is_judged_as_a_log_of_all_would() {
    let appends = prop::collection::vec((0u8..3, 0i64..4, 0i64..6), 0..80);
    check(1000, &appends, |appends| {
        let mut model = Log::default();
        let mut last: BTreeMap<u8, Accepted> = BTreeMap::new();
        for (name, epoch, seq) in appends {
            let got = judge(last.get(&name).copied(), epoch, seq);
            prop_assert_eq!(got, model.expects(name, epoch, seq), "{} {} {}", name, epoch, seq);
            if got == Judgement::Accept {
                last.insert(name, Accepted { epoch, seq });
                prop_assert!(model.0.entry(name).or_default().insert((epoch, seq)), "taken twice");
            }
        }
        Ok(())
    });
}

/// A client that sends all it has, in whatever order and however often it arrives, then again what was not taken.
#[test]
fn whatever_the_network_does_all_is_there_once_after_retries_in_order() {
    let deliveries = (1i64..12, 0i64..5)
        .prop_flat_map(|(count, epoch)| (Just(count), Just(epoch), prop::collection::vec(0..count, 0..40)));
    check(1000, &deliveries, |(count, epoch, first)| {
        let mut log: Vec<(i64, i64)> = Vec::new();
        for seq in first.into_iter().chain(0..count) {
            match judge(last_of(&log), epoch, seq) {
                Judgement::Accept => log.push((epoch, seq)),
                Judgement::Duplicate => prop_assert!(log.contains(&(epoch, seq)), "{} was never taken", seq),
                Judgement::Gap { expected } => {
                    prop_assert!(expected < seq);
                    prop_assert_eq!(expected, i64::try_from(log.len()).expect("few"));
                }
                other => prop_assert!(false, "{:?}", other),
            }
        }
        prop_assert_eq!(log, (0..count).map(|seq| (epoch, seq)).collect::<Vec<_>>());
        Ok(())
    });
}

#[test]
fn a_new_epoch_fences_every_older_one() {
    check(1000, &(0i64..i64::MAX - 1, 0i64..i64::MAX, any::<u32>(), 0i64..i64::MAX), |(epoch, seq, ahead, other)| {
        let newer = epoch.saturating_add(i64::from(ahead) + 1);
        let last = Some(Accepted { epoch: newer, seq: 0 });
        prop_assert_eq!(judge(Some(Accepted { epoch, seq }), newer, 0), Judgement::Accept);
        prop_assert_eq!(judge(last, epoch, other), Judgement::Fenced);
        Ok(())
    });
}
