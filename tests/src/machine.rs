//! The machine: what it is, how busy it is, what is on its disk.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use serde_json::Value as Json;

use crate::Result;
use crate::report::line;

/// What a machine and a command are called, in lines.
#[derive(Clone, Debug)]
pub struct Description(Vec<(&'static str, String)>);

impl Description {
    /// Writes the lines.
    pub fn text(&self, out: &mut String) {
        for (name, value) in &self.0 {
            line(out, &format!("{name:<9}{value}"));
        }
    }

    /// The same as an object.
    pub fn json(&self) -> Json {
        self.0.iter().map(|(name, value)| ((*name).to_owned(), Json::from(value.as_str()))).collect()
    }
}

/// The machine, the command, and the disk that `data` is on.
pub fn describe(data: &Path) -> Result<Description> {
    let cores = std::thread::available_parallelism()?.to_string();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let command = std::env::args().collect::<Vec<_>>().join(" ");
    Ok(Description(vec![
        ("command", command),
        ("machine", format!("{cores} cores, Linux {}", kernel.trim())),
        ("disk", filesystem(data)?),
    ]))
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
pub fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(f64::NAN)
}

/// A quantile of durations, which it sorts.
pub fn quantile(of: &mut [Duration], q: f64) -> Duration {
    of.sort_unstable();
    let at = (of.len() as f64 * q) as usize;
    of.get(at.min(of.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// The bytes that a directory takes on the disk, with all that is in it.
pub fn on_disk(directory: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(directory)? {
        let (path, metadata) = entry.and_then(|entry| Ok((entry.path(), entry.metadata()?)))?;
        sum += if metadata.is_dir() { on_disk(&path)? } else { metadata.blocks() * SECTOR };
    }
    Ok(sum)
}

/// What the system counts blocks in.
const SECTOR: u64 = 512;
