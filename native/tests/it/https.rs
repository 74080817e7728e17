//! HTTPS: handshakes that stall, readers of one connection that do, and what is told to those who come without TLS.
//! tests/https/ has what its clients see of it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use reveille::Server;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::client::{Raw, World, eventually, world_over};

async fn secure(change: impl FnOnce(Server) -> Server) -> World {
    world_over(|server| change(server.https()), |driver| driver).await
}

/// One connection over HTTP/2, as a client that trusts the server by its file.
#[derive(Clone)]
struct Connection(SendRequest<Sent>);

type Sent = UnsyncBoxBody<Bytes, Infallible>;

impl Connection {
    async fn open(world: &World) -> Self {
        let certificate = CertificateDer::from_pem_file(world.server.certificate().unwrap().file()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
        let mut config = config.with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let socket = TcpStream::connect(world.server.address()).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap();
        let mut builder = Builder::new(TokioExecutor::new());
        builder.initial_stream_window_size(64 << 10).initial_connection_window_size(8 << 20);
        let (send, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self(send)
    }

    /// Sends a request; its answer's body is still to be read.
    async fn ask(&self, method: &str, path: &str, body: impl Into<Bytes>) -> Response<Incoming> {
        self.send(method, path, Full::new(body.into()).boxed_unsync()).await
    }

    async fn send(&self, method: &str, path: &str, body: Sent) -> Response<Incoming> {
        let request = Request::builder().method(method).uri(format!("https://localhost{path}"));
        let request = request.header("content-type", "text/plain").body(body).unwrap();
        self.0.clone().send_request(request).await.unwrap()
    }

    async fn text(&self, path: &str) -> String {
        let bytes = self.ask("GET", path, "").await.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    async fn live_readers(&self, count: usize) {
        let line = format!("reveille_live_readers {count}\n");
        eventually(&line, async || self.text("/metrics").await.contains(&line)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_the_server_is_https() {
    let world = secure(|server| server).await;
    let connection = Connection::open(&world).await;
    let made = connection.ask("PUT", "/made", "").await;
    assert_eq!(made.status(), 201);
    let here = world.server.url();
    assert!(here.starts_with("https://127.0.0.1:"));
    assert_eq!(made.headers()["location"], format!("{here}/made"));
    world.server.shutdown().await;
}

/// The connection is read for all of its streams, so that its socket never stalls.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_whose_reader_takes_nothing_is_let_go_and_the_others_go_on() {
    let world = secure(|server| server.write_stall(Duration::from_millis(500))).await;
    let connection = Connection::open(&world).await;
    assert_eq!(connection.ask("PUT", "/much", "").await.status(), 201);
    for _ in 0..3 {
        assert!(connection.ask("POST", "/much", vec![b'x'; 1 << 20]).await.status().is_success());
    }
    let waiting = tokio::spawn({
        let connection = connection.clone();
        async move { connection.text("/much?offset=now&live=long-poll").await }
    });
    connection.live_readers(1).await;
    let whole = connection.ask("GET", "/much?offset=-1", "").await;
    let events = connection.ask("GET", "/much?offset=-1&live=sse", "").await;
    connection.live_readers(2).await;
    connection.live_readers(1).await;
    for stalled in [whole, events] {
        let error = stalled.into_body().collect().await.unwrap_err();
        assert!(format!("{error:?}").contains("CANCEL"), "{error:?}");
    }
    assert!(connection.ask("POST", "/much", "more").await.status().is_success());
    assert_eq!(waiting.await.unwrap(), "more");
    let again = connection.ask("GET", "/much?offset=-1", "").await;
    let length = again.headers()["content-length"].to_str().unwrap().parse::<usize>().unwrap();
    assert_eq!(again.into_body().collect().await.unwrap().to_bytes().len(), length);
    world.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stops_coming_costs_its_stream_alone() {
    let world = secure(|server| server.body_silence(Duration::from_millis(300))).await;
    let connection = Connection::open(&world).await;
    assert_eq!(connection.ask("PUT", "/slow", "").await.status(), 201);
    let begun = stream::once(async { Ok(Frame::data(Bytes::from("only this"))) }).chain(stream::pending());
    let answer = connection.send("POST", "/slow", StreamBody::new(begun).boxed_unsync()).await;
    assert_eq!(answer.status(), 408);
    assert_eq!(connection.text("/slow?offset=-1").await, "");
    world.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stalls_before_it_is_heard_is_let_go_and_holds_nobody_up() {
    let world = secure(|server| server.handshake(Duration::from_millis(500))).await;
    let mut stalled = Vec::new();
    // More than shake hands at once.
    for _ in 0..300 {
        stalled.push(Raw::open(&world.server, "\x16\x03\x01").await);
    }
    for said in ["", "\x16\x03\x01\x00\x05hello", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        stalled.push(Raw::open(&world.server, said).await);
    }
    let connection = Connection::open(&world).await;
    assert_eq!(connection.ask("GET", "/_electric/health", "").await.status(), 200);
    for mut one in stalled {
        one.closed().await;
    }
    world.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_without_tls_is_told_where_to_go() {
    let world = secure(|server| server).await;
    let here = world.server.url();
    let host = here.trim_start_matches("https://");
    let ask = async |head: &str| Raw::open(&world.server, head).await.until("}}").await;
    let sent = ask(&format!("GET /x?y=z HTTP/1.1\r\nhost: {host}\r\n\r\n")).await;
    assert!(sent.starts_with("HTTP/1.1 307 "), "{sent}");
    assert!(sent.contains(&format!("location: {here}/x?y=z\r\n")), "{sent}");
    for head in [
        format!("POST /x HTTP/1.1\r\nhost: {host}\r\ncontent-length: 2\r\n\r\n{{}}"),
        "DELETE /x HTTP/1.0\r\n\r\n".to_owned(),
    ] {
        let told = ask(&head).await;
        assert!(told.starts_with("HTTP/1.") && told.contains(" 400 Bad Request\r\n"), "{told}");
        assert!(told.contains(&format!(r#""message":"this port speaks HTTPS: {here}""#)), "{told}");
    }
    world.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shutting_down_ends_live_reads_and_does_not_wait_for_the_silent() {
    let world = secure(|server| server).await;
    let connection = Connection::open(&world).await;
    assert_eq!(connection.ask("PUT", "/end", "").await.status(), 201);
    let events = connection.ask("GET", "/end?offset=now&live=sse", "").await;
    let poll = tokio::spawn({
        let connection = connection.clone();
        async move { connection.ask("GET", "/end?offset=now&live=long-poll", "").await.status() }
    });
    connection.live_readers(2).await;
    let mut silent = Raw::open(&world.server, "").await;
    let stopped = tokio::time::timeout(Duration::from_secs(5), world.server.shutdown());
    let (stopped, status, _) = tokio::join!(stopped, poll, events.into_body().collect());
    assert!(stopped.is_ok(), "something held the server up");
    assert_eq!(status.unwrap(), 503);
    silent.closed().await;
}
