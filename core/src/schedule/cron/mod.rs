//! Cron: what an expression means, where its stream stands, and when it fires next (wake specification, section 3.6).
//!
//! Pure: a value in, a value out. Ticks, their rows and their chains are not here.
//!
//! # What it means
//!
//! An expression means what the wire's parser makes of it (`cron-parser` 5.5), field by field and day by day. Days on
//! which the clock changes follow three rules:
//!
//! * **An expression that names every hour** fires in each hour that passes: not in one that is skipped, twice in one
//!   that comes twice.
//! * **Any other** fires once for each time that it names: in the first of two hours that read alike, and as much later
//!   as the clock is put forward where its time is skipped, `30 2 * * *` at 03:30.
//! * **A skipped midnight** takes the skipped times with it: `0 0 * * *` does not fire on that day.
//!
//! # Where it is deliberately right
//!
//! `cron-parser` loses its way in a few places, where nobody can rely on what comes out:
//!
//! * What can never match, `0 0 31 2,4 *`, is [`CronError::Never`]; there it gives a date decades ahead.
//! * What is rare is found however far ahead, `0 0 * 2 1#5` for instance; there it gives up after ten thousand steps.
//! * On a day whose clock is put forward, `0 9 * * *` fires at nine; there it does not fire on that day. It forgets all
//!   hours after the change but the skipped one, and the skipped one too where the clock moves by other than an hour.
//! * On a day whose clock is put back, it makes no difference when the question is asked. There an expression fires in the
//!   second of two hours when it is asked in between, misses a midnight that comes twice, and where the clock moves by half
//!   an hour, or a minute after midnight, even answers with a time that has passed.
//! * Nonsense is refused: `H`, which there is another value each time; a bare `L` among weekdays; and what it reads only
//!   because it reads carelessly, `5*` as `50-59` or `jan` as a weekday.

mod calendar;
mod fields;
mod next;
mod zone;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use fields::Fields;

use crate::limits::CRON;
pub use next::next_fire;

/// An expression in a time zone, understood.
#[derive(Clone, Debug)]
pub struct Spec {
    expression: String,
    zone: String,
    path: String,
    fields: Fields,
    clock: TimeZone,
}

/// Why there is no next time. The texts of the first two are the wire's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CronError {
    /// No such time zone.
    #[error("Invalid cron timezone: \"{0}\"")]
    Timezone(String),
    /// Not an expression.
    #[error("Invalid cron expression: \"{0}\"")]
    Expression(String),
    /// An expression that no day ever matches.
    #[error("cron expression `{0}` never fires")]
    Never(String),
}

impl Spec {
    /// Reads an expression and a time zone, UTC if none is given. The expression stays as it is, letter by letter; the
    /// zone becomes the name that JavaScript gives it: `us/pacific` is `America/Los_Angeles`.
    ///
    /// # Errors
    /// [`CronError::Timezone`], before [`CronError::Expression`].
    pub fn parse(expression: &str, timezone: Option<&str>) -> Result<Self, CronError> {
        let raw = timezone.unwrap_or(UTC);
        let zone = zone::canonical(raw).ok_or_else(|| CronError::Timezone(shown(raw)))?;
        Self::new(expression, &zone, None)
    }

    /// Reads the path of a stream. Whoever made the path may name zones otherwise, so the path and its zone stay as they
    /// are. An older form, the bare expression, is in UTC. Of anything else, none.
    #[must_use]
    pub fn of_path(path: &str) -> Option<Self> {
        let encoded = path.strip_prefix(ROOT).filter(|encoded| !encoded.is_empty())?;
        let decoded = URL_SAFE_NO_PAD.decode(encoded.trim_end_matches('=')).ok()?;
        let text = std::str::from_utf8(&decoded).ok()?;
        if serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() {
            return Self::new(text, UTC, Some(path)).ok();
        }
        let Decoded { expression, timezone } = serde_json::from_str(text).ok()?;
        Self::new(&expression, timezone.as_deref().unwrap_or(UTC), Some(path)).ok()
    }

    /// The expression, as it was given.
    #[must_use]
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// The name of the time zone.
    #[must_use]
    pub fn zone(&self) -> &str {
        &self.zone
    }

    /// The path of its stream: what identifies it.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    fn new(expression: &str, zone: &str, path: Option<&str>) -> Result<Self, CronError> {
        let clock = zone::find(zone).ok_or_else(|| CronError::Timezone(zone.to_owned()))?;
        let fields = Some(expression).filter(|expression| expression.len() <= CRON).and_then(Fields::parse);
        let fields = fields.ok_or_else(|| CronError::Expression(shown(expression)))?;
        let path = path.map_or_else(|| encode(expression, zone), str::to_owned);
        Ok(Self { expression: expression.to_owned(), zone: zone.to_owned(), path, fields, clock })
    }
}

/// What an error shows of a text that may be long.
fn shown(text: &str) -> String {
    text.chars().take(CRON).collect()
}

