//! A store that breaks when the test says so, and a gate before the writer behind which a batch gathers.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};

use reveille::Driver;
use reveille_core::store::{Sql, SqlError, Value, Verdict, Visit};

/// What the test holds.
#[derive(Default)]
pub(crate) struct Switch {
    closed: Mutex<bool>,
    opened: Condvar,
    /// The next commit fails, as on a full disk.
    pub(crate) fail_commit: AtomicBool,
    /// A statement with this text among its parameters ends the transaction behind the driver's back.
    pub(crate) poison: Mutex<Option<String>>,
    /// Take the limit on the size of the file away.
    pub(crate) space: AtomicBool,
    /// How many transactions have run.
    pub(crate) transactions: AtomicUsize,
}

impl Switch {
    /// Holds the writer before its next transaction.
    pub(crate) fn shut(&self) {
        *self.closed.lock().unwrap() = true;
    }

    pub(crate) fn open(&self) {
        *self.closed.lock().unwrap() = false;
        self.opened.notify_all();
    }

    fn pass(&self) {
        let closed = self.closed.lock().unwrap();
        drop(self.opened.wait_while(closed, |closed| *closed).unwrap());
    }
}

pub(crate) struct Broken {
    inner: Driver,
    switch: Arc<Switch>,
    depth: AtomicUsize,
}

impl Broken {
    pub(crate) fn new(inner: Driver, switch: &Arc<Switch>) -> Self {
        Self { inner, switch: Arc::clone(switch), depth: AtomicUsize::new(0) }
    }

    /// The same with a file that may grow by a few pages only.
    pub(crate) fn cramped(inner: Driver, switch: &Arc<Switch>, pages: i64) -> Self {
        let mut count = 0;
        inner.run("PRAGMA page_count", &[], &mut |row| row.int(0).map(|n| count = n)).unwrap();
        let limit = format!("PRAGMA max_page_count = {}", count + pages);
        inner.run(limit.leak(), &[], &mut |_| Ok(())).unwrap();
        Self::new(inner, switch)
    }
}

impl Sql for Broken {
    fn run(&self, sql: &'static str, params: &[Value<'_>], visit: &mut Visit<'_>) -> Result<(), SqlError> {
        let poison = self.switch.poison.lock().unwrap().clone();
        let contains = |value: &Value<'_>, text: &str| match value {
            Value::Text(found) => found.contains(text),
            Value::Blob(found) => String::from_utf8_lossy(found).contains(text),
            _ => false,
        };
        if poison.is_some_and(|poison| params.iter().any(|value| contains(value, &poison))) {
            self.inner.run("ROLLBACK", &[], &mut |_| Ok(())).unwrap();
            return Err(SqlError::new("disk I/O error"));
        }
        self.inner.run(sql, params, visit)
    }

    fn transaction(&self, work: &mut dyn FnMut() -> Verdict) -> Result<(), SqlError> {
        if self.depth.load(SeqCst) > 0 {
            return self.inner.transaction(work);
        }
        self.switch.pass();
        if self.switch.space.swap(false, SeqCst) {
            self.inner.run("PRAGMA max_page_count = 1073741823", &[], &mut |_| Ok(())).unwrap();
        }
        self.switch.transactions.fetch_add(1, SeqCst);
        self.depth.store(1, SeqCst);
        let fails = self.switch.fail_commit.swap(false, SeqCst);
        let result = self
            .inner
            .transaction(&mut || if work() == Verdict::Commit && !fails { Verdict::Commit } else { Verdict::Rollback });
        self.depth.store(0, SeqCst);
        if fails { Err(SqlError::new("database or disk is full")) } else { result }
    }

    fn intact(&self) -> Option<bool> {
        self.inner.intact()
    }

    fn written(&self) -> u64 {
        self.inner.written()
    }
}
