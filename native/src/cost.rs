//! What a statement writes, counted as an object bills it: a table row is one, and so is each index entry.
//!
//! SQLite does not say, so it is computed once per statement from its text and the schema. Where one statement can take
//! two paths the dearer one counts: an upsert costs its insert or its update, a partial index always has its entry.

use rusqlite::{Connection, Result};

/// What running a statement does to the count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cost {
    /// It writes no rows.
    Nothing,
    /// It changes the schema: what was computed before no longer holds.
    Schema,
    /// Each row that it changes costs this much.
    PerChange(u64),
}

/// The cost of a statement on the schema as it stands.
pub(crate) fn cost(connection: &Connection, sql: &str) -> Result<Cost> {
    let tokens = tokens(sql);
    Ok(match parse(&tokens) {
        Statement::Other => Cost::Nothing,
        Statement::Schema => Cost::Schema,
        // A deleted row takes its index entries with it: the platform counts one.
        Statement::Delete => Cost::PerChange(1),
        Statement::Update { table, set } => Cost::PerChange(Table::read(connection, table)?.update(&set)),
        Statement::Insert { table, set } => {
            let table = Table::read(connection, table)?;
            Cost::PerChange(table.insert().max(table.update(&set)))
        }
    })
}

/// A table, as far as writing it costs.
struct Table {
    /// The columns by which its rows are kept: a change moves every index entry.
    key: Vec<String>,
    /// The columns of each index.
    indexes: Vec<Vec<String>>,
}

impl Table {
    fn read(connection: &Connection, name: &str) -> Result<Self> {
        let names = |sql: &str, of: &str| -> Result<Vec<String>> {
            let mut statement = connection.prepare(sql)?;
            statement.query_map([of], |row| row.get(0))?.collect()
        };
        let rowid: bool = connection.query_row("SELECT NOT wr FROM pragma_table_list(?1)", [name], |row| row.get(0))?;
        let mut indexes = Vec::new();
        let mut keyed_by_index = false;
        for index in names("SELECT name FROM pragma_index_list(?1) WHERE origin = 'pk'", name)? {
            if rowid {
                keyed_by_index = true;
                indexes.push(names(COLUMNS, &index)?);
            }
        }
        for index in names("SELECT name FROM pragma_index_list(?1) WHERE origin <> 'pk'", name)? {
            let mut columns = names(COLUMNS, &index)?;
            let texts =
                names("SELECT sql FROM sqlite_schema WHERE type = 'index' AND name = ?1 AND sql NOT NULL", &index)?;
            columns.extend(texts.iter().flat_map(|text| mentioned(text)));
            indexes.push(columns);
        }
        let key = if keyed_by_index {
            Vec::new()
        } else {
            names("SELECT name FROM pragma_table_info(?1) WHERE pk > 0", name)?
        };
        Ok(Self { key, indexes })
    }

    fn insert(&self) -> u64 {
        1 + self.indexes.len() as u64
    }

    fn update(&self, set: &[&str]) -> u64 {
        let touches = |columns: &Vec<String>| columns.iter().any(|c| set.iter().any(|s| s.eq_ignore_ascii_case(c)));
        if touches(&self.key) {
            return self.insert();
        }
        1 + self.indexes.iter().filter(|index| touches(index)).count() as u64
    }
}

/// The words of an index's definition after `ON`: its columns, and those that its expressions or condition use.
fn mentioned(definition: &str) -> Vec<String> {
    let tokens = tokens(definition);
    tokens.iter().skip_while(|t| !t.is("ON")).skip(2).map(|t| t.text.to_owned()).collect()
}

/// A statement, as far as it writes.
#[derive(Debug, PartialEq, Eq)]
enum Statement<'a> {
    Insert { table: &'a str, set: Vec<&'a str> },
    Update { table: &'a str, set: Vec<&'a str> },
    Delete,
    Schema,
    Other,
}

fn parse<'a>(tokens: &[Token<'a>]) -> Statement<'a> {
    let outside = |word: &str| tokens.iter().position(|t| t.depth == 0 && t.is(word));
    let verb = tokens.iter().find(|t| t.depth == 0 && VERBS.iter().any(|verb| t.is(verb)));
    let set_after = |at: Option<usize>| at.map_or_else(Vec::new, |at| set(&tokens[at + 1..]));
    match verb {
        Some(t) if t.is("INSERT") || t.is("REPLACE") => match outside("INTO") {
            Some(at) => Statement::Insert { table: table(&tokens[at + 1..]), set: set_after(outside("SET")) },
            None => Statement::Other,
        },
        Some(t) if t.is("DELETE") => match outside("FROM") {
            Some(_) => Statement::Delete,
            None => Statement::Other,
        },
        Some(t) if t.is("UPDATE") => {
            let after = outside("UPDATE").map_or(0, |at| at + 1);
            let after = if tokens.get(after).is_some_and(|t| t.is("OR")) { after + 2 } else { after };
            Statement::Update { table: table(&tokens[after..]), set: set_after(outside("SET")) }
        }
        Some(t) if t.is("SELECT") => Statement::Other,
        Some(_) => Statement::Schema,
        None => Statement::Other,
    }
}

/// The table named at the start of `tokens`, without the schema's name.
fn table<'a>(tokens: &[Token<'a>]) -> &'a str {
    match tokens {
        [_, dot, name, ..] if dot.text == "." => name.text,
        [name, ..] => name.text,
        [] => "",
    }
}

