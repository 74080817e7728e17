//! Offsets: clients compare them as text, the store as numbers.

use proptest::prelude::*;

use super::check;
use crate::store::MAX_INT;
use crate::stream::Offset;

/// What a stream can reach in 16 digits.
const REACH: i64 = 9_999_999_999_999_999;

#[test]
fn texts_are_ordered_as_their_numbers_are() {
    let near = (0..=REACH).prop_flat_map(|a| (Just(a), prop_oneof![0..=REACH, (a - 2).max(0)..=(a + 2).min(REACH)]));
    check(2000, &near, |(a, b)| {
        let (one, other) = (Offset::at(a), Offset::at(b));
        prop_assert_eq!(one.to_string().cmp(&other.to_string()), a.cmp(&b));
        prop_assert_eq!(one.cmp(&other), a.cmp(&b));
        Ok(())
    });
}

#[test]
fn the_wires_form_round_trips() {
    check(2000, &(0..=REACH), |bytes| {
        let text = Offset::at(bytes).to_string();
        prop_assert_eq!(text.len(), 33);
        prop_assert_eq!(Offset::parse(&text), Some(Offset::at(bytes)));
        Ok(())
    });
}

#[test]
fn any_text_is_an_offset_or_is_none() {
    let text = prop_oneof![
        any::<String>(),
        "[0-9_+ -]{0,40}",
        "[0-9]{1,22}_[0-9]{1,22}",
        "\\PC{0,5}_\\PC{0,5}",
        any::<(u64, u64)>().prop_map(|(a, b)| format!("{a}_{b}")),
    ];
    check(4000, &text, |text| {
        let parsed = Offset::parse(&text);
        let halves: Vec<&str> = text.split('_').collect();
        let digits = |half: &&str| !half.is_empty() && half.len() <= 20 && half.bytes().all(|b| b.is_ascii_digit());
        prop_assert_eq!(parsed.is_some(), halves.len() == 2 && halves.iter().all(digits));
        if let Some(offset) = parsed {
            // What a stream cannot reach lies beyond every tail, and crosses the seam to storage all the same.
            let exact = halves[0].parse::<u128>().expect("digits") == 0 && halves[1].len() <= 16;
            prop_assert_eq!(exact && offset.bytes() > REACH, false);
            prop_assert!(offset >= Offset::ZERO);
            let crate::store::Value::Int(stored) = offset.into() else { panic!("a number") };
            prop_assert!((0..=MAX_INT).contains(&stored));
        }
        Ok(())
    });
}
