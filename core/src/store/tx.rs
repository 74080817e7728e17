//! A view of the database, and a transaction on it.

use std::cell::{Cell, RefCell};
use std::ops::Deref;

use super::sql::{self, Row, Sql, SqlError, Value};
use super::{Clock, Keys, Table, Watch};
use crate::config::Config;
use crate::effect::{Effect, Fetch, Notify, Topic, Touch};
use crate::engine::{Counts, Slots};
use crate::entropy::Draw;
use crate::limits::PAGE_BYTES;
use crate::stream::Offset;
use crate::time::Time;

/// A snapshot of the store at a moment.
pub struct Read<'a> {
    sql: &'a dyn Sql,
    pub(crate) config: &'a Config,
    pub(crate) now: Time,
    statements: Cell<u64>,
    touched: Cell<Option<Touch>>,
}

impl<'a> Read<'a> {
    /// A view over `sql` at `now`.
    pub(crate) fn new(sql: &'a dyn Sql, config: &'a Config, now: Time) -> Self {
        Self { sql, config, now, statements: Cell::new(0), touched: Cell::new(None) }
    }

    /// Statements run through this view.
    pub(crate) fn statements(&self) -> u64 {
        self.statements.get()
    }

    /// Wants something remembered once the read is over. A read touches one thing.
    pub(crate) fn touch(&self, touch: Touch) {
        self.touched.set(Some(touch));
    }

    /// What is to be remembered.
    pub(crate) fn touched(&self) -> Option<Touch> {
        self.touched.take()
    }

