//! How long a stream lives: until a moment, or for a while after its last use (stream protocol, sections 3 and 6.1).

use http::StatusCode;

use super::number::plain_digits;
use crate::http::{Refusal, Request};
use crate::store::MAX_INT;
use crate::time::{Span, Time};

/// How long a stream lives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lifetime {
    /// It expires so long after its last use: a read or an append.
    pub(crate) ttl: Option<Span>,
    /// When it expires, as it was asked for.
    pub(crate) expires_at: Option<String>,
    /// When it expires, by the uses that were remembered.
    pub(crate) until: Option<Time>,
    /// When its timer is due: then or before.
    pub(crate) armed: Option<Time>,
}

impl Lifetime {
    /// Reads `stream-ttl` and `stream-expires-at`, of which a request has at most one.
    pub(super) fn of(request: &Request, now: Time) -> Result<Self, Refusal> {
        let raw = |name: &str| request.headers.get(name).map(|v| v.to_str().unwrap_or("").trim());
        match (raw("stream-ttl"), raw("stream-expires-at")) {
            (None, None) => Ok(Self::default()),
            (Some(ttl), None) => {
                let ttl = seconds(ttl).ok_or_else(|| {
                    refuse("`stream-ttl` is a whole number of seconds, without sign or leading zeros")
                })?;
                let mut lifetime = Self { ttl: Some(ttl), ..Self::default() };
                lifetime.use_at(now);
                Ok(lifetime)
            }
            (None, Some(at)) => {
                let until = rfc3339(at).ok_or_else(|| {
                    refuse("`stream-expires-at` is a timestamp of RFC 3339, such as `2030-01-01T00:00:00Z`")
                })?;
                Ok(Self { ttl: None, expires_at: Some(at.to_owned()), until: Some(until), armed: None })
            }
            (Some(_), Some(_)) => Err(refuse("a stream has `stream-ttl` or `stream-expires-at`, not both")),
        }
    }

    /// A fork's, where its request names none: the same window, fresh, or the same moment.
    pub(super) fn inherited(&self, now: Time) -> Self {
        let mut own = Self { armed: None, ..self.clone() };
        if own.ttl.is_some() {
            own.until = None;
            own.use_at(now);
        }
        own
    }

    /// Whether both were asked for alike: the same window, or the same moment in whatever spelling.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.ttl == other.ttl && (self.ttl.is_some() || self.until == other.until)
    }

    /// Whether it is over.
    pub(crate) fn is_over(&self, now: Time) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// Whether a use at this moment moves the end by enough to be remembered. Every use counts: what is remembered is
    /// up to a second, or a sixty-fourth of the window, more than was asked for, and later uses within that cost nothing.
    pub(super) fn wants_use(&self, now: Time) -> bool {
        self.ttl.is_some_and(|ttl| self.until.is_none_or(|until| now + ttl > until))
    }

    /// A use at this moment. Says whether there is something to write.
    pub(super) fn use_at(&mut self, now: Time) -> bool {
        let wanted = self.wants_use(now);
        if let Some(ttl) = self.ttl.filter(|_| wanted) {
            let slack = Span::millis((ttl.as_millis() / 64).min(SLACK.as_millis()));
            self.until = Some(now + ttl + slack);
        }
        wanted
    }
}

fn seconds(text: &str) -> Option<Span> {
    plain_digits(text).filter(|n| *n <= MAX_INT / 1000).map(Span::secs)
}

