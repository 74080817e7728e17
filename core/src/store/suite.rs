//! The driver suite: what every [`Sql`] driver must do alike. Each host runs it against its own.

use super::sql::{MAX_INT, Sql, SqlError, Value, Verdict};

/// Runs the suite on fresh, empty databases, one a check. Gives the names of the checks that passed.
///
/// # Errors
/// The first check that failed, and how.
pub fn run<S: Sql>(mut fresh: impl FnMut() -> S) -> Result<Vec<&'static str>, String> {
    let mut passed = Vec::new();
    for (name, check) in CHECKS {
        let sql = fresh();
        prepare(&sql).map_err(|e| format!("{name}: {e}"))?;
        check(&sql).map_err(|why| format!("{name}: {why}"))?;
        passed.push(*name);
    }
    Ok(passed)
}

type Check = fn(&dyn Sql) -> Result<(), String>;

const CHECKS: &[(&str, Check)] = &[
    ("values come back as they went in", values_round_trip),
    ("parameters are numbered", parameters_are_numbered),
    ("numbers stay integers in text and in arithmetic", numbers_stay_integers),
    ("rows are visited in order and may be left early", rows_in_order),
    ("a transaction commits", commits),
    ("a transaction rolls back", rolls_back),
    ("nested transactions roll back alone", nested_alone),
    ("an outer rollback takes what was nested with it", outer_takes_nested),
    ("a statement that fails leaves the transaction usable", failure_is_survivable),
    ("an error in the visitor comes back", visitor_error),
    ("rows written count table rows and index entries", counts_rows),
    ("text is UTF-8 and may hold anything", text_is_utf8),
    ("strict tables refuse the wrong type", strict),
];

fn prepare(sql: &dyn Sql) -> Result<(), SqlError> {
    exec(sql, "CREATE TABLE t (id INTEGER PRIMARY KEY, i INTEGER, s TEXT, b BLOB) STRICT", &[])?;
    exec(sql, "CREATE INDEX t_by_s ON t (s)", &[])?;
    exec(
        sql,
        "CREATE TABLE w (a INTEGER NOT NULL, b INTEGER NOT NULL, v TEXT, PRIMARY KEY (a, b)) STRICT, WITHOUT ROWID",
        &[],
    )
}

fn exec(sql: &dyn Sql, statement: &'static str, params: &[Value<'_>]) -> Result<(), SqlError> {
    sql.run(statement, params, &mut |_| Ok(()))
}

fn count(sql: &dyn Sql) -> Result<i64, SqlError> {
    let mut n = -1;
    sql.run("SELECT count(*) FROM t", &[], &mut |row| {
        n = row.int(0)?;
        Ok(())
    })?;
    Ok(n)
}

fn insert(sql: &dyn Sql, id: i64) -> Result<(), SqlError> {
    exec(sql, "INSERT INTO t (id, i, s) VALUES (?1, ?1, 'x')", &[id.into()])
}

fn ok(result: Result<(), SqlError>) -> Result<(), String> {
    result.map_err(|e| e.to_string())
}

fn expect<T: PartialEq + std::fmt::Debug>(found: Result<T, SqlError>, wanted: &T) -> Result<(), String> {
    let found = found.map_err(|e| e.to_string())?;
    if found == *wanted { Ok(()) } else { Err(format!("{found:?} instead of {wanted:?}")) }
}

fn values_round_trip(sql: &dyn Sql) -> Result<(), String> {
    let blob: Vec<u8> = (0..=255).collect();
    for (id, i) in [(1, 0), (2, -1), (3, MAX_INT), (4, -MAX_INT), (5, i64::from(i32::MAX) + 1)] {
        let params = [Value::Int(id), i.into(), "grüße\u{0}\u{1F600}".into(), blob.as_slice().into()];
        ok(exec(sql, "INSERT INTO t (id, i, s, b) VALUES (?1, ?2, ?3, ?4)", &params))?;
        let mut seen = None;
        ok(sql.run("SELECT i, s, b, NULL FROM t WHERE id = ?1", &[id.into()], &mut |row| {
            seen = Some((row.int(0)?, row.text(1)?.to_owned(), row.blob(2)?.to_vec(), row.opt_int(3)?));
            Ok(())
        }))?;
        expect(Ok(seen), &Some((i, "grüße\u{0}\u{1F600}".to_owned(), blob.clone(), None)))?;
    }
    let params = [Value::Int(9), Value::Null, "".into(), [].as_slice().into()];
    ok(exec(sql, "INSERT INTO t (id, i, s, b) VALUES (?1, ?2, ?3, ?4)", &params))?;
    let mut seen = None;
    ok(sql.run("SELECT i, s, b FROM t WHERE id = 9", &[], &mut |row| {
        seen = Some((row.opt_int(0)?, row.text(1)?.to_owned(), row.blob(2)?.to_vec()));
        Ok(())
    }))?;
    expect(Ok(seen), &Some((None, String::new(), Vec::new())))
}

fn parameters_are_numbered(sql: &dyn Sql) -> Result<(), String> {
    ok(exec(sql, "INSERT INTO t (id, i, s) VALUES (?2, ?1, ?3)", &[7.into(), 1.into(), "a".into()]))?;
    ok(exec(
        sql,
        "UPDATE t SET i = CAST(?1 AS INTEGER) + 1 WHERE id = ?2 AND s = ?3 AND ?3 = 'a'",
        &[10.into(), 1.into(), "a".into()],
    ))?;
    let mut seen = 0;
    ok(sql.run("SELECT i FROM t WHERE id = ?1", &[1.into()], &mut |row| {
        seen = row.int(0)?;
        Ok(())
    }))?;
    expect(Ok(seen), &11)
}