    /// The rows of a query, each made into a `T`.
    pub(super) fn all<T>(
        &self,
        sql: &'static str,
        params: &[Value<'_>],
        mut each: impl FnMut(Row<'_>) -> Result<T, SqlError>,
    ) -> Result<Vec<T>, SqlError> {
        let mut rows = Vec::new();
        self.run(sql, params, &mut |row| {
            rows.push(each(row)?);
            Ok(())
        })?;
        Ok(rows)
    }

    /// The first rows of a query that gives at most `limit`: until they are [`PAGE_BYTES`] together.
    pub(super) fn page<T>(
        &self,
        sql: &'static str,
        params: &[Value<'_>],
        limit: usize,
        mut each: impl FnMut(Row<'_>) -> Result<T, SqlError>,
    ) -> Result<Page<T>, SqlError> {
        let (mut rows, mut bytes, mut enough) = (Vec::new(), 0, false);
        let read = self.run(sql, params, &mut |row| {
            if bytes >= PAGE_BYTES {
                enough = true;
                return Err(SqlError::new("enough"));
            }
            bytes += row.bytes();
            rows.push(each(row)?);
            Ok(())
        });
        if !enough {
            read?;
        }
        let more = enough || rows.len() >= limit;
        Ok(Page { rows, more })
    }

    /// The first row of a query.
    pub(super) fn one<T>(
        &self,
        sql: &'static str,
        params: &[Value<'_>],
        mut each: impl FnMut(Row<'_>) -> Result<T, SqlError>,
    ) -> Result<Option<T>, SqlError> {
        let mut found = None;
        self.run(sql, params, &mut |row| {
            if found.is_none() {
                found = Some(each(row)?);
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Runs a statement.
    pub(super) fn run(
        &self,
        sql: &'static str,
        params: &[Value<'_>],
        visit: &mut sql::Visit<'_>,
    ) -> Result<(), SqlError> {
        sql::check(params)?;
        self.statements.set(self.statements.get() + 1);
        self.sql.run(sql, params, visit)
    }
}

/// A number of rows, as a parameter.
pub(super) fn count(rows: usize) -> Value<'static> {
    i64::try_from(rows).unwrap_or(sql::MAX_INT).min(sql::MAX_INT).into()
}

/// Rows, and whether there may be more.
#[derive(Debug)]
pub(crate) struct Page<T> {
    pub(crate) rows: Vec<T>,
    pub(crate) more: bool,
}

/// A command's transaction: a view that also writes. What it gathers leaves only if the command is kept.
pub(crate) struct Tx<'a> {
    read: Read<'a>,
    /// The commit row as it will be.
    clock: &'a Cell<Clock>,
    slots: &'a Slots,
    /// How many more bytes forks may read back in the transaction that it is nested in.
    pub(crate) fork_read: &'a Cell<usize>,
    /// The server is stopping: no fetch starts any more.
    pub(crate) stopping: bool,
    pub(crate) draw: Draw,
    /// The tenant's secrets.
    pub(crate) keys: &'a Keys,
    left: RefCell<Left>,
}

/// What a kept command leaves for its turn.
#[derive(Default)]
pub(crate) struct Left {
    pub(crate) effects: Vec<Effect>,
    pub(crate) counts: Counts,
    /// The keys have changed: what memory holds of them is out of date.
    pub(crate) rekeyed: bool,
}

impl<'a> Tx<'a> {
    pub(crate) fn new(
        read: Read<'a>,
        clock: &'a Cell<Clock>,
        slots: &'a Slots,
        fork_read: &'a Cell<usize>,
        stopping: bool,
        draw: Draw,
        keys: &'a Keys,
    ) -> Self {
        Self { read, clock, slots, fork_read, stopping, draw, keys, left: RefCell::default() }
    }

    /// The number of this commit: the numeric `txid` of the wire.
    pub(crate) fn txid(&self) -> i64 {
        self.clock.get().txid
    }

    /// A row id that no table has ever used.
    pub(crate) fn next_id(&self) -> i64 {
        self.with_clock(|clock| {
            clock.serial += 1;
            clock.serial
        })
    }

    /// The number of the next change in the log.
    pub(super) fn next_change(&self) -> i64 {
        self.with_clock(|clock| {
            clock.changes += 1;
            clock.changes - 1
        })
    }

    /// Whether changes of dispatches are logged.
    pub(crate) fn watch(&self) -> Watch {
        self.clock.get().watch
    }

    pub(super) fn set_watch(&self, watch: Watch) {
        self.with_clock(|clock| clock.watch = watch);
    }

    fn with_clock<T>(&self, change: impl FnOnce(&mut Clock) -> T) -> T {
        let mut clock = self.clock.get();
        let changed = change(&mut clock);
        self.clock.set(clock);
        changed
    }

    /// Tells those who read a table after the commit, once.
    pub(super) fn moved(&self, table: Table) {
        let topic = Topic::Table(table);
        let effects = &mut self.left.borrow_mut().effects;
        let told = |effect: &Effect| matches!(effect, Effect::Notify(notify) if notify.topic == topic);
        if !effects.iter().any(told) {
            effects.push(Effect::Notify(Notify { topic, from: Offset::ZERO, to: Offset::ZERO, bytes: None }));
        }
    }

    /// Takes a slot for a fetch, if there is one. The effect must follow by [`Tx::fetch`].
    pub(crate) fn take_slot(&self) -> bool {
        self.slots.take()
    }

    /// Takes a slot for a question about a shape, if there is one.
    pub(crate) fn take_slot_for_shape(&self) -> bool {
        self.slots.take_for_shape()
    }

    /// Whether shapes hold as many slots as they may.
    pub(crate) fn shapes_are_full(&self) -> bool {
        self.slots.shapes_are_full()
    }

    /// Starts a fetch after the commit.
    pub(crate) fn fetch(&self, fetch: Fetch) {
        self.left.borrow_mut().effects.push(Effect::Fetch(fetch));
    }

    /// Tells live readers after the commit.
    pub(crate) fn notify(&self, notify: Notify) {
        self.left.borrow_mut().effects.push(Effect::Notify(notify));
    }

    /// The signing keys are others after the commit.
    pub(crate) fn rekey(&self) {
        self.left.borrow_mut().rekeyed = true;
    }

    /// Counts something for the metrics.
    pub(crate) fn count(&self, count: impl FnOnce(&mut Counts)) {
        count(&mut self.left.borrow_mut().counts);
    }

    pub(crate) fn into_left(self) -> Left {
        self.left.into_inner()
    }

    /// Runs a writing statement.
    pub(super) fn write(&self, sql: &'static str, params: &[Value<'_>]) -> Result<(), SqlError> {
        self.read.run(sql, params, &mut |_| Ok(()))
    }
}

impl<'a> Deref for Tx<'a> {
    type Target = Read<'a>;

    fn deref(&self) -> &Read<'a> {
        &self.read
    }
}
