//! What everybody shares: the server, the ledger, and how far the run has got.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard};

use reveille_tests::server::Server;
use tokio::sync::watch;

use crate::ledger::Ledger;
use crate::work::Work;

/// A run.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) server: Server,
    pub(crate) seed: u64,
    pub(crate) runners: u64,
    pub(crate) entities: u64,
    /// Messages a second.
    pub(crate) rate: u64,
    /// How many of a thousand works end in their runner's death.
    pub(crate) deaths: u64,
    ledger: Mutex<Ledger>,
    /// The number of the next message.
    messages: AtomicU64,
    deadly: AtomicBool,
    over: watch::Sender<bool>,
}

impl Fleet {
    pub(crate) fn new(server: Server, seed: u64, [runners, entities, rate, deaths]: [u64; 4]) -> Self {
        let (messages, deadly, over) = (AtomicU64::new(0), AtomicBool::new(true), watch::Sender::new(false));
        Self { server, seed, runners, entities, rate, deaths, ledger: Mutex::default(), messages, deadly, over }
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().expect("nobody panics who has it")
    }

    /// Notes what became of a work.
    pub(crate) fn record(&self, work: Work) {
        let mut ledger = self.ledger();
        match work.claim() {
            Some(claim) => ledger.claimed(claim),
            None => ledger.skipped += 1,
        }
    }

    /// A number that no other message has.
    pub(crate) fn next_message(&self) -> u64 {
        self.messages.fetch_add(1, Relaxed)
    }

    /// Whether runners die.
    pub(crate) fn is_deadly(&self) -> bool {
        self.deadly.load(Relaxed)
    }

    /// From here on nobody dies.
    pub(crate) fn spare(&self) {
        self.deadly.store(false, Relaxed);
    }

    /// Everybody goes home.
    pub(crate) fn end(&self) {
        self.over.send_replace(true);
    }

    pub(crate) fn is_over(&self) -> bool {
        *self.over.borrow()
    }

    /// Completes when it is over.
    pub(crate) async fn over(&self) {
        let _ = self.over.subscribe().wait_for(|over| *over).await;
    }
}
