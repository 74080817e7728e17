//! Reads that go on: of a stream, or of a shape.
//!
//! A host subscribes to [`Live::topics`], then asks [`Engine::next`](crate::Engine::next), then waits for a topic or for the
//! moment it was told: in that order nothing falls between.

use crate::effect::{Notify, Topic};
use crate::shape::Poll;
use crate::store::{Read, SqlError};
use crate::stream::{Follow, Next};

/// A live read in progress.
#[derive(Clone, Debug)]
pub struct Live(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Stream(Follow),
    Shape(Poll),
}

impl Live {
    pub(crate) fn stream(follow: Follow) -> Self {
        Self(Kind::Stream(follow))
    }

    pub(crate) fn shape(poll: Poll) -> Self {
        Self(Kind::Shape(poll))
    }

    /// What to subscribe to before asking. A host whose clock is virtual also waits for [`Topic::Clock`].
    #[must_use]
    pub fn topics(&self) -> Vec<Topic> {
        match &self.0 {
            Kind::Stream(follow) => follow.topics(),
            Kind::Shape(poll) => poll.topics(),
        }
    }

    /// The next piece, as of a snapshot.
    pub(crate) fn next(&mut self, read: &Read<'_>) -> Result<Next, SqlError> {
        match &mut self.0 {
            Kind::Stream(follow) => follow.next(read),
            Kind::Shape(poll) => poll.next(read),
        }
    }

    /// Serves a notification from memory when the reader stands exactly where it begins.
    pub fn accept(&mut self, notify: &Notify) -> Option<Next> {
        match &mut self.0 {
            Kind::Stream(follow) => follow.accept(notify),
            Kind::Shape(_) => None,
        }
    }
}
