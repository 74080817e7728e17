//! The seam to storage: a synchronous SQLite, wherever it runs.
//!
//! A driver is this one trait over a connection (rusqlite, Durable Object storage, `node:sqlite`). The rules that make
//! one set of statements mean the same on all of them are kept here and proved by the driver suite (feature `suite`):
//!
//! * every table is `STRICT`; a parameter is an integer of at most 53 bits, text, a blob or null, never a float;
//! * numbers are not concatenated in SQL, and arithmetic on a bare parameter is written `CAST(?1 AS INTEGER)`;
//! * the schema version is a row; `BEGIN` and `SAVEPOINT` belong to the driver;
//! * at most 32 parameters, values under 1 MB, at most 32 columns in a result.

use thiserror::Error;

/// A parameter of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// SQL `NULL`.
    Null,
    /// An integer of at most 53 bits, so that every host can carry it.
    Int(i64),
    /// UTF-8 text.
    Text(&'a str),
    /// Bytes.
    Blob(&'a [u8]),
}

/// The largest integer (and, negated, the smallest) that may cross the seam: 2^53 − 1.
pub const MAX_INT: i64 = (1 << 53) - 1;

/// The most bytes that one text or blob may hold.
pub const MAX_VALUE: usize = 1_000_000;

/// One row of a result, borrowed from the driver while the visitor looks at it.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a>(pub &'a [Value<'a>]);

impl<'a> Row<'a> {
    /// How many bytes its texts and blobs have.
    pub(super) fn bytes(&self) -> usize {
        let bytes = |value: &Value<'_>| match value {
            Value::Text(text) => text.len(),
            Value::Blob(blob) => blob.len(),
            Value::Null | Value::Int(_) => 0,
        };
        self.0.iter().map(bytes).sum()
    }

    /// Column `i` as an integer.
    ///
    /// # Errors
    /// When the column holds anything else.
    pub fn int(&self, i: usize) -> Result<i64, SqlError> {
        match self.0.get(i) {
            Some(Value::Int(n)) => Ok(*n),
            other => Err(SqlError::shape(i, "an integer", other)),
        }
    }

    /// Column `i` as an integer or null.
    ///
    /// # Errors
    /// When the column holds anything else.
    pub fn opt_int(&self, i: usize) -> Result<Option<i64>, SqlError> {
        match self.0.get(i) {
            Some(Value::Null) => Ok(None),
            _ => self.int(i).map(Some),
        }
    }

    /// Column `i` as text.
    ///
    /// # Errors
    /// When the column holds anything else.
    pub fn text(&self, i: usize) -> Result<&'a str, SqlError> {
        match self.0.get(i) {
            Some(Value::Text(text)) => Ok(text),
            other => Err(SqlError::shape(i, "text", other)),
        }
    }

    /// Column `i` as text or null.
    ///
    /// # Errors
    /// When the column holds anything else.
    pub fn opt_text(&self, i: usize) -> Result<Option<&'a str>, SqlError> {
        match self.0.get(i) {
            Some(Value::Null) => Ok(None),
            _ => self.text(i).map(Some),
        }
    }

    /// Column `i` as bytes.
    ///
    /// # Errors
    /// When the column holds anything else.
    pub fn blob(&self, i: usize) -> Result<&'a [u8], SqlError> {
        match self.0.get(i) {
            Some(Value::Blob(bytes)) => Ok(bytes),
            other => Err(SqlError::shape(i, "a blob", other)),
        }
    }

    /// Column `i` as bytes or null.
    ///
    /// # Errors
    /// When the column holds anything else.
    pub fn opt_blob(&self, i: usize) -> Result<Option<&'a [u8]>, SqlError> {
        match self.0.get(i) {
            Some(Value::Null) => Ok(None),
            _ => self.blob(i).map(Some),
        }
    }
}

/// What becomes of a transaction when its work returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Keep what was written.
    Commit,
    /// Undo it, as if the work had never run.
    Rollback,
}

/// Called with each row of a result.
pub type Visit<'v> = dyn FnMut(Row<'_>) -> Result<(), SqlError> + 'v;

/// A synchronous connection to one tenant's SQLite database.
pub trait Sql {
    /// Runs one statement with `params` bound as `?1…`, and hands each row of its result to `visit`.
    ///
    /// # Errors
    /// When the database refuses it (disk full, IO, a constraint), or `visit` fails.
    fn run(&self, sql: &'static str, params: &[Value<'_>], visit: &mut Visit<'_>) -> Result<(), SqlError>;

    /// Runs `work` in a transaction of its own, nested when one is open. On return it is committed or rolled back as
    /// the verdict says. Each transaction, nested or not, is undone alone.
    ///
    /// # Errors
    /// When the transaction cannot begin, commit or roll back; then nothing that `work` wrote remains.
    fn transaction(&self, work: &mut dyn FnMut() -> Verdict) -> Result<(), SqlError>;

    /// Whether the outermost transaction is still open after an error: some failures (disk full, IO) end it behind
    /// the driver's back. `None` where a driver cannot tell; then any storage error spoils the whole batch.
    fn intact(&self) -> Option<bool>;

    /// Rows written since the connection opened: each table row and each index entry counts, as an object bills them.
    fn written(&self) -> u64;
}

/// A failure of the database, with its own words.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("storage: {message}")]
pub struct SqlError {
    /// What the database said.
    pub message: String,
}

impl SqlError {
    /// A failure with the database's words.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }

    fn shape(column: usize, wanted: &str, found: Option<&Value<'_>>) -> Self {
        let found = match found {
            None => "no such column",
            Some(Value::Null) => "null",
            Some(Value::Int(_)) => "an integer",
            Some(Value::Text(_)) => "text",
            Some(Value::Blob(_)) => "a blob",
        };
        Self::new(format!("column {column} should be {wanted} and is {found}"))
    }
}

/// Refuses parameters that some host could not carry unchanged. Every statement of the engine passes here, on every
/// host, so that a value which one driver would mangle fails on all of them.
pub(crate) fn check(params: &[Value<'_>]) -> Result<(), SqlError> {
    if params.len() > 32 {
        return Err(SqlError::new("more than 32 parameters"));
    }
    for (i, value) in params.iter().enumerate() {
        let fits = match value {
            Value::Null => true,
            Value::Int(n) => (-MAX_INT..=MAX_INT).contains(n),
            Value::Text(text) => text.len() <= MAX_VALUE,
            Value::Blob(bytes) => bytes.len() <= MAX_VALUE,
        };
        if !fits {
            return Err(SqlError::new(format!("parameter {} is too large", i + 1)));
        }
    }
    Ok(())
}

impl From<i64> for Value<'_> {
    fn from(n: i64) -> Self {
        Self::Int(n)
    }
}

impl From<bool> for Value<'_> {
    fn from(yes: bool) -> Self {
        Self::Int(i64::from(yes))
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Blob(bytes)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl From<crate::time::Time> for Value<'_> {
    fn from(time: crate::time::Time) -> Self {
        Self::Int(time.as_millis())
    }
}