/// What a path says, in this order.
#[derive(Serialize)]
struct Encoded<'a> {
    expression: &'a str,
    timezone: &'a str,
}

#[derive(Deserialize)]
struct Decoded {
    expression: String,
    timezone: Option<String>,
}

fn encode(expression: &str, timezone: &str) -> String {
    let json = serde_json::to_string(&Encoded { expression, timezone }).expect("two strings serialise");
    format!("{ROOT}{}", URL_SAFE_NO_PAD.encode(json))
}

/// Where the streams of ticks stand.
const ROOT: &str = "/_cron/";
const UTC: &str = "UTC";

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn path_of(text: &str) -> String {
        format!("/_cron/{}", URL_SAFE_NO_PAD.encode(text))
    }

    #[test]
    fn a_path_is_the_specification_encoded() {
        for (expression, zone, path) in [
            ("0 9 * * *", None, "/_cron/eyJleHByZXNzaW9uIjoiMCA5ICogKiAqIiwidGltZXpvbmUiOiJVVEMifQ"),
            (
                "*/1 * * * * *",
                Some("America/Denver"),
                "/_cron/eyJleHByZXNzaW9uIjoiKi8xICogKiAqICogKiIsInRpbWV6b25lIjoiQW1lcmljYS9EZW52ZXIifQ",
            ),
        ] {
            let spec = Spec::parse(expression, zone).expect("valid");
            assert_eq!(spec.path(), path);
            let again = Spec::of_path(path).expect("valid");
            assert_eq!((again.expression(), again.zone(), again.path()), (expression, spec.zone(), path));
        }
    }

    #[test]
    fn an_expression_stays_as_it_was_given() {
        for expression in ["0 9 * * *", "0  9 * * *", " 0 9 * * *", "0\t9 * * *\n", "", "@daily", "0 9 * * Mon"] {
            let spec = Spec::parse(expression, None).expect(expression);
            assert_eq!(spec.expression(), expression);
            assert_eq!(Spec::of_path(spec.path()).expect(expression).expression(), expression);
        }
        // As JSON.stringify writes it.
        let spec = Spec::parse("0\t9 * * *\u{2003}", None).expect("valid");
        assert_eq!(spec.path(), path_of("{\"expression\":\"0\\t9 * * *\u{2003}\",\"timezone\":\"UTC\"}"));
    }

    #[test]
    fn the_zone_of_a_path_stays_too() {
        let path = path_of(r#"{"expression":"0 9 * * *","timezone":"Asia/Kolkata"}"#);
        let spec = Spec::of_path(&path).expect("valid");
        assert_eq!((spec.zone(), spec.path()), ("Asia/Kolkata", path.as_str()));
        assert_eq!(Spec::parse("0 9 * * *", Some("Asia/Kolkata")).expect("valid").zone(), "Asia/Calcutta");
    }

    #[test]
    fn paths_that_others_made() {
        let read = |text: &str| Spec::of_path(&path_of(text)).map(|s| (s.expression().to_owned(), s.zone().to_owned()));
        let in_utc = |expression: &str| Some((expression.to_owned(), "UTC".to_owned()));
        for (text, spec) in [
            ("0 9 * * *", in_utc("0 9 * * *")),
            ("@hourly", in_utc("@hourly")),
            (r#"{"expression":"0 9 * * *"}"#, in_utc("0 9 * * *")),
            (r#"{"timezone":null,"expression":"0 9 * * *","more":1}"#, in_utc("0 9 * * *")),
            (r#"{"expression":"0 9 * * *","timezone":"Nowhere"}"#, None),
            (r#"{"expression":"0 9 * * *","timezone":5}"#, None),
            (r#"{"expression":"nonsense"}"#, None),
            (r#"{"expression":5}"#, None),
            ("nonsense", None),
            ("5", None),
            ("\"@daily\"", None),
        ] {
            assert_eq!(read(text), spec, "{text}");
        }
        assert_eq!(Spec::of_path("/_cron/MCA5ICogKiAq").map(|s| s.expression), Some("0 9 * * *".into()));
        for path in ["/_cron", "/_cron/", "/_cron/*", "/_cron/MCA5ICogKiAq/more", "/cron/MCA5ICogKiAq", "/_cron/_w"] {
            assert!(Spec::of_path(path).is_none(), "{path}");
        }
    }

    #[test]
    fn refusals_say_what_was_given() {
        for (expression, zone, message) in [
            ("nonsense", Some("utc"), "Invalid cron expression: \"nonsense\""),
            ("0 9 * * \"x\"", None, "Invalid cron expression: \"0 9 * * \"x\"\""),
            ("0 9 * * *", Some(" UTC"), "Invalid cron timezone: \" UTC\""),
            ("nonsense", Some(""), "Invalid cron timezone: \"\""),
        ] {
            assert_eq!(Spec::parse(expression, zone).expect_err(expression).to_string(), message);
        }
    }
}
