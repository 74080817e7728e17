//! Size of the wasm files, as they are and gzipped, where they are built.

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use reveille_tests::Result;
use reveille_tests::report::Unit;

use crate::report::{Figure, Report};

pub(crate) fn measure(root: &Path, report: &mut Report) -> Result<()> {
    for (file, aim) in [("wasm/pkg/reveille_bg.wasm", None), ("worker/build/reveille_bg.wasm", Some(1e6))] {
        let Ok(wasm) = fs::read(root.join(file)) else {
            report.notes.push(format!("{file} is not built"));
            continue;
        };
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(&wasm)?;
        let gzipped = gzip.finish()?.len() as f64;
        report.figure(Figure::new(file.to_owned(), wasm.len() as f64, Unit::Bytes));
        report.figure(Figure::new(format!("{file}, gzipped"), gzipped, Unit::Bytes).aim(aim));
    }
    Ok(())
}
