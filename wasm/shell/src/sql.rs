//! The engine's store over a database that JavaScript brings.
//!
//! A statement crosses the boundary twice: its parameters packed into bytes, and its rows packed into bytes. Against
//! arrays of values, whose every cell is a call or four, this halves what a statement costs and takes fewer imports.
//! Rows come in chunks, so that a visitor who has seen enough leaves the rest in the database.
//!
//! Cells: a tag, then for an integer its eight bytes as a float (JavaScript has no other number; 53 bits fit), for
//! text and blobs a length of four bytes and the bytes. Little endian. A chunk begins with what follows it and the
//! number of columns.

use std::cell::RefCell;

use reveille_core::store::{MAX_INT, Row, Sql, SqlError, Value, Verdict, Visit};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// The JavaScript end of the seam: `Connection` of `npm/connection.js`. Nothing of it throws, but for a trap that
    /// passes through `transaction`.
    pub type Database;

    /// Names a statement, once, before its first run.
    #[wasm_bindgen(method)]
    fn prepare(this: &Database, statement: u32, sql: &str);

    /// Runs a statement: its first chunk of rows, or none when it has no rows.
    #[wasm_bindgen(method)]
    fn run(this: &Database, statement: u32, params: &[u8]) -> Option<Vec<u8>>;

    /// The next chunk of the statement that said more would follow.
    #[wasm_bindgen(method)]
    fn more(this: &Database) -> Option<Vec<u8>>;

    /// No more is wanted of it.
    #[wasm_bindgen(method)]
    fn stop(this: &Database);

    /// Runs `work` in a transaction that is kept when it returns true; a failure's words, or none.
    #[wasm_bindgen(method)]
    fn transaction(this: &Database, work: &mut dyn FnMut() -> bool) -> Option<String>;

    /// Whether the outermost transaction is still open, where the database can tell.
    #[wasm_bindgen(method)]
    fn intact(this: &Database) -> Option<bool>;

    /// Rows written since it was opened.
    #[wasm_bindgen(method)]
    fn written(this: &Database) -> f64;
}

/// A store over a JavaScript database.
pub struct JsSql {
    database: Database,
    /// The address of each statement's text and its number, in the order of addresses.
    statements: RefCell<Vec<(usize, usize, u32)>>,
    params: RefCell<Vec<u8>>,
}

impl std::fmt::Debug for JsSql {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JsSql")
    }
}

impl JsSql {
    /// A store over `database`, which must not be in a transaction.
    pub fn new(database: Database) -> Self {
        Self { database, statements: RefCell::default(), params: RefCell::default() }
    }

    /// The number of a statement. Statements are static, so an address names one for good.
    fn statement(&self, sql: &'static str) -> u32 {
        let key = (sql.as_ptr() as usize, sql.len());
        let mut statements = self.statements.borrow_mut();
        match statements.binary_search_by_key(&key, |known| (known.0, known.1)) {
            Ok(i) => statements[i].2,
            Err(i) => {
                let number = u32::try_from(statements.len()).expect("there are some hundred statements");
                self.database.prepare(number, sql);
                statements.insert(i, (key.0, key.1, number));
                number
            }
        }
    }
}

impl Sql for JsSql {
    fn run(&self, sql: &'static str, params: &[Value<'_>], visit: &mut Visit<'_>) -> Result<(), SqlError> {
        let statement = self.statement(sql);
        let mut chunk = {
            let mut packed = self.params.borrow_mut();
            pack(params, &mut packed);
            self.database.run(statement, &packed)
        };
        while let Some(bytes) = chunk {
            let more = match bytes.first() {
                Some(&LAST) => false,
                Some(&MORE) => true,
                _ => return Err(SqlError::new(String::from_utf8_lossy(bytes.get(1..).unwrap_or_default()))),
            };
            let visited = unpack(&bytes[1..], visit);
            if more && visited.is_err() {
                self.database.stop();
            }
            visited?;
            chunk = if more { self.database.more() } else { None };
        }
        Ok(())
    }

    fn transaction(&self, work: &mut dyn FnMut() -> Verdict) -> Result<(), SqlError> {
        self.database
            .transaction(&mut || work() == Verdict::Commit)
            .map_or(Ok(()), |message| Err(SqlError::new(message)))
    }

    fn intact(&self) -> Option<bool> {
        self.database.intact()
    }

    fn written(&self) -> u64 {
        self.database.written() as u64
    }
}

fn pack(params: &[Value<'_>], out: &mut Vec<u8>) {
    out.clear();
    for param in params {
        match param {
            Value::Null => out.push(NULL),
            Value::Int(n) => {
                out.push(INT);
                out.extend_from_slice(&(*n as f64).to_le_bytes());
            }
            Value::Text(text) => pack_bytes(TEXT, text.as_bytes(), out),
            Value::Blob(bytes) => pack_bytes(BLOB, bytes, out),
        }
    }
}

fn pack_bytes(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(bytes.len()).expect("a value is under a megabyte");
    out.push(tag);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Visits the rows of a chunk, which begins with their width.
fn unpack(chunk: &[u8], visit: &mut Visit<'_>) -> Result<(), SqlError> {
    let mut bytes = Bytes(chunk);
    let width = usize::from(bytes.take::<1>()?[0]);
    let mut row = Vec::with_capacity(width);
    while !bytes.0.is_empty() {
        row.clear();
        for column in 0..width {
            row.push(bytes.value(column)?);
        }
        visit(Row(&row))?;
    }
    Ok(())
}

/// What is left of a chunk.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn value(&mut self, column: usize) -> Result<Value<'a>, SqlError> {
        Ok(match self.take::<1>()?[0] {
            NULL => Value::Null,
            INT => Value::Int(integer(f64::from_le_bytes(*self.take()?), column)?),
            TEXT => {
                let text = self.counted()?;
                Value::Text(
                    std::str::from_utf8(text).map_err(|_| SqlError::new(format!("column {column} is not UTF-8")))?,
                )
            }
            _ => Value::Blob(self.counted()?),
        })
    }

    fn counted(&mut self) -> Result<&'a [u8], SqlError> {
        let length = u32::from_le_bytes(*self.take()?) as usize;
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(cut)?;
        self.0 = rest;
        Ok(taken)
    }

    fn take<const N: usize>(&mut self) -> Result<&'a [u8; N], SqlError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or_else(cut)?;
        self.0 = rest;
        Ok(taken)
    }
}

/// A JavaScript number as the integer that it stands for.
fn integer(number: f64, column: usize) -> Result<i64, SqlError> {
    if number.fract() != 0.0 || number.abs() > MAX_INT as f64 {
        return Err(SqlError::new(format!("column {column} is {number}, and no integer of 53 bits")));
    }
    Ok(number as i64)
}

fn cut() -> SqlError {
    SqlError::new("the driver's rows end in the middle of one")
}

const LAST: u8 = 0;
const MORE: u8 = 1;

const NULL: u8 = 0;
const INT: u8 = 1;
const TEXT: u8 = 2;
const BLOB: u8 = 3;
