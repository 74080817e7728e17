//! Idempotent producers: whether an append is new, a repeat, or out of order (stream protocol, section 5).

use http::StatusCode;

use super::number::digits;
use crate::http::{Refusal, Request};
use crate::limits::KEPT_HEADER;

/// The last append accepted from a producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its epoch.
    pub epoch: i64,
    /// Its sequence number.
    pub seq: i64,
}

/// What to do with an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// New: write it and remember it.
    Accept,
    /// Seen before: answer 204 and write nothing.
    Duplicate,
    /// From an older epoch: 403.
    Fenced,
    /// A new epoch must begin with sequence 0: 400.
    BadEpoch,
    /// Sequence numbers are missing before it: 409.
    Gap {
        /// The one that is expected.
        expected: i64,
    },
}

/// Judges an append (`epoch`, `seq`) by the last accepted one.
#[must_use]
pub fn judge(last: Option<Accepted>, epoch: i64, seq: i64) -> Judgement {
    match last {
        None if seq == 0 => Judgement::Accept,
        None => Judgement::Gap { expected: 0 },
        Some(last) if epoch < last.epoch => Judgement::Fenced,
        Some(last) if epoch > last.epoch => {
            if seq == 0 {
                Judgement::Accept
            } else {
                Judgement::BadEpoch
            }
        }
        Some(last) if seq <= last.seq => Judgement::Duplicate,
        Some(last) if seq == last.seq + 1 => Judgement::Accept,
        Some(last) => Judgement::Gap { expected: last.seq + 1 },
    }
}

/// The producer headers of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Producer {
    pub(crate) name: String,
    pub(crate) epoch: i64,
    pub(crate) seq: i64,
}

impl Producer {
    /// Reads the three headers: all or none.
    pub(crate) fn of(request: &Request) -> Result<Option<Self>, Refusal> {
        let raw = |name: &str| request.headers.get(name).map(|v| v.to_str().unwrap_or("").trim().to_owned());
        match (raw("producer-id"), raw("producer-epoch"), raw("producer-seq")) {
            (None, None, None) => Ok(None),
            (Some(name), ..) if name.len() > KEPT_HEADER => {
                Err(refuse(&format!("`producer-id` is at most {KEPT_HEADER} bytes long")))
            }
            (Some(name), Some(epoch), Some(seq)) if !name.is_empty() => match (digits(&epoch), digits(&seq)) {
                (Some(epoch), Some(seq)) => Ok(Some(Self { name, epoch, seq })),
                _ => Err(refuse("`producer-epoch` and `producer-seq` must be whole numbers of at most 53 bits")),
            },
            _ => Err(refuse("`producer-id`, `producer-epoch` and `producer-seq` go together, and the id is not empty")),
        }
    }
}

fn refuse(message: &str) -> Refusal {
    Refusal::plain(StatusCode::BAD_REQUEST, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_table_of_the_protocol() {
        let last = Some(Accepted { epoch: 2, seq: 5 });
        for (last, epoch, seq, want) in [
            (None, 7, 0, Judgement::Accept),
            (None, 0, 3, Judgement::Gap { expected: 0 }),
            (last, 1, 6, Judgement::Fenced),
            (last, 3, 0, Judgement::Accept),
            (last, 3, 1, Judgement::BadEpoch),
            (last, 2, 5, Judgement::Duplicate),
            (last, 2, 0, Judgement::Duplicate),
            (last, 2, 6, Judgement::Accept),
            (last, 2, 8, Judgement::Gap { expected: 6 }),
        ] {
            assert_eq!(judge(last, epoch, seq), want, "{last:?} {epoch} {seq}");
        }
    }
}