/// A timestamp of RFC 3339, and nothing that merely looks like one.
fn rfc3339(text: &str) -> Option<Time> {
    let bytes = text.as_bytes();
    let shape = |pattern: &[u8], at: usize| {
        bytes.get(at..at + pattern.len()).is_some_and(|part| {
            part.iter()
                .zip(pattern)
                .all(|(b, p)| if *p == b'0' { b.is_ascii_digit() } else { b.eq_ignore_ascii_case(p) })
        })
    };
    if !shape(b"0000-00-00T00:00:00", 0) {
        return None;
    }
    let mut zone = 19;
    if bytes.get(zone) == Some(&b'.') {
        let digits = bytes[zone + 1..].iter().take_while(|b| b.is_ascii_digit()).count();
        zone += 1 + digits;
        if digits == 0 {
            return None;
        }
    }
    let minutes = match bytes.len() - zone {
        1 if shape(b"Z", zone) => 0,
        6 if shape(b"+00:00", zone) || shape(b"-00:00", zone) => {
            let two = |at: usize| i64::from(bytes[at] - b'0') * 10 + i64::from(bytes[at + 1] - b'0');
            let (hours, minutes) = (two(zone + 1), two(zone + 4));
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 60 + minutes) * if bytes[zone] == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    // By the calendar: a timestamp of `jiff` ends a day before the last year does.
    let civil: jiff::civil::DateTime = text[..zone].to_ascii_uppercase().parse().ok()?;
    let since = civil.duration_since(jiff::civil::DateTime::constant(1970, 1, 1, 0, 0, 0, 0));
    let millis = i64::try_from(since.as_millis()).ok()?;
    // Whatever was over by then is over: a timer before that would wait for something else than the time.
    Some(Time::from_millis(millis - minutes * 60_000).max(Time::LINE))
}

fn refuse(message: &str) -> Refusal {
    Refusal::plain(StatusCode::BAD_REQUEST, message)
}

const SLACK: Span = Span::secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn seconds_are_plain_digits() {
        assert_eq!(seconds("0"), Some(Span::ZERO));
        assert_eq!(seconds("60"), Some(Span::secs(60)));
        for bad in ["", "00060", "+60", "-1", "60.5", "1e3", "abc", "99999999999999999999", "9007199254740991"] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn timestamps_are_those_of_rfc_3339() {
        let want = Some(Time::from_millis(1_795_166_496_680));
        for good in ["2026-11-20T09:21:36.680Z", "2026-11-20t09:21:36.68z", "2026-11-20T10:21:36.680+01:00"] {
            assert_eq!(rfc3339(good), want, "{good}");
        }
        for (far, ms) in [
            ("9999-12-31T23:59:59Z", 253_402_300_799_000),
            ("9999-12-31T23:59:59.999-23:59", 253_402_387_139_999),
            ("1969-12-31T23:59:59.5Z", Time::LINE.as_millis()),
        ] {
            assert_eq!(rfc3339(far), Some(Time::from_millis(ms)), "{far}");
        }
        for bad in [
            "not-a-timestamp",
            "2026-11-20",
            "2026-11-20T09:21:36",
            "2026-11-20 09:21:36Z",
            "2026-11-20T09:21:36.Z",
            "2026-13-20T09:21:36Z",
            "2026-02-30T09:21:36Z",
            "2026-11-20T09:21:36+24:00",
            "2026-11-20T09:21:36+00:60",
            "2026-11-20T09:21:36Z[UTC]",
            "Fri, 20 Nov 2026 09:21:36 GMT",
            "",
        ] {
            assert_eq!(rfc3339(bad), None, "{bad}");
        }
    }

    #[test]
    fn every_use_counts_and_few_are_written() {
        let at = |ms: i64| Time::from_millis(1_000_000 + ms);
        let mut lifetime = Lifetime { ttl: Some(Span::secs(64)), ..Lifetime::default() };
        assert!(lifetime.use_at(at(0)));
        let written = (0..10_000).filter(|ms| lifetime.use_at(at(*ms))).count();
        assert!((8..=10).contains(&written), "{written}");
        // Never before the window has passed, and not much later.
        assert!(!lifetime.is_over(at(9_999 + 63_999)));
        assert!(lifetime.is_over(at(9_999 + 65_001)));
    }

    #[test]
    fn a_window_of_nothing_is_over_at_once() {
        let mut lifetime = Lifetime { ttl: Some(Span::ZERO), ..Lifetime::default() };
        lifetime.use_at(Time::from_millis(5));
        assert!(lifetime.is_over(Time::from_millis(5)));
    }
}
