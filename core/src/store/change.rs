//! The change log: what the rows that clients see as tables were before each commit. It is a ring, so it never grows, costs
//! one row a change and is never swept; who is too far behind begins anew.

use serde_json::{Map, Value as Json};

use super::{Read, SqlError, Tx};
use crate::dispatch::journal::told;
use crate::limits::{CHANGE_BYTES, CHANGES};
use crate::time::Time;

/// A table as clients see it (electric shapes, section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the names of the wire")]
pub enum Table {
    Entities,
    EntityTypes,
    Runners,
    RunnerDiagnostics,
    Users,
    EffectivePermissions,
    DispatchState,
    WakeNotifications,
    ConsumerClaims,
    /// What decides who sees a type; no client sees it.
    TypeGrants,
    /// Who an entity belongs to, where that changes; no client sees it.
    Owners,
}

impl Table {
    const ALL: [Self; 11] = [
        Self::Entities,
        Self::EntityTypes,
        Self::Runners,
        Self::RunnerDiagnostics,
        Self::Users,
        Self::EffectivePermissions,
        Self::DispatchState,
        Self::WakeNotifications,
        Self::ConsumerClaims,
        Self::TypeGrants,
        Self::Owners,
    ];

    /// The number by which the log, and a host, knows it. Numbers are never used again.
    #[must_use]
    pub fn number(self) -> i64 {
        Self::ALL.iter().position(|table| *table == self).map_or(0, |at| at as i64 + 1)
    }

    /// The table of a number.
    #[must_use]
    pub fn of(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.number() == number)
    }
}

/// A row as the wire has it: the text of each column by its name, or null.
pub(crate) type Columns = Map<String, Json>;

/// Columns of a row, by name.
pub(crate) fn columns<const N: usize>(all: [(&str, Option<String>); N]) -> Columns {
    all.into_iter().map(|(name, text)| (name.to_owned(), text.into())).collect()
}

/// A moment as Postgres writes it: `2026-08-21 07:49:12.12+00`.
pub(crate) fn timestamp(at: Time) -> Option<String> {
    let iso = at.iso().replace('T', " ");
    let plain = iso.trim_end_matches('Z');
    let plain = if plain.contains('.') { plain.trim_end_matches('0').trim_end_matches('.') } else { plain };
    Some(format!("{plain}+00"))
}

/// The tenant that rows name.
pub(crate) fn tenant() -> Option<String> {
    Some("default".to_owned())
}

/// A change of a row.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// The commit that made it.
    pub(crate) txid: i64,
    pub(crate) table: Table,
    /// The row's own key within the table.
    pub(crate) key: String,
    /// What the row was before, as far as it was another: the columns that changed, or all when it went. Nothing when
    /// there was no such row.
    pub(crate) before: Option<Columns>,
}

/// The changes after a commit.
pub(crate) enum Since {
    /// All of them, oldest first.
    Known(Vec<Change>),
    /// The log no longer reaches so far.
    Forgotten,
}

impl Read<'_> {
    /// The last commit of the snapshot.
    pub(crate) fn commit(&self) -> Result<i64, SqlError> {
        Ok(self.clock()?.txid)
    }

    /// What changed after a commit, in any of some tables.
    pub(crate) fn changes_since(&self, txid: i64, of: &[Table]) -> Result<Since, SqlError> {
        let last = self.clock()?.changes;
        let oldest = (last - CHANGES).max(0);
        let mut changes = Vec::new();
        let (mut upto, mut step) = (last, FIRST_LOOK);
        while upto > oldest {
            // A stretch that does not go over the end of the ring.
            let lap = (upto - 1) / CHANGES * CHANGES;
            let from = (upto - step).max(oldest).max(lap);
            for change in self.stretch(from % CHANGES, (upto - 1) % CHANGES)? {
                if change.txid <= txid {
                    changes.reverse();
                    return Ok(Since::Known(changes));
                }
                if of.contains(&change.table) {
                    changes.push(change);
                }
            }
            (upto, step) = (from, step * 4);
        }
        changes.reverse();
        Ok(if oldest == 0 { Since::Known(changes) } else { Since::Forgotten })
    }

    /// The changes in a stretch of the ring, both ends included, newest first.
    fn stretch(&self, from: i64, to: i64) -> Result<Vec<Change>, SqlError> {
        let sql = "SELECT txid, tab, key, before FROM change WHERE slot >= ?1 AND slot <= ?2 ORDER BY slot DESC";
        self.all(sql, &[from.into(), to.into()], |row| {
            let table = row.int(1)?;
            let before = row.opt_text(3)?.map(serde_json::from_str).transpose();
            Ok(Change {
                txid: row.int(0)?,
                table: Table::of(table).ok_or_else(|| SqlError::new(format!("{table} is no table")))?,
                key: row.text(2)?.to_owned(),
                before: before.map_err(|e| SqlError::new(format!("a stored change does not parse: {e}")))?,
            })
        })
    }
}

