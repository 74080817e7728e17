//! What everybody shares: the server, the ledger, and how far the run has got.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard};

use clap::{Args, value_parser};
use reveille_tests::server::Server;
use tokio::sync::watch;

use crate::ledger::Ledger;
use crate::work::Work;

/// How large a fleet is, and what it goes through.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Size {
    /// How many runners there are
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = value_parser!(u64).range(1..=2000))]
    pub(crate) runners: u64,

    /// How many entities go to them
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = value_parser!(u64).range(1..=100_000))]
    pub(crate) entities: u64,

    /// For how long messages are sent, and runners die
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = value_parser!(u64).range(1..=3600))]
    pub(crate) seconds: u64,

    /// How many messages are sent a second
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = value_parser!(u64).range(1..=5000))]
    pub(crate) rate: u64,

    /// How many of a thousand works end in the death of their runner
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = value_parser!(u64).range(0..=1000))]
    pub(crate) deaths: u64,
}

/// A run.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) server: Server,
    pub(crate) seed: u64,
    pub(crate) size: Size,
    ledger: Mutex<Ledger>,
    /// The number of the next message.
    messages: AtomicU64,
    deadly: AtomicBool,
    over: watch::Sender<bool>,
}

impl Fleet {
    pub(crate) fn new(server: Server, seed: u64, size: Size) -> Self {
        let (messages, deadly, over) = (AtomicU64::new(0), AtomicBool::new(true), watch::Sender::new(false));
        Self { server, seed, size, ledger: Mutex::default(), messages, deadly, over }
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
