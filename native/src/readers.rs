//! Connections that read beside the writer: each read is one snapshot, and is over before its answer is sent.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use reveille_core::store::{Sql, SqlError, Verdict};
use tokio::sync::Semaphore;

use crate::driver::Driver;

/// A few connections, lent out one read at a time. As many reads wait as there are requests, which the number of
/// connections to the server bounds.
#[derive(Debug)]
pub(crate) struct Readers {
    free: Mutex<Vec<Driver>>,
    slots: Arc<Semaphore>,
}

impl Readers {
    pub(crate) fn open(path: &Path, count: usize) -> Result<Self, SqlError> {
        let free = (0..count).map(|_| Driver::open_reader(path)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { slots: Arc::new(Semaphore::new(free.len())), free: Mutex::new(free) })
    }

    /// Runs `work` on one snapshot, on a thread that may block.
    ///
    /// # Errors
    /// When the snapshot cannot be taken, or `work` panics.
    pub(crate) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        mut work: impl FnMut(&Driver) -> T + Send + 'static,
    ) -> Result<T, SqlError> {
        let slots = Arc::clone(&self.slots);
        let slot = slots.acquire_owned().await.map_err(|_| SqlError::new("the readers are closed"))?;
        let readers = Arc::clone(self);
        let read = tokio::task::spawn_blocking(move || {
            // Held by the thread and not by the caller, who may leave before the connection is back.
            let _slot = slot;
            let lent = Lent::take(&readers)?;
            let mut done = None;
            lent.driver().transaction(&mut || {
                done = Some(work(lent.driver()));
                Verdict::Rollback
            })?;
            done.ok_or_else(|| SqlError::new("the read did not run"))
        });
        read.await.map_err(|_| SqlError::new("the read panicked"))?
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Driver>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that goes back when its read is over, however it ends.
struct Lent<'r> {
    readers: &'r Readers,
    driver: Option<Driver>,
}

impl<'r> Lent<'r> {
    fn take(readers: &'r Readers) -> Result<Self, SqlError> {
        let driver = readers.lock().pop();
        if driver.is_none() {
            return Err(SqlError::new("no connection is free"));
        }
        Ok(Self { readers, driver })
    }

    fn driver(&self) -> &Driver {
        self.driver.as_ref().expect("it is taken out only when this is dropped")
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.readers.lock().extend(self.driver.take());
    }
}
