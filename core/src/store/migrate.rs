//! The schema and how an older one becomes the newest. Every step is one transaction; its version is a row.

use super::sql::{Sql, SqlError, Verdict};
use super::{Clock, pg_sync, sandbox_profile, setting};
use crate::entropy::Entropy;
use crate::time::Time;

/// The steps, oldest first; a database of version `n` has run the first `n`.
const STEPS: [&str; 6] = [
    include_str!("migrations/001.sql"),
    include_str!("migrations/002.sql"),
    include_str!("migrations/003.sql"),
    include_str!("migrations/004.sql"),
    include_str!("migrations/005.sql"),
    include_str!("migrations/006.sql"),
];

/// Brings the database up to date, makes what a fresh one needs, and reads its clock.
pub(crate) fn open(sql: &dyn Sql, now: Time, entropy: &Entropy) -> Result<Clock, SqlError> {
    atomically(sql, || {
        migrate(sql, STEPS.len(), now, entropy)?;
        let clock = Clock::read(sql)?;
        pg_sync::ask_again(sql, clock.now)?;
        Ok(clock)
    })
}

/// Runs the steps that lead to a version.
pub(crate) fn migrate(sql: &dyn Sql, to: usize, now: Time, entropy: &Entropy) -> Result<(), SqlError> {
    sql.run("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL) STRICT", &[], &mut |_| Ok(()))?;
    let mut version = 0;
    sql.run("SELECT version FROM schema_version", &[], &mut |row| {
        version = usize::try_from(row.int(0)?).unwrap_or(usize::MAX);
        Ok(())
    })?;
    if version > to {
        return Err(SqlError::new(format!(
            "the database has schema version {version}; this release knows up to {to}: run a newer one"
        )));
    }
    for (done, step) in STEPS.iter().enumerate().take(to).skip(version) {
        for statement in statements(step) {
            sql.run(statement, &[], &mut |_| Ok(()))?;
        }
        if done == 0 {
            sql.run("INSERT INTO schema_version (version) VALUES (1)", &[], &mut |_| Ok(()))?;
            begin(sql, now, entropy)?;
        } else {
            sql.run("UPDATE schema_version SET version = version + 1", &[], &mut |_| Ok(()))?;
        }
        if done == 3 {
            sandbox_profile::fill(sql)?;
        }
    }
    Ok(())
}

/// What a fresh database holds: its commit row and its keys.
fn begin(sql: &dyn Sql, now: Time, entropy: &Entropy) -> Result<(), SqlError> {
    sql.run("INSERT INTO clock (id, txid, now, serial) VALUES (1, 0, ?1, 0)", &[now.into()], &mut |_| Ok(()))?;
    setting::make_keys(sql, &entropy.draw())
}

fn atomically<T>(sql: &dyn Sql, work: impl Fn() -> Result<T, SqlError>) -> Result<T, SqlError> {
    let mut result = None;
    sql.transaction(&mut || {
        let done = work();
        let verdict = if done.is_ok() { Verdict::Commit } else { Verdict::Rollback };
        result = Some(done);
        verdict
    })?;
    result.unwrap_or_else(|| Err(SqlError::new("the driver did not run the transaction")))
}

/// The statements of a script: each ends with `;` at the end of a line.
fn statements(script: &'static str) -> impl Iterator<Item = &'static str> {
    script
        .split_inclusive(";\n")
        .map(str::trim)
        .filter(|s| s.lines().any(|l| !l.trim().is_empty() && !l.trim().starts_with("--")))
}
