//! A client for the server, as the agents beside this command line use it: JSON calls, event streams, and the life of a
//! wake. It knows the wire and none of the server's insides.

mod answer;
pub(crate) mod caller;
pub(crate) mod sse;
pub(crate) mod tail;
pub(crate) mod wake;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, InvalidHeaderValue};
use hyper::{Method, Request, Response};
use hyper_rustls::builderstates::WantsSchemes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value as Json;
use tokio::time::Instant;

use self::answer::unreachable;
pub(crate) use self::answer::{Answer, Failure};

/// One server, and who calls it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Client {
    base: Arc<str>,
    headers: HeaderMap,
    connections: Connections,
}

#[derive(Clone)]
enum Connections {
    Plain(Pool<HttpConnector, Full<Bytes>>),
    Secure(Pool<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

impl Client {
    /// A client for the server at a base URL, which trusts whom this machine trusts.
    ///
    /// # Errors
    /// When the URL is `https` and this machine trusts nobody.
    pub(crate) fn new(base: &str) -> Result<Self, Failure> {
        if !base.starts_with("https://") {
            return Ok(Self::over(base, Connections::Plain(pool().build(connector()))));
        }
        let secure = HttpsConnectorBuilder::new()
            .with_native_roots()
            .map_err(|error| Failure::Unreachable(format!("no trusted certificates: {error}")))?;
        Ok(Self::secure(base, secure))
    }

    /// The same, which trusts these and no others.
    pub(crate) fn trusting(base: &str, roots: &RootCertStore) -> Result<Self, Failure> {
        if !base.starts_with("https://") {
            return Self::new(base);
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().map_err(|error| unreachable(&error))?;
        let config = config.with_root_certificates(roots.clone()).with_no_client_auth();
        Ok(Self::secure(base, HttpsConnectorBuilder::new().with_tls_config(config)))
    }

    fn secure(base: &str, secure: HttpsConnectorBuilder<WantsSchemes>) -> Self {
        let mut plain = connector();
        plain.enforce_http(false);
        Self::over(base, Connections::Secure(pool().build(secure.https_only().enable_http1().wrap_connector(plain))))
    }

    fn over(base: &str, connections: Connections) -> Self {
        Self { base: base.trim_end_matches('/').into(), headers: HeaderMap::new(), connections }
    }

    /// Calls as this principal, which a development server believes.
    pub(crate) fn principal(mut self, principal: &str) -> Result<Self, InvalidHeaderValue> {
        self.headers.insert("electric-principal", principal.parse()?);
        Ok(self)
    }

    /// Calls with this API key.
    pub(crate) fn api_key(mut self, key: &str) -> Result<Self, InvalidHeaderValue> {
        let mut value: HeaderValue = format!("Bearer {key}").parse()?;
        value.set_sensitive(true);
        self.headers.insert(AUTHORIZATION, value);
        Ok(self)
    }

    /// The server's base URL, without a slash at its end.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Answer, Failure> {
        self.call(Method::GET, path, &[], Bytes::new()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Json) -> Result<Answer, Failure> {
        self.call(Method::POST, path, &[], body.to_string().into()).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Json) -> Result<Answer, Failure> {
        self.call(Method::PUT, path, &[], body.to_string().into()).await
    }

    /// One request and its whole answer. Any status but 2xx is a failure.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
        body: Bytes,
    ) -> Result<Answer, Failure> {
        let whole = async {
            let response = self.request(method, path, headers, body).await?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, LARGEST).collect().await.map_err(|error| unreachable(&*error))?.to_bytes();
            Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
        };
        let answer = tokio::time::timeout(PATIENCE, whole)
            .await
            .map_err(|_| Failure::Unreachable(format!("no answer within {} s", PATIENCE.as_secs())))??;
        if (200..300).contains(&answer.status) { Ok(answer) } else { Err(answer.refusal()) }
    }

    /// The same, tried again while the server is away, as long as a lease would last: the calls of an agent that has
    /// claimed something. An append among them carries what makes it happen once.
    pub(crate) async fn call_patiently(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
        body: Bytes,
    ) -> Result<Answer, Failure> {
        let (start, mut pause) = (Instant::now(), Duration::from_millis(100));
        loop {
            match self.call(method.clone(), path, headers, body.clone()).await {
                Err(failure) if failure.may_pass() && start.elapsed() < LEASE => tokio::time::sleep(pause).await,
                result => return result,
            }
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }

    /// An answer whose body goes on: its head has come when this returns.
    async fn stream(&self, path: &str) -> Result<Incoming, Failure> {
        let request = self.request(Method::GET, path, &[("accept", "text/event-stream")], Bytes::new());
        let response = tokio::time::timeout(PATIENCE, request)
            .await
            .map_err(|_| Failure::Unreachable(format!("no answer within {} s", PATIENCE.as_secs())))??;
        let (head, body) = response.into_parts();
        if head.status.is_success() {
            return Ok(body);
        }
        let body = Limited::new(body, LARGEST).collect().await.map_err(|error| unreachable(&*error))?.to_bytes();
        Err(Answer { status: head.status.as_u16(), headers: head.headers, body }.refusal())
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
        body: Bytes,
    ) -> Result<Response<Incoming>, Failure> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        if let Some(all) = request.headers_mut() {
            all.clone_from(&self.headers);
            if !body.is_empty() {
                all.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            }
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body)).map_err(|error| unreachable(&error))?;
        let response = match &self.connections {
            Connections::Plain(pool) => pool.request(request).await,
            Connections::Secure(pool) => pool.request(request).await,
        };
        response.map_err(|error| unreachable(&error))
    }
}

fn connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT));
    connector
}

fn pool() -> hyper_util::client::legacy::Builder {
    let mut builder = Pool::builder(TokioExecutor::new());
    builder.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE);
    builder
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.base)
    }
}

const CONNECT: Duration = Duration::from_secs(10);
/// How long a claim lives without a heartbeat.
const LEASE: Duration = Duration::from_secs(30);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a connection is kept for the next call: less than the server keeps it.
const IDLE: Duration = Duration::from_secs(30);
/// The largest answer that is read.
const LARGEST: usize = 16 << 20;
