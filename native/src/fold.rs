//! Folds the write-ahead log into the database beside the writer, so that no commit has to wait until a long log is
//! folded. SQLite lets one connection fold while another writes; only what it has not reached is left to the writer.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::{Connection, OpenFlags};

/// A thread that folds when it is asked to. It has ended when this is dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    ask: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Folder {
    /// Starts the thread. Without it, should it not start, the writer folds alone.
    pub(crate) fn start(path: &Path) -> Self {
        let (ask, asked) = sync_channel(1);
        let path = path.to_owned();
        let spawned = std::thread::Builder::new().name("fold".to_owned()).spawn(move || fold(&path, &asked));
        if let Err(error) = &spawned {
            tracing::warn!(%error, "the log is folded by the writer alone");
        }
        Self { ask: Some(ask), thread: spawned.ok() }
    }

    /// Asks for the log to be folded soon. It waits for nothing: who asks twice is served once.
    pub(crate) fn ask(&self) {
        if let Some(ask) = &self.ask {
            let _ = ask.try_send(());
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.ask = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn fold(path: &Path, asked: &Receiver<()>) {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = None;
    while asked.recv().is_ok() {
        let folded = match &connection {
            Some(open) => passively(open),
            None => Connection::open_with_flags(path, flags).and_then(|open| {
                open.execute_batch("PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA wal_autocheckpoint = 0;")?;
                passively(connection.insert(open))
            }),
        };
        if let Err(error) = folded {
            tracing::warn!(%error, "the log could not be folded into the database");
        }
    }
}

fn passively(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}
