//! Who waits for what: live readers subscribe to topics, and each notification is handed to those of its topic.
//!
//! A reader that does not keep up is told only that it missed something, and asks the store; nobody waits for it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reveille_core::{Notify, Topic};

use crate::limits::NOTICES;

/// The subscriptions of all live readers.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    topics: HashMap<Topic, HashMap<u64, Arc<Mailbox>>>,
    next: u64,
}

/// What has come for one reader.
#[derive(Debug, Default)]
struct Mailbox {
    inside: Mutex<Inside>,
    arrived: tokio::sync::Notify,
}

#[derive(Debug, Default)]
struct Inside {
    notices: VecDeque<Arc<Notify>>,
    missed: bool,
}

impl Hub {
    /// Subscribes to `topics` until the subscription is dropped.
    pub(crate) fn subscribe(self: &Arc<Self>, topics: Vec<Topic>) -> Subscription {
        let mailbox = Arc::new(Mailbox::default());
        let mut state = lock(&self.state);
        state.next += 1;
        let number = state.next;
        for topic in &topics {
            state.topics.entry(*topic).or_default().insert(number, Arc::clone(&mailbox));
        }
        Subscription { hub: Arc::clone(self), number, topics, mailbox }
    }

    /// Hands a notification to everyone who is subscribed to its topic.
    pub(crate) fn publish(&self, notice: Notify) {
        let state = lock(&self.state);
        let Some(subscribers) = state.topics.get(&notice.topic) else { return };
        let notice = Arc::new(notice);
        for mailbox in subscribers.values() {
            mailbox.put(&notice);
        }
    }
}

impl Mailbox {
    fn put(&self, notice: &Arc<Notify>) {
        let mut inside = lock(&self.inside);
        if !inside.missed && inside.notices.len() < NOTICES {
            inside.notices.push_back(Arc::clone(notice));
        } else {
            inside.missed = true;
        }
        drop(inside);
        self.arrived.notify_one();
    }
}

/// One reader's subscription.
#[derive(Debug)]
pub(crate) struct Subscription {
    hub: Arc<Hub>,
    number: u64,
    topics: Vec<Topic>,
    mailbox: Arc<Mailbox>,
}

/// Something that came for a reader.
#[derive(Debug)]
pub(crate) enum Notice {
    /// A notification.
    One(Arc<Notify>),
    /// There were more than the mailbox holds.
    Missed,
}

impl Subscription {
    /// The oldest notice, waiting until there is one.
    pub(crate) async fn next(&mut self) -> Notice {
        loop {
            if let Some(notice) = self.ready() {
                return notice;
            }
            self.mailbox.arrived.notified().await;
        }
    }

    /// The oldest notice, if there is one.
    pub(crate) fn ready(&mut self) -> Option<Notice> {
        let mut inside = lock(&self.mailbox.inside);
        if let Some(notice) = inside.notices.pop_front() {
            return Some(Notice::One(notice));
        }
        std::mem::take(&mut inside.missed).then_some(Notice::Missed)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut state = lock(&self.hub.state);
        for topic in &self.topics {
            if let Some(subscribers) = state.topics.get_mut(topic) {
                subscribers.remove(&self.number);
                if subscribers.is_empty() {
                    state.topics.remove(topic);
                }
            }
        }
    }
}

/// What these locks guard is whole between any two statements, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use reveille_core::stream::Offset;

    use super::*;

    fn notice(stream: i64, to: i64) -> Notify {
        Notify { topic: Topic::Stream(stream), from: Offset::at(to - 1), to: Offset::at(to), bytes: None }
    }

    fn position(notice: Option<Notice>) -> Option<i64> {
        match notice {
            Some(Notice::One(notice)) => Some(notice.to.bytes()),
            Some(Notice::Missed) => Some(-1),
            None => None,
        }
    }

    #[test]
    fn notices_come_in_order_and_only_for_the_topic() {
        let hub = Arc::new(Hub::default());
        let mut reader = hub.subscribe(vec![Topic::Stream(1), Topic::Clock]);
        for (stream, to) in [(1, 5), (2, 6), (1, 7)] {
            hub.publish(notice(stream, to));
        }
        assert_eq!(
            [position(reader.ready()), position(reader.ready()), position(reader.ready())],
            [Some(5), Some(7), None]
        );
    }

    #[test]
    fn a_slow_reader_is_told_that_it_missed_something() {
        let hub = Arc::new(Hub::default());
        let mut reader = hub.subscribe(vec![Topic::Stream(1)]);
        for to in 1..=100 {
            hub.publish(notice(1, to));
        }
        for to in 1..=NOTICES as i64 {
            assert_eq!(position(reader.ready()), Some(to));
        }
        assert_eq!([position(reader.ready()), position(reader.ready())], [Some(-1), None]);
    }

    #[test]
    fn nothing_is_handed_over_the_head_of_what_was_missed() {
        let hub = Arc::new(Hub::default());
        let mut reader = hub.subscribe(vec![Topic::Stream(1)]);
        let last = NOTICES as i64;
        (1..=last + 1).for_each(|to| hub.publish(notice(1, to)));
        assert_eq!(position(reader.ready()), Some(1));
        // There is room again, but what was missed may have said that this is not for the reader any more.
        hub.publish(notice(1, last + 2));
        let all: Vec<_> = std::iter::from_fn(|| position(reader.ready())).collect();
        assert_eq!(all, (2..=last).chain([-1]).collect::<Vec<_>>());
        hub.publish(notice(1, last + 3));
        assert_eq!(position(reader.ready()), Some(last + 3));
    }

    #[test]
    fn who_leaves_is_forgotten() {
        let hub = Arc::new(Hub::default());
        drop((hub.subscribe(vec![Topic::Stream(1)]), hub.subscribe(vec![Topic::Stream(1), Topic::Clock])));
        assert!(lock(&hub.state).topics.is_empty());
    }
}
