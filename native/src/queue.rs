//! The engine's inbox. Requests are turned away when it is full; outcomes never are, since the engine itself bounds
//! how many there can be.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reveille_core::http::Request;
use reveille_core::{EffectId, Fetched, Reply, Touch};
use tokio::sync::oneshot;

use crate::metrics::Metrics;

/// Something for the engine to do.
#[derive(Debug)]
pub(crate) enum Job {
    /// Answer a request.
    Request(Request, oneshot::Sender<Reply>),
    /// Take the outcome of an effect.
    Outcome(EffectId, Fetched),
    /// Remember what a read has touched.
    Touch(Touch),
    /// Start no delivery any more.
    Stop,
}

/// The inbox.
#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    ready: Condvar,
    bound: usize,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct State {
    jobs: VecDeque<Job>,
    /// What is in line to be remembered, so that a thousand reads of one stream put it there once.
    touched: BTreeSet<Touch>,
    closed: bool,
    idle: bool,
}

/// The queue is full, or the server is shutting down.
#[derive(Debug)]
pub(crate) struct TurnedAway;

impl Queue {
    pub(crate) fn new(bound: usize, metrics: Arc<Metrics>) -> Self {
        Self { state: Mutex::default(), ready: Condvar::new(), bound, metrics }
    }

    /// Puts a request in line. Its reply comes through the receiver, or never when the engine ends.
    pub(crate) fn request(&self, request: Request) -> Result<oneshot::Receiver<Reply>, TurnedAway> {
        let mut state = self.lock();
        if state.closed || state.jobs.len() >= self.bound {
            return Err(TurnedAway);
        }
        let (sender, receiver) = oneshot::channel();
        self.put(&mut state, Job::Request(request, sender));
        Ok(receiver)
    }

    /// Puts an outcome in line.
    pub(crate) fn outcome(&self, effect: EffectId, result: Fetched) {
        self.put(&mut self.lock(), Job::Outcome(effect, result));
    }

    /// Puts what a read has touched in line, unless it is there. When the line is full it is forgotten: the next read
    /// will want the same.
    pub(crate) fn touch(&self, touch: Touch) {
        let mut state = self.lock();
        if !state.closed && state.jobs.len() < self.bound && state.touched.insert(touch) {
            self.put(&mut state, Job::Touch(touch));
        }
    }

    /// Has no delivery start any more; all else goes on.
    pub(crate) fn stop(&self) {
        self.put(&mut self.lock(), Job::Stop);
    }

    /// Takes no more requests; what is in line is still done.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.ready.notify_one();
    }

    /// Moves at most `most` jobs into `jobs`, waiting for the first no longer than `wait` (for ever when `None`).
    /// False when the queue is closed and empty.
    pub(crate) fn take(&self, jobs: &mut Vec<Job>, most: usize, wait: Option<Duration>) -> bool {
        let mut state = self.lock();
        if state.jobs.is_empty() && !state.closed && wait != Some(Duration::ZERO) {
            state.idle = true;
            let empty = |state: &mut State| state.jobs.is_empty() && !state.closed;
            state = match wait {
                Some(wait) => {
                    self.ready.wait_timeout_while(state, wait, empty).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.ready.wait_while(state, empty).unwrap_or_else(PoisonError::into_inner),
            };
            state.idle = false;
        }
        let count = state.jobs.len().min(most);
        let from = jobs.len();
        jobs.extend(state.jobs.drain(..count));
        for job in &jobs[from..] {
            if let Job::Touch(touch) = job {
                state.touched.remove(touch);
            }
        }
        self.metrics.queued.set(state.jobs.len());
        count > 0 || !state.closed
    }

    fn put(&self, state: &mut State, job: Job) {
        state.jobs.push_back(job);
        self.metrics.queued.set(state.jobs.len());
        if state.idle {
            self.ready.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(bound: usize) -> Queue {
        Queue::new(bound, Arc::new(Metrics::new("/nowhere".into())))
    }

    fn request() -> Request {
        Request {
            method: http::Method::GET,
            path: "/".to_owned(),
            query: String::new(),
            headers: http::HeaderMap::new(),
            body: Vec::new(),
            by: None,
            origin: None,
        }
    }

    #[test]
    fn a_full_queue_turns_requests_away_and_keeps_outcomes() {
        let queue = queue(2);
        let first = queue.request(request());
        let second = queue.request(request());
        assert!(first.is_ok() && second.is_ok() && queue.request(request()).is_err());
        queue.outcome(EffectId::Pending(1), Err("lost".to_owned()));
        let mut jobs = Vec::new();
        assert!(queue.take(&mut jobs, 256, None));
        assert!(matches!(jobs[..], [Job::Request(..), Job::Request(..), Job::Outcome(..)]));
        assert!(queue.request(request()).is_ok());
    }

    #[test]
    fn what_many_reads_touch_is_in_line_once() {
        let queue = queue(2);
        let mut jobs = Vec::new();
        for _ in 0..2 {
            (0..1000).for_each(|_| queue.touch(Touch::Stream(7)));
            assert!(queue.take(&mut jobs, 256, None));
        }
        assert_eq!(jobs.len(), 2);
    }

    #[test]
    fn a_closed_queue_is_emptied_first() {
        let queue = queue(2);
        let accepted = queue.request(request());
        assert!(accepted.is_ok());
        queue.close();
        assert!(queue.request(request()).is_err());
        let mut jobs = Vec::new();
        assert!(queue.take(&mut jobs, 256, None), "what was accepted is still done");
        assert!(!queue.take(&mut jobs, 256, None));
        assert_eq!(jobs.len(), 1);
    }
}