fn numbers_stay_integers(sql: &dyn Sql) -> Result<(), String> {
    let mut seen = Vec::new();
    ok(sql.run(
        "SELECT typeof(CAST(?1 AS INTEGER)), CAST(?1 AS INTEGER) + 1, count(*) FROM t",
        &[41.into()],
        &mut |row| {
            seen.push((row.text(0)?.to_owned(), row.int(1)?, row.int(2)?));
            Ok(())
        },
    ))?;
    expect(Ok(seen), &vec![("integer".to_owned(), 42, 0)])
}

fn rows_in_order(sql: &dyn Sql) -> Result<(), String> {
    for id in [3, 1, 2] {
        ok(insert(sql, id))?;
    }
    let mut seen = Vec::new();
    let left = sql.run("SELECT id FROM t ORDER BY id", &[], &mut |row| {
        seen.push(row.int(0)?);
        if seen.len() == 2 { Err(SqlError::new("enough")) } else { Ok(()) }
    });
    expect(Ok((seen, left.is_err())), &(vec![1, 2], true))?;
    expect(count(sql), &3)
}

fn commits(sql: &dyn Sql) -> Result<(), String> {
    let mut inner = Ok(());
    ok(sql.transaction(&mut || {
        inner = insert(sql, 1);
        Verdict::Commit
    }))?;
    ok(inner)?;
    expect(count(sql), &1)
}

fn rolls_back(sql: &dyn Sql) -> Result<(), String> {
    let mut inner = Ok(());
    ok(sql.transaction(&mut || {
        inner = insert(sql, 1);
        Verdict::Rollback
    }))?;
    ok(inner)?;
    expect(count(sql), &0)
}

fn nested_alone(sql: &dyn Sql) -> Result<(), String> {
    let mut inner = Ok(());
    ok(sql.transaction(&mut || {
        inner = (|| {
            insert(sql, 1)?;
            for (id, verdict) in [(2, Verdict::Rollback), (3, Verdict::Commit), (4, Verdict::Rollback)] {
                let mut done = Ok(());
                sql.transaction(&mut || {
                    done = insert(sql, id);
                    verdict
                })?;
                done?;
            }
            insert(sql, 5)
        })();
        Verdict::Commit
    }))?;
    ok(inner)?;
    let mut seen = Vec::new();
    ok(sql.run("SELECT id FROM t ORDER BY id", &[], &mut |row| {
        seen.push(row.int(0)?);
        Ok(())
    }))?;
    expect(Ok(seen), &vec![1, 3, 5])
}

fn outer_takes_nested(sql: &dyn Sql) -> Result<(), String> {
    let mut inner = Ok(());
    ok(sql.transaction(&mut || {
        inner = sql.transaction(&mut || {
            let _ = insert(sql, 1);
            Verdict::Commit
        });
        Verdict::Rollback
    }))?;
    ok(inner)?;
    expect(count(sql), &0)
}

fn failure_is_survivable(sql: &dyn Sql) -> Result<(), String> {
    let mut failed = Ok(());
    ok(sql.transaction(&mut || {
        let _ = insert(sql, 1);
        let mut nested = Ok(());
        let _ = sql.transaction(&mut || {
            nested = insert(sql, 1);
            Verdict::Rollback
        });
        failed = nested;
        if sql.intact() == Some(false) {
            return Verdict::Rollback;
        }
        let _ = insert(sql, 2);
        Verdict::Commit
    }))?;
    if failed.is_ok() {
        return Err("a duplicate key was accepted".to_owned());
    }
    expect(count(sql), &2)
}

fn visitor_error(sql: &dyn Sql) -> Result<(), String> {
    ok(insert(sql, 1))?;
    let error = sql.run("SELECT s FROM t", &[], &mut |row| row.int(0).map(|_| ()));
    if error.is_ok() {
        return Err("text was read as an integer".to_owned());
    }
    expect(count(sql), &1)
}

fn counts_rows(sql: &dyn Sql) -> Result<(), String> {
    let mut costs = Vec::new();
    let steps: [(&'static str, &[Value<'_>]); 8] = [
        ("INSERT INTO t (id, i, s) VALUES (1, 1, 'a')", &[]),
        ("UPDATE t SET i = 2 WHERE id = 1", &[]),
        ("INSERT INTO w (a, b, v) VALUES (1, 1, 'x')", &[]),
        ("UPDATE w SET v = 'y' WHERE a = 1", &[]),
        ("UPDATE t SET i = 3 WHERE id = 99", &[]),
        ("SELECT * FROM t", &[]),
        ("DELETE FROM t WHERE id = 1", &[]),
        ("DELETE FROM w", &[]),
    ];
    for (statement, params) in steps {
        let before = sql.written();
        ok(exec(sql, statement, params))?;
        costs.push(sql.written() - before);
    }
    expect(Ok(costs), &vec![2, 1, 1, 1, 0, 0, 1, 1])
}

fn text_is_utf8(sql: &dyn Sql) -> Result<(), String> {
    let long = "é".repeat(400_000);
    ok(exec(sql, "INSERT INTO t (id, s) VALUES (1, ?1)", &[(&long).into()]))?;
    let mut same = false;
    ok(sql.run("SELECT s, length(s) FROM t", &[], &mut |row| {
        same = row.text(0)? == long && row.int(1)? == 400_000;
        Ok(())
    }))?;
    expect(Ok(same), &true)
}

fn strict(sql: &dyn Sql) -> Result<(), String> {
    if exec(sql, "INSERT INTO t (id, i) VALUES (1, ?1)", &["words".into()]).is_ok() {
        return Err("text went into an integer column".to_owned());
    }
    expect(count(sql), &0)
}
