//! A database of every schema version is opened by this one, and goes on where it was.

use std::path::Path;

use hyper::Method;
use reveille::Server;

use crate::client::{Client, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn databases_of_every_version_are_opened() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/schema");
    let mut opened = 0;
    for file in std::fs::read_dir(kept).unwrap() {
        let file = file.unwrap().path();
        if file.extension().is_none_or(|e| e != "sqlite") {
            continue;
        }
        let directory = tempfile::tempdir().unwrap();
        std::fs::copy(&file, directory.path().join("reveille.sqlite")).unwrap();
        let server = Server::dev().port(0).data_dir(directory.path()).start().await.unwrap();
        let client = Client::new(server.url());
        let entity = client.get("/_electric/entities/note/kept").await;
        assert!(entity.text.contains("12345678901234567890") && entity.text.contains("version"), "{entity:?}");
        assert_eq!(client.get("/plain").await.text, "[1,2]");
        // Before there were grants everybody might spawn every type.
        let user = [("electric-principal", "user:alice")];
        let kind = client.request(Method::GET, "/_electric/entity-types/note", &user, "").await;
        assert_eq!(kind.status, 200, "{kind:?}");
        // What was due while no server ran arrives, and the runner is told.
        eventually("the delayed message", async || client.get("/note/kept/main").await.text.contains("later")).await;
        assert!(client.get("/runners/keeper/wake").await.text.contains("runner:keeper:"));
        server.shutdown().await;
        assert_eq!(restless(directory.path()), 0, "a membership stream of {file:?} would never fall asleep");
        opened += 1;
    }
    assert!(opened > 0, "no database was found");
}

/// How many membership streams are awake and have no timer.
fn restless(directory: &Path) -> i64 {
    let database = rusqlite::Connection::open(directory.join("reveille.sqlite")).unwrap();
    let sql = "SELECT count(*) FROM membership m WHERE m.asleep = 0 AND NOT EXISTS (SELECT 1 FROM timer t WHERE t.kind = 18 AND t.subject = m.id AND t.due_at = m.until)";
    database.query_row(sql, [], |row| row.get(0)).unwrap()
}
