//! A small HTTP client, and servers to point it at.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Method, Request};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use reveille::{Driver, Running, Server};
use reveille_core::store::Sql;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A server with a data directory of its own, and a client for it.
pub(crate) struct World {
    pub(crate) server: Running,
    pub(crate) client: Client,
    pub(crate) directory: TempDir,
}

/// A development server over the plain driver.
pub(crate) async fn world() -> World {
    world_over(|server| server, |driver| driver).await
}

/// A development server over a store that the test can break.
pub(crate) async fn world_over<S: Sql + 'static>(
    change: impl FnOnce(Server) -> Server,
    wrap: impl FnOnce(Driver) -> S + Send + 'static,
) -> World {
    let directory = tempfile::tempdir().unwrap();
    let server = change(Server::dev().port(0).data_dir(directory.path())).start_over(wrap).await.unwrap();
    World { client: Client::new(server.url()), server, directory }
}

#[derive(Clone)]
pub(crate) struct Client {
    base: String,
    pool: Pool<HttpConnector, Full<Bytes>>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Client {
    pub(crate) fn new(base: &str) -> Self {
        Self { base: base.to_owned(), pool: Pool::builder(TokioExecutor::new()).build_http() }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path, &[], "").await
    }

    /// Makes a stream of plain text.
    pub(crate) async fn make(&self, path: &str) {
        let answer = self.request(Method::PUT, path, &[("content-type", "text/plain")], "").await;
        assert!(answer.is_ok(), "{answer:?}");
    }

    /// Appends a line to a stream of plain text.
    pub(crate) async fn append(&self, path: &str, line: &str) -> Answer {
        self.request(Method::POST, path, &[("content-type", "text/plain")], &format!("{line}\n")).await
    }

    pub(crate) async fn request(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.pool.request(request.body(Full::from(body.to_owned())).unwrap()).await.unwrap();
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer { status: head.status.as_u16(), headers: head.headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }
}

impl Answer {
    pub(crate) fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// A socket on which a test says exactly what it wants.
pub(crate) struct Raw {
    socket: TcpStream,
    read: Vec<u8>,
}

impl Raw {
    pub(crate) async fn open(server: &Running, text: &str) -> Self {
        let mut socket = TcpStream::connect(server.address()).await.unwrap();
        socket.write_all(text.as_bytes()).await.unwrap();
        Self { socket, read: Vec::new() }
    }

    /// Sends more; the server may have closed by now.
    pub(crate) async fn send(&mut self, text: &str) {
        let _ = self.socket.write_all(text.as_bytes()).await;
    }

    /// Everything read so far, once it contains `text`.
    pub(crate) async fn until(&mut self, text: &str) -> String {
        let read = async {
            let mut searched = 0;
            loop {
                if self.read[searched..].windows(text.len()).any(|found| found == text.as_bytes()) {
                    return String::from_utf8_lossy(&self.read).into_owned();
                }
                searched = self.read.len().saturating_sub(text.len());
                let mut piece = [0; 64 << 10];
                let n = self.socket.read(&mut piece).await.unwrap();
                assert!(n > 0, "closed before `{text}`: {}", String::from_utf8_lossy(&self.read));
                self.read.extend_from_slice(&piece[..n]);
            }
        };
        tokio::time::timeout(Duration::from_secs(20), read).await.unwrap_or_else(|_| panic!("never came: `{text}`"))
    }

    /// Waits until the server closes the connection.
    pub(crate) async fn closed(&mut self) {
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(20), self.socket.read_to_end(&mut rest)).await;
        assert!(closed.is_ok(), "still open");
    }
}

/// Asks again until the check passes.
pub(crate) async fn eventually(what: &str, mut check: impl AsyncFnMut() -> bool) {
    for _ in 0..1000 {
        if check().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}
