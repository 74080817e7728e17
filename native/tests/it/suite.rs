//! The rules of the seam, against this host's driver.

use reveille::Driver;
use reveille_core::store::{Sql, Verdict};

#[test]
fn the_driver_keeps_the_rules() {
    let mut directories = Vec::new();
    let passed = reveille_core::store::suite::run(|| {
        let directory = tempfile::tempdir().unwrap();
        let driver = Driver::open(&directory.path().join("suite.sqlite")).unwrap();
        directories.push(directory);
        driver
    });
    assert!(passed.is_ok(), "{passed:?}");
}

/// The engine catches panics inside a transaction; a driver must not need it to.
#[test]
fn a_panic_leaves_no_transaction_open() {
    let directory = tempfile::tempdir().unwrap();
    let driver = Driver::open(&directory.path().join("panic.sqlite")).unwrap();
    let run = |sql: &'static str| driver.run(sql, &[], &mut |_| Ok(())).unwrap();
    run("CREATE TABLE t (x INTEGER) STRICT");
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        driver.transaction(&mut || {
            run("INSERT INTO t VALUES (1)");
            driver.transaction(&mut || panic!("asked to")).unwrap();
            Verdict::Commit
        })
    }));
    assert!(panicked.is_err());
    driver.transaction(&mut || Verdict::Commit).unwrap();
    let mut rows = 0;
    driver.run("SELECT count(*) FROM t", &[], &mut |row| row.int(0).map(|n| rows = n)).unwrap();
    assert_eq!(rows, 0);
}

/// On a full disk SQLite may end the transaction by itself; then nothing may commit one statement at a time.
#[test]
fn nothing_runs_outside_a_transaction_that_was_ended() {
    let directory = tempfile::tempdir().unwrap();
    let driver = Driver::open(&directory.path().join("ended.sqlite")).unwrap();
    let run = |sql: &'static str| driver.run(sql, &[], &mut |_| Ok(()));
    run("CREATE TABLE t (x INTEGER) STRICT").unwrap();
    let ended = driver.transaction(&mut || {
        run("INSERT INTO t VALUES (1)").unwrap();
        run("ROLLBACK").unwrap();
        assert_eq!(driver.intact(), Some(false));
        assert!(run("INSERT INTO t VALUES (2)").is_err());
        assert!(driver.transaction(&mut || Verdict::Commit).is_err());
        Verdict::Commit
    });
    assert!(ended.is_err());
    let mut rows = 0;
    driver.run("SELECT count(*) FROM t", &[], &mut |row| row.int(0).map(|n| rows = n)).unwrap();
    assert_eq!((rows, driver.intact()), (0, Some(true)));
}
