//! The sandbox profiles that runners offer. What a runner says of them is in its row; here they are found by name.

use super::sql::{Sql, SqlError, Value};
use super::{Read, Tx};
use crate::dispatch::runner::profiles::{Profile, read};

impl Read<'_> {
    /// Whether any runner offers a profile, and if so, whether it is remote wherever it is offered.
    pub(crate) fn is_remote_profile(&self, name: &str) -> Result<Option<bool>, SqlError> {
        let sql = "SELECT remote FROM sandbox_profile WHERE name = ?1 ORDER BY remote LIMIT 1";
        self.one(sql, &[name.into()], |row| Ok(row.int(0)? != 0))
    }

    /// The names of profiles, in order, but no more than so many.
    pub(crate) fn profile_names(&self, limit: usize) -> Result<Vec<String>, SqlError> {
        let mut names: Vec<String> = Vec::new();
        while names.len() < limit {
            let last = names.last().map_or("", String::as_str);
            let sql = "SELECT name FROM sandbox_profile WHERE name > ?1 ORDER BY name LIMIT 1";
            match self.one(sql, &[last.into()], |row| Ok(row.text(0)?.to_owned()))? {
                Some(name) => names.push(name),
                None => break,
            }
        }
        Ok(names)
    }
}

impl Tx<'_> {
    /// A runner offers these profiles, and no longer those.
    pub(crate) fn write_profiles(&self, runner: &str, before: &[Profile], now: &[Profile]) -> Result<(), SqlError> {
        for gone in before.iter().filter(|profile| !now.contains(profile)) {
            self.write(
                "DELETE FROM sandbox_profile WHERE name = ?1 AND remote = ?2 AND runner = ?3",
                &key(gone, runner),
            )?;
        }
        for new in now.iter().filter(|profile| !before.contains(profile)) {
            self.write(INSERT, &key(new, runner))?;
        }
        Ok(())
    }
}

/// Makes what runners said before profiles were found by name findable.
pub(super) fn fill(sql: &dyn Sql) -> Result<(), SqlError> {
    let mut offered: Vec<(String, String)> = Vec::new();
    sql.run("SELECT id, profiles FROM runner WHERE profiles <> '[]'", &[], &mut |row| {
        offered.push((row.text(0)?.to_owned(), row.text(1)?.to_owned()));
        Ok(())
    })?;
    for (runner, profiles) in &offered {
        for profile in read(profiles) {
            sql.run(INSERT, &key(&profile, runner), &mut |_| Ok(()))?;
        }
    }
    Ok(())
}

fn key<'a>(profile: &'a Profile, runner: &'a str) -> [Value<'a>; 3] {
    [(&profile.name).into(), profile.remote.into(), runner.into()]
}

const INSERT: &str = "INSERT INTO sandbox_profile (name, remote, runner) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
