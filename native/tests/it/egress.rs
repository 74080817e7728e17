//! Where a production server may call: public hosts by https, and what its list names.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use hyper::Method;
use reveille::reveille_core::tenant::{ApiKeys, Authentication};
use reveille::{Running, Server};
use serde_json::json;

use crate::client::{Answer, Client};

/// An agent that takes whatever comes, and the first line of each request that did.
fn agent() -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, requests) = mpsc::channel();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let (mut socket, mut request) = (socket.unwrap(), [0; 8192]);
            let n = socket.read(&mut request).unwrap_or(0);
            let text = String::from_utf8_lossy(&request[..n]).into_owned();
            let _ = sender.send(text.lines().next().unwrap_or_default().to_owned());
            let body = r#"{"name":"t","description":"d","done":true}"#;
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = socket.write_all((head + body).as_bytes());
        }
    });
    (address, requests)
}

async fn serve(directory: &Path, allowed: &[String]) -> (Running, Client) {
    let keys = ApiKeys::parse("key user:alice").unwrap();
    let server = Server::serve(Authentication::ApiKeys(keys)).port(0).data_dir(directory);
    let server = allowed.iter().fold(server, |server, host| server.allow_webhook(host.parse().unwrap()));
    let running = server.start().await.unwrap();
    let client = Client::new(running.url());
    (running, client)
}

async fn ask(client: &Client, method: Method, path: &str, body: serde_json::Value) -> Answer {
    let headers = [("authorization", "Bearer key"), ("content-type", "application/json")];
    client.request(method, path, &headers, &body.to_string()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_production_server_calls_its_own_machine_only_when_told_to() {
    let directory = tempfile::tempdir().unwrap();
    let (address, requests) = agent();
    let port = address.port();
    let types = "/_electric/entity-types";

    let (server, client) = serve(directory.path(), &[format!("127.0.0.1:{}", port ^ 1)]).await;
    for host in ["127.0.0.1", "localhost", "127.1", "[::1]", "[::ffff:127.0.0.1]", "10.0.0.1", "agents.corp"] {
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://{host}:{port}/agent");
            let answer = ask(&client, Method::POST, types, json!({ "name": "t", "serve_endpoint": url })).await;
            assert_eq!(answer.status, 400, "{url}: {answer:?}");
            assert!(answer.text.contains("allow it with `--allow-webhook "), "{url}: {answer:?}");
        }
    }
    server.shutdown().await;
    assert!(requests.try_recv().is_err());

    // A name on the list may lead to this machine, an address is the one of its every spelling.
    let (server, client) = serve(directory.path(), &["LOCALHOST".to_owned(), address.to_string()]).await;
    for (id, host) in ["localhost", "127.0.0.1", "127.1"].into_iter().enumerate() {
        let url = format!("http://{host}:{port}/agent");
        let mine = json!({ "subject_kind": "principal_kind", "subject_value": "user", "permission": "manage" });
        let kind = json!({ "name": "t", "serve_endpoint": url, "permission_grants": [mine] });
        let answer = ask(&client, Method::POST, types, kind).await;
        assert_eq!(answer.status, 201, "{url}: {answer:?}");
        assert!(requests.recv_timeout(PATIENCE).unwrap().starts_with("PUT /agent "));
        let entity = format!("/_electric/entities/t/e{id}");
        let answer = ask(&client, Method::PUT, &entity, json!({ "initialMessage": 1 })).await;
        assert_eq!(answer.status, 201, "{url}: {answer:?}");
        assert!(requests.recv_timeout(PATIENCE).unwrap().starts_with("POST /agent "));
    }
    server.shutdown().await;

    // Taken off the list, it is not called for what was spawned before, nor asked for again.
    let (server, client) = serve(directory.path(), &[]).await;
    let answer = ask(&client, Method::POST, "/_electric/entities/t/e0/send", json!({ "payload": 2 })).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer = ask(&client, Method::PUT, "/_electric/entities/t/new", json!({})).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(requests.try_recv().is_err());
    server.shutdown().await;

    let (server, _) = serve(directory.path(), &["localhost".to_owned()]).await;
    assert!(requests.recv_timeout(PATIENCE).unwrap().starts_with("POST /agent "), "the same wake, later");
    server.shutdown().await;
}

const PATIENCE: Duration = Duration::from_secs(20);