/// The columns that the assignments at the start of `tokens` set.
fn set<'a>(tokens: &[Token<'a>]) -> Vec<&'a str> {
    let mut columns = Vec::new();
    let mut naming = true;
    for token in tokens {
        if token.depth == 0 && ["WHERE", "FROM", "RETURNING", "ORDER", "LIMIT"].iter().any(|word| token.is(word)) {
            break;
        }
        match token.text {
            "=" if token.depth == 0 => naming = false,
            "," if token.depth == 0 => naming = true,
            "," | "(" | ")" => {}
            name if naming => columns.push(name),
            _ => {}
        }
    }
    columns
}

/// A word (a quoted one without its quotes) or one character, and how many parentheses stand around it.
#[derive(Debug)]
struct Token<'a> {
    text: &'a str,
    depth: usize,
}

impl Token<'_> {
    fn is(&self, word: &str) -> bool {
        self.text.eq_ignore_ascii_case(word)
    }
}

/// The tokens of a statement, without its comments and text literals.
fn tokens(sql: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut depth = 0_usize;
    let mut rest = sql.trim_start();
    while let Some(first) = rest.chars().next() {
        let until = |end: &str| rest[1..].find(end).map_or(rest.len(), |at| at + 1);
        let length = match first {
            '-' if rest.starts_with("--") => until("\n"),
            '/' if rest.starts_with("/*") => until("*/") + 2,
            '\'' | '"' | '`' | '[' => {
                let length = until(if first == '[' { "]" } else { &rest[..1] }) + 1;
                if first != '\'' {
                    tokens.push(Token { text: &rest[1..(length - 1).min(rest.len())], depth });
                }
                length
            }
            c if c.is_alphanumeric() || c == '_' => {
                let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
                tokens.push(Token { text: &rest[..length], depth });
                length
            }
            c => {
                depth = if c == ')' { depth.saturating_sub(1) } else { depth };
                tokens.push(Token { text: &rest[..c.len_utf8()], depth });
                depth += usize::from(c == '(');
                c.len_utf8()
            }
        };
        rest = rest[length.min(rest.len())..].trim_start();
    }
    tokens
}

const VERBS: [&str; 8] = ["SELECT", "INSERT", "REPLACE", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER"];
const COLUMNS: &str = "SELECT name FROM pragma_index_xinfo(?1) WHERE name NOT NULL";

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Connection {
        let connection = Connection::open_in_memory().expect("opens");
        let script = "
            CREATE TABLE plain (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, size INTEGER, state TEXT) STRICT;
            CREATE INDEX plain_by_size ON plain (size);
            CREATE INDEX plain_open ON plain (name) WHERE state = 'open';
            CREATE TABLE link (a INTEGER, b INTEGER, c INTEGER, PRIMARY KEY (a, b)) STRICT, WITHOUT ROWID;
            CREATE INDEX link_by_b ON link (b);
            CREATE TABLE word (text TEXT PRIMARY KEY, n INTEGER) STRICT;
            CREATE TABLE bare (x INTEGER) STRICT;";
        connection.execute_batch(script).expect("makes the schema");
        connection
    }

    #[test]
    fn rows_and_index_entries_count() {
        let connection = schema();
        let cases = [
            ("INSERT INTO plain (name, size) VALUES (?1, ?2)", 4),
            ("INSERT INTO link VALUES (1, 2, 3)", 2),
            ("INSERT INTO word VALUES (?1, ?2)", 2),
            ("INSERT INTO bare VALUES (1)", 1),
            ("insert or ignore into main.plain (name) select x from bare", 4),
            ("REPLACE INTO bare VALUES (1)", 1),
            ("DELETE FROM plain WHERE id = ?1", 1),
            ("DELETE FROM \"link\"", 1),
            ("UPDATE plain SET size = ?1", 2),
            ("UPDATE plain SET state = ?1 WHERE name = (SELECT name FROM plain)", 2),
            ("UPDATE plain SET name = ?1, size = max(size, 2)", 4),
            ("UPDATE OR IGNORE plain SET (name, state) = (?1, ?2) RETURNING size", 3),
            ("UPDATE plain SET id = id + 1", 4),
            ("UPDATE link SET c = ?1 WHERE a = ?2", 1),
            ("UPDATE link SET a = ?1", 2),
            ("UPDATE word SET n = n + 1", 1),
            ("UPDATE word SET text = ?1", 2),
            ("INSERT INTO word VALUES (?1, 1) ON CONFLICT (text) DO UPDATE SET n = n + 1 RETURNING n", 2),
            ("WITH big AS (SELECT id FROM plain WHERE size > 9) DELETE FROM link WHERE a IN big", 1),
            ("/* DELETE */ -- DROP\n UPDATE bare SET x = 'SET, y = 1'", 1),
        ];
        for (sql, per_change) in cases {
            assert_eq!(cost(&connection, sql).expect(sql), Cost::PerChange(per_change), "{sql}");
        }
    }

    #[test]
    fn what_writes_no_rows_costs_nothing() {
        let connection = schema();
        for sql in ["SELECT 1", "WITH x AS (SELECT 1) SELECT * FROM x", "PRAGMA wal_checkpoint", "COMMIT", ""] {
            assert_eq!(cost(&connection, sql).expect(sql), Cost::Nothing, "{sql}");
        }
        for sql in ["CREATE TABLE t (x) STRICT", "-- why\nALTER TABLE t ADD y", "DROP INDEX i"] {
            assert_eq!(cost(&connection, sql).expect(sql), Cost::Schema, "{sql}");
        }
    }
}
