//! A driver over rusqlite, in memory, that can be told to fail.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use rusqlite::types::{ToSqlOutput, Value as Stored, ValueRef};
use rusqlite::{Connection, ToSql, params_from_iter};

use crate::store::{Row, Sql, SqlError, Value, Verdict, Visit};

pub(super) type Dump = BTreeMap<String, Vec<String>>;

pub(super) struct Memory {
    db: Connection,
    depth: Cell<usize>,
    written: Cell<u64>,
    /// How many statements were run.
    pub(super) statements: Cell<u64>,
    /// Fails the commit of the next outermost transaction.
    pub(super) fail_commit: Cell<bool>,
    /// Fails the statement whose text contains this, ending the transaction as a full disk does.
    pub(super) fail_on: RefCell<Option<&'static str>>,
    /// Fails a statement in the same way after so many more.
    pub(super) fail_after: Cell<Option<usize>>,
    /// Refuses each statement whose text contains this; the transaction goes on.
    pub(super) refuse_on: RefCell<Option<&'static str>>,
}

impl Memory {
    pub(super) fn new() -> Self {
        let db = Connection::open_in_memory().expect("memory");
        Self {
            db,
            depth: Cell::new(0),
            written: Cell::new(0),
            statements: Cell::new(0),
            fail_commit: Cell::new(false),
            fail_on: RefCell::new(None),
            refuse_on: RefCell::new(None),
            fail_after: Cell::new(None),
        }
    }

    /// All that is in the database, by table.
    pub(super) fn dump(&self) -> Dump {
        let names = "SELECT group_concat(name) FROM sqlite_master WHERE type = 'table'";
        self.text(names).split(',').map(|table| (table.to_owned(), self.rows(table))).collect()
    }

    /// The tables in which something else is than was.
    pub(super) fn changed_since(&self, before: &Dump) -> Vec<String> {
        let now = self.dump();
        before.keys().filter(|table| now.get(*table) != before.get(*table)).cloned().collect()
    }

    fn rows(&self, table: &str) -> Vec<String> {
        let mut statement = self.db.prepare(&format!("SELECT * FROM {table}")).expect("prepares");
        let columns = statement.column_count();
        let row = |row: &rusqlite::Row<'_>| (0..columns).map(|i| row.get(i)).collect::<rusqlite::Result<Vec<Stored>>>();
        let rows = statement.query_map([], row).expect("queries").map(|row| format!("{:?}", row.expect("a row")));
        let mut rows: Vec<String> = rows.collect();
        rows.sort();
        rows
    }

    /// Changes the database behind the engine's back.
    pub(super) fn execute(&self, sql: &str) {
        self.db.execute(sql, []).expect("executes");
    }

    /// A text from the database.
    pub(super) fn text(&self, sql: &str) -> String {
        self.db.query_row(sql, [], |row| row.get(0)).expect("a text")
    }

    /// A number from the database.
    pub(super) fn number(&self, sql: &str) -> i64 {
        self.db.query_row(sql, [], |row| row.get(0)).expect("a number")
    }
}

struct Param<'a>(Value<'a>);

impl ToSql for Param<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::Null => ValueRef::Null,
            Value::Int(n) => ValueRef::Integer(n),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

fn lower(error: rusqlite::Error) -> SqlError {
    SqlError::new(error.to_string())
}

impl Sql for Memory {
    fn run(&self, sql: &'static str, params: &[Value<'_>], visit: &mut Visit<'_>) -> Result<(), SqlError> {
        self.statements.set(self.statements.get() + 1);
        let fails = self.depth.get() > 0 && self.fail_after.get() == Some(0);
        self.fail_after.set(self.fail_after.get().and_then(|left| left.checked_sub(1)));
        if fails || self.fail_on.borrow().is_some_and(|text| sql.contains(text)) {
            *self.fail_on.borrow_mut() = None;
            self.db.execute_batch("ROLLBACK").map_err(lower)?;
            return Err(SqlError::new("database or disk is full"));
        }
        if self.refuse_on.borrow().is_some_and(|text| sql.contains(text)) {
            return Err(SqlError::new("refused"));
        }
        let mut statement = self.db.prepare_cached(sql).map_err(lower)?;
        let columns = statement.column_count();
        let mut rows = statement.query(params_from_iter(params.iter().map(|p| Param(*p)))).map_err(lower)?;
        while let Some(row) = rows.next().map_err(lower)? {
            let mut values = Vec::with_capacity(columns);
            for i in 0..columns {
                values.push(match row.get_ref(i).map_err(lower)? {
                    ValueRef::Null => Value::Null,
                    ValueRef::Integer(n) => Value::Int(n),
                    ValueRef::Real(_) => return Err(SqlError::new("a real")),
                    ValueRef::Text(text) => {
                        Value::Text(std::str::from_utf8(text).map_err(|e| SqlError::new(e.to_string()))?)
                    }
                    ValueRef::Blob(bytes) => Value::Blob(bytes),
                });
            }
            visit(Row(&values))?;
        }
        drop(rows);
        if !sql.starts_with("SELECT") {
            self.written.set(self.written.get() + self.db.changes());
        }
        Ok(())
    }

    fn transaction(&self, work: &mut dyn FnMut() -> Verdict) -> Result<(), SqlError> {
        let depth = self.depth.get();
        let exec = |sql: &str| self.db.execute_batch(sql).map_err(lower);
        exec(if depth == 0 { "BEGIN".to_owned() } else { format!("SAVEPOINT s{depth}") }.as_str())?;
        self.depth.set(depth + 1);
        let verdict = work();
        self.depth.set(depth);
        if self.db.is_autocommit() {
            return Err(SqlError::new("the transaction ended by itself"));
        }
        match (depth, verdict) {
            (0, Verdict::Commit) if self.fail_commit.replace(false) => {
                exec("ROLLBACK")?;
                Err(SqlError::new("database or disk is full"))
            }
            (0, Verdict::Commit) => exec("COMMIT"),
            (0, Verdict::Rollback) => exec("ROLLBACK"),
            (n, Verdict::Commit) => exec(&format!("RELEASE s{n}")),
            (n, Verdict::Rollback) => exec(&format!("ROLLBACK TO s{n}; RELEASE s{n}")),
        }
    }

    fn intact(&self) -> Option<bool> {
        Some(!self.db.is_autocommit())
    }

    fn written(&self) -> u64 {
        self.written.get()
    }
}
