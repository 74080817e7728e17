//! The machine: what it is, how busy it is, how long its disk takes.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::Result;

/// The machine and the command, in lines.
pub(crate) fn describe(data: &Path) -> Result<Vec<(&'static str, String)>> {
    let cores = std::thread::available_parallelism()?.to_string();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let command = std::env::args().collect::<Vec<_>>().join(" ");
    Ok(vec![
        ("command", command),
        ("machine", format!("{cores} cores, Linux {}", kernel.trim())),
        ("disk", filesystem(data)?),
    ])
}

/// The file system under a path, by the longest mount point above it.
fn filesystem(path: &Path) -> Result<String> {
    let path = path.canonicalize()?;
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let under = mounts.lines().filter_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        let point = Path::new(mount.split(' ').nth(4)?);
        path.starts_with(point).then_some((point.as_os_str().len(), kind))
    });
    let (_, kind) = under.max_by_key(|(length, _)| *length).ok_or("no mount point")?;
    let mut words = kind.split(' ');
    let (kind, device) = (words.next().unwrap_or("?"), words.next().unwrap_or("?"));
    let warning = if ["tmpfs", "ramfs"].contains(&kind) { ": MEMORY, so that commits cost nothing" } else { "" };
    Ok(format!("{kind} on {device}{warning}"))
}

/// The load average of the last minute.
pub(crate) fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(f64::NAN)
}

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

/// A quantile of durations, which it sorts.
pub(crate) fn quantile(of: &mut [Duration], q: f64) -> Duration {
    of.sort_unstable();
    let at = (of.len() as f64 * q) as usize;
    of.get(at.min(of.len().saturating_sub(1))).copied().unwrap_or_default()
}

const BLOCK: [u8; 4096] = [7; 4096];
/// How many blocks are there to be overwritten.
const OVERWRITTEN: u64 = 1024;
