//! The lock on a data directory: one server at a time, and a second one is told who has it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

/// The lock, for as long as this lives. The kernel gives it up with the process, however that ends.
#[derive(Debug)]
pub(crate) struct Lock(File);

/// Why there is no lock.
#[derive(Debug)]
pub(crate) enum NotLocked {
    /// Another process has it: what it wrote about itself.
    Held(String),
    /// The file cannot be made or locked.
    Io(io::Error),
}

impl Lock {
    /// Locks a data directory, making it when there is none.
    pub(crate) fn take(directory: &Path) -> Result<Self, NotLocked> {
        fs::create_dir_all(directory).map_err(NotLocked::Io)?;
        let path = directory.join("lock");
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(NotLocked::Io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                let holder = holder.trim();
                return Err(NotLocked::Held(if holder.is_empty() {
                    "another process".to_owned()
                } else {
                    holder.to_owned()
                }));
            }
            Err(TryLockError::Error(error)) => return Err(NotLocked::Io(error)),
        }
        let mut lock = Self(file);
        lock.say(&format!("process {}", std::process::id())).map_err(NotLocked::Io)?;
        Ok(lock)
    }

    /// Adds where the server is reached, once it is.
    pub(crate) fn serving(&mut self, url: &str) -> io::Result<()> {
        self.say(&format!("process {} at {url}", std::process::id()))
    }

    fn say(&mut self, text: &str) -> io::Result<()> {
        self.0.rewind()?;
        self.0.set_len(0)?;
        writeln!(self.0, "{text}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_has_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut first = Lock::take(&directory.path().join("new")).expect("nobody has it");
        first.serving("http://127.0.0.1:4437").expect("writes");
        match Lock::take(&directory.path().join("new")) {
            Err(NotLocked::Held(holder)) => {
                assert_eq!(holder, format!("process {} at http://127.0.0.1:4437", std::process::id()))
            }
            other => panic!("{other:?}"),
        }
        drop(first);
        Lock::take(&directory.path().join("new")).expect("it is free again");
    }
}