impl Tx<'_> {
    /// Logs what a write makes of a row.
    pub(crate) fn log_write(
        &self,
        table: Table,
        key: &str,
        before: Option<Columns>,
        now: Option<&Columns>,
    ) -> Result<(), SqlError> {
        match (before, now) {
            (None, None) => Ok(()),
            (None, Some(_)) => self.log_new(table, key),
            (Some(mut before), now) => {
                before.retain(|name, was| now.is_none_or(|now| now.get(name) != Some(was)));
                self.log_old(table, key, before)
            }
        }
    }

    /// Logs what a write makes of the rows in which clients see a dispatch, while somebody looks at them.
    pub(super) fn telling(
        &self,
        subscription: i64,
        write: impl FnOnce() -> Result<(), SqlError>,
    ) -> Result<(), SqlError> {
        if !self.watch().is_on(self.now) {
            return write();
        }
        let before = self.told(subscription)?;
        write()?;
        let now = self.told(subscription)?;
        for (table, key, was) in &before {
            let is = now.iter().find(|(t, k, _)| (t, k) == (table, key)).map(|(.., columns)| columns.clone());
            let is = if is.is_none() { self.told_without(*table, key)? } else { is };
            self.log_write(*table, key, Some(was.clone()), is.as_ref())?;
        }
        for (table, key, is) in now.iter().filter(|(t, k, _)| !before.iter().any(|(bt, bk, _)| (bt, bk) == (t, k))) {
            let was = self.told_without(*table, key)?;
            self.log_write(*table, key, was, Some(is))?;
        }
        Ok(())
    }

    fn told(&self, subscription: i64) -> Result<Vec<told::Told>, SqlError> {
        self.subscription(subscription)?.map_or(Ok(Vec::new()), |subscription| told::rows(self, &subscription))
    }

    /// What is told of something while no wake is about it.
    fn told_without(&self, table: Table, key: &str) -> Result<Option<Columns>, SqlError> {
        let entity = if table == Table::DispatchState { self.entity(key)? } else { None };
        Ok(entity.as_ref().map(told::at_rest))
    }

    /// Logs that a row came to be.
    pub(crate) fn log_new(&self, table: Table, key: &str) -> Result<(), SqlError> {
        self.log(table, key, None)
    }

    /// Logs what a row was: the columns that changed, or all of one that goes. Nothing is logged where nothing changed.
    pub(crate) fn log_old(&self, table: Table, key: &str, before: Columns) -> Result<(), SqlError> {
        if before.is_empty() { Ok(()) } else { self.log(table, key, Some(before)) }
    }

    fn log(&self, table: Table, key: &str, before: Option<Columns>) -> Result<(), SqlError> {
        let before = before.map(short);
        let slot = self.next_change() % CHANGES;
        self.write(
            "INSERT INTO change (slot, txid, tab, key, before) VALUES (?1, ?2, ?3, ?4, ?5) \
             ON CONFLICT (slot) DO UPDATE SET txid = ?2, tab = ?3, key = ?4, before = ?5",
            &[slot.into(), self.txid().into(), table.number().into(), key.into(), before.as_ref().into()],
        )?;
        self.moved(table);
        Ok(())
    }
}

/// Columns as text that is short enough: what is too long to be kept is `true`, so that it is known to have changed.
fn short(mut columns: Columns) -> String {
    let length = |value: &Json| value.as_str().map_or(0, str::len);
    while columns.values().map(length).sum::<usize>() > CHANGE_BYTES {
        match columns.values_mut().max_by_key(|value| length(value)) {
            Some(longest) => *longest = Json::Bool(true),
            None => break,
        }
    }
    serde_json::to_string(&columns).expect("columns serialise")
}

/// How many changes are looked at first: most readers stand at the end.
const FIRST_LOOK: i64 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn moments_as_postgres_writes_them() {
        for (iso, text) in [
            ("2026-08-21T07:49:12.000Z", "2026-08-21 07:49:12+00"),
            ("2026-08-21T07:49:12.120Z", "2026-08-21 07:49:12.12+00"),
            ("2026-08-21T07:49:10.100Z", "2026-08-21 07:49:10.1+00"),
        ] {
            assert_eq!(timestamp(Time::parse_iso(iso).expect("a moment")).as_deref(), Some(text));
        }
    }

    #[test]
    fn what_is_too_long_is_known_to_have_changed() {
        let long = "x".repeat(CHANGE_BYTES);
        let kept = short(columns([("a", Some(long)), ("b", Some("y".to_owned())), ("c", None)]));
        assert_eq!(kept, r#"{"a":true,"b":"y","c":null}"#);
    }
}
