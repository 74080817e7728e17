//! Effects: what the host does for the engine, always after the commit.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::store::Table;
use crate::stream::Offset;
use crate::time::{Span, Time};

/// Something for the host to do.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Make an HTTP request and bring back its outcome, whatever it is.
    Fetch(Fetch),
    /// Something that live readers wait for has moved.
    Notify(Notify),
}

impl Effect {
    /// The virtual clock has moved: every live read must look at the time again.
    pub(crate) fn clock(now: Time) -> Self {
        Self::Notify(Notify { topic: Topic::Clock, from: Offset::ZERO, to: Offset::at(now.as_millis()), bytes: None })
    }
}

/// An outbound HTTP request to a URL that the policy allows. Redirects are not followed: nobody has judged them.
#[derive(Clone, Debug)]
pub struct Fetch {
    /// Names the effect in its outcome.
    pub id: EffectId,
    /// The method.
    pub method: http::Method,
    /// The absolute URL.
    pub url: String,
    /// The headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// Which headers of the answer are brought back, in lower case.
    pub wanted: &'static [&'static str],
    /// How long it may take, answer included.
    pub time_limit: Span,
    /// How many bytes of the answer are read.
    pub size_limit: usize,
}

/// How a fetch ended: a status and the body as far as it was read, or why there is none.
pub type Fetched = Result<Answer, String>;

/// The answer to a fetch.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Of the headers that were wanted those that came, by their names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, at most `size_limit` bytes.
    pub body: Vec<u8>,
}

impl Answer {
    /// A header that was wanted.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// Names an effect between the engine and the host. Its text form is opaque to hosts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EffectId {
    /// A webhook delivery: the subscription, its generation, and the attempt.
    Delivery {
        /// The subscription's row.
        subscription: i64,
        /// The generation of the wake.
        generation: i64,
        /// Which attempt.
        attempt: i64,
    },
    /// What a parked command waits for.
    Pending(u64),
    /// A question for what has changed of a shape: the shape's row, and which question.
    Shape {
        /// The shape's row.
        shape: i64,
        /// Which question.
        turn: i64,
    },
}

impl fmt::Display for EffectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delivery { subscription, generation, attempt } => {
                write!(f, "delivery:{subscription}:{generation}:{attempt}")
            }
            Self::Pending(number) => write!(f, "pending:{number}"),
            Self::Shape { shape, turn } => write!(f, "shape:{shape}:{turn}"),
        }
    }
}

/// The text is not an effect's name.
#[derive(Debug, thiserror::Error)]
#[error("not the name of an effect")]
pub struct NotAnEffect;

impl FromStr for EffectId {
    type Err = NotAnEffect;

    fn from_str(text: &str) -> Result<Self, NotAnEffect> {
        let mut parts = text.split(':');
        let kind = parts.next();
        let mut number = || parts.next().and_then(|n| n.parse::<i64>().ok()).ok_or(NotAnEffect);
        match kind {
            Some("delivery") => {
                Ok(Self::Delivery { subscription: number()?, generation: number()?, attempt: number()? })
            }
            Some("shape") => Ok(Self::Shape { shape: number()?, turn: number()? }),
            Some("pending") => Ok(Self::Pending(u64::try_from(number()?).map_err(|_| NotAnEffect)?)),
            _ => Err(NotAnEffect),
        }
    }
}

/// What a read wants remembered. A host brings it to [`Engine::batch`](crate::Engine::batch) as a command; to bring it
/// twice is to bring it once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Touch {
    /// A stream was used that expires, or falls asleep, some time after its last use: its row.
    Stream(i64),
    /// Somebody looks at the shapes of dispatches.
    Dispatches,
}

impl Touch {
    /// The number by which a host that knows no types hands it on.
    #[must_use]
    pub fn number(self) -> i64 {
        match self {
            Self::Stream(stream) => stream,
            Self::Dispatches => 0,
        }
    }

    /// What a number stands for. Rows are counted from one.
    #[must_use]
    pub fn of(number: i64) -> Self {
        if number == 0 { Self::Dispatches } else { Self::Stream(number) }
    }
}

/// A stream has moved.
#[derive(Clone, Debug)]
pub struct Notify {
    /// What moved.
    pub topic: Topic,
    /// Where it stood.
    pub from: Offset,
    /// Where it stands now.
    pub to: Offset,
    /// The stored bytes between them when they are few: what a reader standing at `from` is served, shared by all.
    pub bytes: Option<Arc<[u8]>>,
}

/// What live readers subscribe to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// A stream, by its row.
    Stream(i64),
    /// The virtual clock.
    Clock,
    /// A table that shapes are of.
    Table(Table),
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream(id) => write!(f, "stream:{id}"),
            Self::Clock => f.write_str("clock"),
            Self::Table(table) => write!(f, "table:{}", table.number()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn names_survive_the_boundary() {
        for id in [
            EffectId::Delivery { subscription: 12, generation: 3, attempt: 1 },
            EffectId::Pending(9),
            EffectId::Shape { shape: 7, turn: 4 },
        ] {
            assert_eq!(id.to_string().parse::<EffectId>().expect("parses"), id);
        }
        for bad in ["", "delivery:1:2", "pending:-1", "pending:x", "shape:1", "other:1"] {
            assert!(bad.parse::<EffectId>().is_err(), "{bad}");
        }
    }
}
