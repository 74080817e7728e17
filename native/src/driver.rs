//! The store's driver on rusqlite: bundled SQLite in WAL mode, every commit on disk before it returns.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reveille_core::store::{Row, Sql, SqlError, Value, Verdict, Visit};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags};

use crate::cost::{Cost, cost};
use crate::fold::Folder;
use crate::metrics::Histogram;

/// One connection to a tenant's database file.
#[derive(Debug)]
pub struct Driver {
    connection: Connection,
    begin: &'static str,
    depth: Cell<usize>,
    written: Cell<u64>,
    costs: RefCell<HashMap<(usize, usize), Cost>>,
    commits: Option<Arc<Histogram>>,
    /// Who folds the log beside this connection, and how much had been written when it was last asked to.
    folder: Option<(Folder, Cell<u64>)>,
}

impl Driver {
    /// The one connection that writes. It makes the file when there is none.
    ///
    /// # Errors
    /// When the file cannot be opened, or is not a database.
    pub fn open(path: &Path) -> Result<Self, SqlError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut driver = Self::new(path, flags, "BEGIN IMMEDIATE")?;
        driver.connection.execute_batch(WRITER).map_err(words)?;
        let mode: String = driver.connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).map_err(words)?;
        if mode != "wal" {
            return Err(SqlError::new(format!(
                "the file system cannot keep a write-ahead log (journal mode `{mode}`)"
            )));
        }
        driver.folder = Some((Folder::start(path), Cell::new(0)));
        Ok(driver)
    }

    /// A connection that only reads. Each of its transactions is one snapshot and never waits for the writer.
    ///
    /// # Errors
    /// When the file does not exist or is not a database.
    pub fn open_reader(path: &Path) -> Result<Self, SqlError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let driver = Self::new(path, flags, "BEGIN")?;
        driver.connection.execute_batch(READER).map_err(words)?;
        Ok(driver)
    }

    /// The same, with the time that each commit takes on record.
    #[must_use]
    pub(crate) fn timing_commits(self, commits: Arc<Histogram>) -> Self {
        Self { commits: Some(commits), ..self }
    }

    fn new(path: &Path, flags: OpenFlags, begin: &'static str) -> Result<Self, SqlError> {
        let connection = Connection::open_with_flags(path, flags).map_err(words)?;
        connection.busy_timeout(BUSY).map_err(words)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(Self {
            connection,
            begin,
            depth: Cell::new(0),
            written: Cell::new(0),
            costs: RefCell::default(),
            commits: None,
            folder: None,
        })
    }

    /// Whether SQLite has ended the transaction behind our back, as it does on a full disk. Anything that ran now
    /// would commit by itself.
    fn ended(&self) -> bool {
        self.depth.get() > 0 && self.connection.is_autocommit()
    }

    /// Has the log folded when enough was written since that was asked for last.
    fn fold(&self) {
        let Some((folder, asked)) = &self.folder else { return };
        if self.written.get() - asked.get() >= FOLD {
            asked.set(self.written.get());
            folder.ask();
        }
    }

    fn control(&self, sql: &'static str) -> Result<(), SqlError> {
        self.connection.prepare_cached(sql).and_then(|mut statement| statement.raw_execute()).map(drop).map_err(words)
    }

    fn count(&self, sql: &'static str) -> Result<(), SqlError> {
        let key = (sql.as_ptr().addr(), sql.len());
        let known = self.costs.borrow().get(&key).copied();
        let cost = match known {
            Some(cost) => cost,
            None => cost(&self.connection, sql).map_err(words)?,
        };
        match cost {
            Cost::Nothing => {}
            Cost::Schema => self.costs.borrow_mut().clear(),
            Cost::PerChange(rows) => self.written.set(self.written.get() + rows * self.connection.changes()),
        }
        if known.is_none() {
            self.costs.borrow_mut().insert(key, cost);
        }
        Ok(())
    }
}

impl Sql for Driver {
    fn run(&self, sql: &'static str, params: &[Value<'_>], visit: &mut Visit<'_>) -> Result<(), SqlError> {
        if self.ended() {
            return Err(SqlError::new(ENDED));
        }
        let mut statement = self.connection.prepare_cached(sql).map_err(words)?;
        let (columns, wanted) = (statement.column_count(), statement.parameter_count());
        if columns > COLUMNS || wanted != params.len() {
            let found = params.len();
            return Err(SqlError::new(format!("{columns} columns, {found} parameters for {wanted}: `{sql}`")));
        }
        for (i, param) in params.iter().enumerate() {
            statement.raw_bind_parameter(i + 1, ToSqlOutput::Borrowed(bound(*param))).map_err(words)?;
        }
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().map_err(words)? {
            let mut values = [Value::Null; COLUMNS];
            for (i, value) in values[..columns].iter_mut().enumerate() {
                *value = read(row.get_ref(i).map_err(words)?)?;
            }
            visit(Row(&values[..columns]))?;
        }
        drop(rows);
        if statement.readonly() { Ok(()) } else { self.count(sql) }
    }

    fn transaction(&self, work: &mut dyn FnMut() -> Verdict) -> Result<(), SqlError> {
        let open = Open::begin(self)?;
        match work() {
            Verdict::Commit => open.commit(),
            Verdict::Rollback => open.roll_back(),
        }
    }

    fn intact(&self) -> Option<bool> {
        Some(!self.ended())
    }

    fn written(&self) -> u64 {
        self.written.get()
    }
}

