//! The disk: how long it takes.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use reveille_tests::Result;

/// Times the disk: 4 KB at a time, each on the disk before the next.
#[derive(Debug)]
pub(crate) struct Disk {
    file: File,
    /// Where the next overwrite goes.
    at: u64,
}

impl Disk {
    pub(crate) fn open(directory: &Path) -> Result<Self> {
        let mut file = File::create(directory.join("sync"))?;
        for _ in 0..OVERWRITTEN {
            file.write_all(&BLOCK)?;
        }
        file.sync_all()?;
        Ok(Self { file, at: 0 })
    }

    /// One append and its `fdatasync`. The file system has to write down the new length, too.
    pub(crate) fn append(&mut self) -> Result<Duration> {
        let start = Instant::now();
        self.file.write_all(&BLOCK)?;
        self.file.sync_data()?;
        Ok(start.elapsed())
    }

    /// One overwrite and its `fdatasync`: what a write-ahead log does that is used again from its start.
    pub(crate) fn overwrite(&mut self) -> Result<Duration> {
        let start = Instant::now();
        self.file.write_all_at(&BLOCK, self.at * BLOCK.len() as u64)?;
        self.file.sync_data()?;
        self.at = (self.at + 1) % OVERWRITTEN;
        Ok(start.elapsed())
    }
}

const BLOCK: [u8; 4096] = [7; 4096];
/// How many blocks are there to be overwritten.
const OVERWRITTEN: u64 = 1024;
