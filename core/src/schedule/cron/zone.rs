//! Time zones by name, as JavaScript canonicalises them.
//!
//! The data is that of the time zone database, in the binary. JavaScript asks ICU for names, whose canonical ones are not
//! the database's: which differ stands in `zones.txt`, made by `tests/cron/zones.mjs`.

use jiff::tz::{TimeZone, TimeZoneDatabase};

/// The name that JavaScript gives a zone; none if it knows of none. Case does not matter.
pub(super) fn canonical(name: &str) -> Option<String> {
    match renamed(name) {
        Some("") => None,
        Some(name) => Some(name.to_owned()),
        None => Some(TimeZoneDatabase::bundled().get(name).ok()?.iana_name()?.to_owned()),
    }
}

/// A zone by any of its names.
pub(super) fn find(name: &str) -> Option<TimeZone> {
    let database = TimeZoneDatabase::bundled();
    database.get(name).or_else(|_| database.get(renamed(name).unwrap_or_default())).ok()
}

/// What the table says of a name: another name, an empty one where it is refused, or nothing.
fn renamed(name: &str) -> Option<&'static str> {
    let mut lines = TABLE.lines().filter_map(|line| line.split_once(':'));
    lines.find_map(|(to, from)| from.split_whitespace().any(|from| from.eq_ignore_ascii_case(name)).then_some(to))
}

/// A name, a colon, and those that it stands for.
const TABLE: &str = include_str!("zones.txt");

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn names_are_those_of_javascript() {
        for (name, canonical_name) in [
            ("UTC", "UTC"),
            ("utc", "UTC"),
            ("GMT", "UTC"),
            ("Etc/UTC", "UTC"),
            ("Zulu", "UTC"),
            ("US/Pacific", "America/Los_Angeles"),
            ("us/pacific", "America/Los_Angeles"),
            ("europe/paris", "Europe/Paris"),
            ("AMERICA/ARGENTINA/USHUAIA", "America/Argentina/Ushuaia"),
            ("Asia/Kolkata", "Asia/Calcutta"),
            ("Asia/Calcutta", "Asia/Calcutta"),
            ("EST", "America/Panama"),
            ("CET", "Europe/Brussels"),
            ("PST", "America/Los_Angeles"),
            ("Etc/GMT+5", "Etc/GMT+5"),
        ] {
            assert_eq!(canonical(name).as_deref(), Some(canonical_name), "{name}");
        }
    }

    #[test]
    fn what_javascript_does_not_know_is_refused() {
        for name in [
            "",
            " ",
            "Z",
            "+05:30",
            "-08",
            "UTC+1",
            "Nowhere",
            "Factory",
            "Etc/Unknown",
            " UTC",
            "UTC ",
            "Europe",
            "Asia/",
            ":",
            "UTC:",
            "Europe/Paris\0",
            "é",
        ] {
            assert_eq!(canonical(name), None, "{name:?}");
        }
    }

    #[test]
    fn every_name_of_the_table_has_a_clock() {
        for line in TABLE.lines() {
            let (to, from) = line.split_once(": ").expect("a name, a colon");
            for name in from.split(' ') {
                assert_eq!(canonical(name), (!to.is_empty()).then(|| to.to_owned()), "{name}");
                assert!(to.is_empty() || find(name).is_some() && find(to).is_some(), "{name} or {to}");
                assert!(to.is_empty() || canonical(to).as_deref() == Some(to), "{to}");
            }
        }
    }
}