/// A transaction that is rolled back unless it is committed, also when its work panics.
struct Open<'d> {
    driver: &'d Driver,
    outermost: bool,
    finished: bool,
}

impl<'d> Open<'d> {
    fn begin(driver: &'d Driver) -> Result<Self, SqlError> {
        let outermost = driver.depth.get() == 0;
        if outermost {
            if !driver.connection.is_autocommit() {
                driver.control("ROLLBACK")?;
            }
            driver.control(driver.begin)?;
        } else if driver.ended() {
            return Err(SqlError::new(ENDED));
        } else {
            driver.control("SAVEPOINT nested")?;
        }
        driver.depth.set(driver.depth.get() + 1);
        Ok(Self { driver, outermost, finished: false })
    }

    fn commit(mut self) -> Result<(), SqlError> {
        if self.driver.ended() {
            return Err(SqlError::new(ENDED));
        }
        if self.outermost {
            let start = Instant::now();
            self.driver.control("COMMIT")?;
            if let Some(commits) = &self.driver.commits {
                commits.record(start.elapsed().as_secs_f64());
            }
            self.driver.fold();
        } else {
            self.driver.control("RELEASE nested")?;
        }
        self.finished = true;
        Ok(())
    }

    fn roll_back(mut self) -> Result<(), SqlError> {
        self.finished = true;
        self.undo()
    }

    fn undo(&self) -> Result<(), SqlError> {
        match (self.outermost, self.driver.ended()) {
            (true, true) => Ok(()),
            (true, false) => self.driver.control("ROLLBACK"),
            (false, true) => Err(SqlError::new(ENDED)),
            (false, false) => {
                self.driver.control("ROLLBACK TO nested")?;
                self.driver.control("RELEASE nested")
            }
        }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if !self.finished
            && let Err(error) = self.undo()
        {
            tracing::error!(%error, "a transaction could not be rolled back");
        }
        self.driver.depth.set(self.driver.depth.get() - 1);
    }
}

fn bound(value: Value<'_>) -> ValueRef<'_> {
    match value {
        Value::Null => ValueRef::Null,
        Value::Int(n) => ValueRef::Integer(n),
        Value::Text(text) => ValueRef::Text(text.as_bytes()),
        Value::Blob(bytes) => ValueRef::Blob(bytes),
    }
}

fn read(value: ValueRef<'_>) -> Result<Value<'_>, SqlError> {
    match value {
        ValueRef::Null => Ok(Value::Null),
        ValueRef::Integer(n) => Ok(Value::Int(n)),
        ValueRef::Real(_) => Err(SqlError::new("a real number, which no host may carry")),
        ValueRef::Text(text) => {
            std::str::from_utf8(text).map(Value::Text).map_err(|_| SqlError::new("text that is not UTF-8"))
        }
        ValueRef::Blob(bytes) => Ok(Value::Blob(bytes)),
    }
}

/// The database's own words.
fn words(error: rusqlite::Error) -> SqlError {
    SqlError::new(match error {
        rusqlite::Error::SqliteFailure(code, Some(message)) => format!("{message} ({})", code.extended_code),
        other => other.to_string(),
    })
}

const ENDED: &str = "the database has ended the transaction";
/// As many columns as a result may have: the seam's rule.
const COLUMNS: usize = 32;
/// How many statements stay prepared: more than the engine has.
const STATEMENTS: usize = 512;
/// How long a connection waits for another's lock. In WAL mode with one writer nothing should ever wait.
const BUSY: Duration = Duration::from_secs(5);

/// How many rows are written until the log is folded.
const FOLD: u64 = 2000;

/// `fullfsync` makes a sync mean it on macOS too. The log is folded by a thread beside this connection; what that did not
/// reach, the commit does that makes the log longer than 8000 pages, and the log begins anew: little enough for a commit to
/// wait for, and still read in some milliseconds at a start. Its size limit gives back what one long read made it grow to.
/// Temporary files would be a second disk to fill up.
const WRITER: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA fullfsync = ON;
    PRAGMA wal_autocheckpoint = 8000;
    PRAGMA journal_size_limit = 67108864;
    PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -16384;
    PRAGMA trusted_schema = OFF;";
/// The database is mapped for those who read: a segment is read from where the system has it, page by page, instead of
/// by a call for each page (five times as fast). The address space is there; memory is taken for what is read, and given
/// back when it is short.
const READER: &str = "
    PRAGMA query_only = ON;
    PRAGMA mmap_size = 2147418112;
    PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -4096;
    PRAGMA trusted_schema = OFF;";
