//! A client's connection: kept alive, one request at a time.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value as Json;
use tokio::net::TcpStream;

use crate::Result;
use crate::report::Cost;

/// One connection to the server.
#[derive(Debug)]
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: HeaderValue,
}

/// A request as the load repeats it.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Its method.
    pub method: Method,
    /// Its path, with its query.
    pub path: String,
    /// Its body; none when it is empty.
    pub body: Bytes,
    /// Its `Authorization`.
    pub token: Option<String>,
    /// Its `Electric-Principal`.
    pub principal: Option<String>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Connection {
    /// Connects.
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(socket)).await?;
        tokio::spawn(connection);
        Ok(Self { sender, host: HeaderValue::try_from(address.to_string())? })
    }

    /// Asks, and waits for the whole answer, whatever its status.
    pub async fn ask(&mut self, ask: Ask) -> Result<Answer> {
        let request = self.request(ask)?;
        let answer = tokio::time::timeout(PATIENCE, async {
            let (head, body) = self.sender.send_request(request).await?.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok::<_, hyper::Error>(Answer { status: head.status, headers: head.headers, body })
        });
        Ok(answer.await.map_err(|_| "no answer within 30 s")??)
    }

    /// Asks for what must succeed.
    pub async fn expect(&mut self, ask: Ask) -> Result<Answer> {
        let said = format!("{} {}", ask.method, ask.path);
        let answer = self.ask(ask).await?;
        if answer.status.is_success() { Ok(answer) } else { Err(answer.unexpected(&said).into()) }
    }

    /// Asks for what must succeed, and gives its body as it comes.
    pub async fn listen(&mut self, ask: Ask) -> Result<Incoming> {
        let said = format!("{} {}", ask.method, ask.path);
        let request = self.request(ask)?;
        let answer = tokio::time::timeout(PATIENCE, self.sender.send_request(request));
        let (head, body) = answer.await.map_err(|_| "no answer within 30 s")??.into_parts();
        if head.status.is_success() { Ok(body) } else { Err(format!("{said} was answered {}", head.status).into()) }
    }

    fn request(&self, ask: Ask) -> Result<Request<Full<Bytes>>> {
        let mut request = Request::builder().method(ask.method).uri(ask.path).header(HOST, &self.host);
        if !ask.body.is_empty() {
            request = request.header(CONTENT_TYPE, JSON);
        }
        if let Some(token) = ask.token {
            request = request.header(AUTHORIZATION, token);
        }
        if let Some(principal) = ask.principal {
            request = request.header(PRINCIPAL, principal);
        }
        Ok(request.body(Full::new(ask.body))?)
    }
}

impl Ask {
    /// A request; JSON `null` is no body.
    pub fn new(method: Method, path: impl Into<String>, body: &Json) -> Self {
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        Self { method, path: path.into(), body, token: None, principal: None }
    }

    /// A read.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path, &Json::Null)
    }

    /// A PUT of JSON.
    pub fn put(path: impl Into<String>, body: &Json) -> Self {
        Self::new(Method::PUT, path, body)
    }

    /// A POST of JSON.
    pub fn post(path: impl Into<String>, body: &Json) -> Self {
        Self::new(Method::POST, path, body)
    }

    /// The same with a bearer token.
    pub fn under(self, token: &str) -> Self {
        Self { token: Some(format!("Bearer {token}")), ..self }
    }

    /// The same by a principal.
    #[must_use]
    pub fn by(self, principal: &str) -> Self {
        Self { principal: Some(principal.to_owned()), ..self }
    }
}

impl Answer {
    /// Its body as JSON.
    pub fn json(&self) -> Result<Json> {
        Ok(serde_json::from_slice(&self.body)?)
    }

    /// A number in a header.
    pub fn number(&self, header: &str) -> Option<u64> {
        self.headers.get(header)?.to_str().ok()?.parse().ok()
    }

    /// A header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    /// What it cost the store, which a development server says.
    pub fn cost(&self, command: &'static str) -> Result<Cost> {
        let number = |header| self.number(header).ok_or_else(|| format!("no `{header}` on the answer"));
        Ok(Cost { command, rows: number("reveille-rows-written")?, statements: number("reveille-statements")? })
    }

    /// What there is to say about an answer that should not have been.
    pub fn unexpected(&self, asked: &str) -> String {
        format!("{asked} was answered {}: {}", self.status, String::from_utf8_lossy(&self.body))
    }
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PRINCIPAL: &str = "electric-principal";
const PATIENCE: Duration = Duration::from_secs(30);
