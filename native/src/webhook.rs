//! Performs `Fetch` effects: one request, no redirects, a bounded answer, and the outcome back to the engine whatever
//! it is. Connections are kept for the next delivery to the same place; each was judged when it was made.

use std::error::Error;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::header::HeaderValue;
use hyper::{Request, Response, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use reveille_core::egress::Policy;
use reveille_core::{Answer, Fetch, Fetched};
use tokio::runtime::Handle;

use crate::connect::{self, Connector};
use crate::metrics::Metrics;
use crate::queue::Queue;

/// The client for everything outbound.
#[derive(Debug)]
pub(crate) struct Fetcher {
    clients: Arc<Clients>,
    queue: Arc<Queue>,
    metrics: Arc<Metrics>,
    runtime: Handle,
}

impl Fetcher {
    pub(crate) fn new(policy: Policy, queue: Arc<Queue>, metrics: Arc<Metrics>, runtime: Handle) -> Self {
        let connector = Connector::new(Arc::new(policy), connect::system());
        Self { clients: Arc::new(Clients::new(connector)), queue, metrics, runtime }
    }

    /// Starts a fetch. Its outcome comes back through the queue.
    pub(crate) fn start(&self, fetch: Fetch) {
        let (clients, queue) = (Arc::clone(&self.clients), Arc::clone(&self.queue));
        let counted = self.metrics.deliveries.hold();
        self.runtime.spawn(async move {
            let _counted = counted;
            let effect = fetch.id.clone();
            let result = clients.fetch(fetch).await;
            match &result {
                Ok(answer) => tracing::debug!(%effect, status = answer.status, "fetched"),
                Err(error) => tracing::info!(%effect, error, "not fetched"),
            }
            queue.outcome(effect, result);
        });
    }
}

#[derive(Debug)]
struct Clients {
    connector: Connector,
    plain: Plain,
    /// Made when it is first needed: reading the system's certificates takes time and memory.
    secure: OnceLock<Result<Secure, String>>,
}

type Plain = Client<Connector, Full<Bytes>>;
type Secure = Client<HttpsConnector<Connector>, Full<Bytes>>;

impl Clients {
    fn new(connector: Connector) -> Self {
        Self { plain: pooled().build(connector.clone()), connector, secure: OnceLock::new() }
    }

    async fn fetch(&self, fetch: Fetch) -> Fetched {
        let limit = Duration::from_millis(fetch.time_limit.as_millis().unsigned_abs());
        match tokio::time::timeout(limit, self.fetch_unhurried(fetch)).await {
            Ok(result) => result,
            Err(_) => Err(format!("no answer within {} ms", limit.as_millis())),
        }
    }

    async fn fetch_unhurried(&self, fetch: Fetch) -> Fetched {
        let uri: Uri = fetch.url.parse().map_err(|_| "the URL cannot be used".to_owned())?;
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err("the URL is neither http nor https".to_owned()),
        };
        let mut request = Request::builder().method(fetch.method).uri(uri);
        for (name, value) in fetch.headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::from(fetch.body)).map_err(|_| "the request cannot be sent".to_owned())?;
        let response = if secure {
            let client =
                self.secure.get_or_init(|| secure_client(self.connector.clone())).as_ref().map_err(Clone::clone)?;
            client.request(request).await
        } else {
            self.plain.request(request).await
        };
        read(response.map_err(|error| reason(&error))?, fetch.wanted, fetch.size_limit).await
    }
}

async fn read(response: Response<Incoming>, wanted: &[&str], limit: usize) -> Fetched {
    let status = response.status().as_u16();
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let header = |name: &&str| Some(((*name).to_owned(), response.headers().get(*name).map(text)?));
    let headers = wanted.iter().filter_map(header).collect();
    let mut incoming = response.into_body();
    let mut body = Vec::with_capacity(usize::try_from(incoming.size_hint().lower()).unwrap_or(limit).min(limit));
    while let Some(frame) = incoming.frame().await {
        let data = frame.map_err(|error| reason(&error))?.into_data().unwrap_or_default();
        body.extend_from_slice(&data[..data.len().min(limit - body.len())]);
        if body.len() == limit {
            break;
        }
    }
    Ok(Answer { status, headers, body })
}

/// What went wrong, down to its root, in words that hold nothing of the request that could be secret: at most the host.
fn reason(error: &dyn Error) -> String {
    let mut reason = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !reason.contains(&text) {
            reason = format!("{reason}: {text}");
        }
        source = cause.source();
    }
    reason
}

fn pooled() -> hyper_util::client::legacy::Builder {
    let mut builder = Client::builder(TokioExecutor::new());
    builder.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE).pool_max_idle_per_host(IDLE_PER_HOST);
    builder
}

fn secure_client(connector: Connector) -> Result<Secure, String> {
    let roots = HttpsConnectorBuilder::new()
        .with_native_roots()
        .map_err(|error| format!("no trusted certificates: {error}"))?;
    Ok(pooled().build(roots.https_only().enable_http1().wrap_connector(connector)))
}

/// How long a connection is kept for the next delivery. Below what common servers keep it for themselves.
const IDLE: Duration = Duration::from_secs(4);
const IDLE_PER_HOST: usize = 32;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpListener};
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::thread;

    use reveille_core::{EffectId, Span};

    use super::*;
    use crate::connect::Resolve;

    /// A server that answers each request on its connections with `answer`, as it stands, and counts connections.
    fn server(answer: &'static str) -> (SocketAddr, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, count) = (listener.local_addr().unwrap(), Arc::<AtomicUsize>::default());
        let connections = Arc::clone(&count);
        thread::spawn(move || {
            for socket in listener.incoming() {
                connections.fetch_add(1, SeqCst);
                thread::spawn(move || {
                    let (mut socket, mut request) = (socket.unwrap(), [0; 4096]);
                    while socket.read(&mut request).unwrap_or(0) > 0 {
                        socket.write_all(answer.as_bytes()).unwrap();
                    }
                });
            }
        });
        (address, count)
    }

    fn to(url: String) -> Fetch {
        Fetch {
            id: EffectId::Pending(1),
            method: hyper::Method::POST,
            url,
            headers: vec![("content-type", "application/json".to_owned())],
            body: b"{}".to_vec(),
            wanted: &["x-kept"],
            time_limit: Span::millis(500),
            size_limit: 8,
        }
    }

    fn clients(policy: Policy, names: &'static [(&str, &[&str])]) -> Clients {
        let resolve: Resolve = Arc::new(|name| {
            let found = names.iter().find(|(known, _)| *known == name).map(|(_, addresses)| {
                addresses.iter().map(|address| SocketAddr::new(address.parse().unwrap(), 0)).collect()
            });
            Box::pin(async { found.ok_or_else(|| std::io::Error::other("no such name")) })
        });
        Clients::new(Connector::new(Arc::new(policy), resolve))
    }

    fn dev() -> Clients {
        clients(Policy::dev(), &[("localhost", &["127.0.0.1"])])
    }

    fn allowing(mut policy: Policy, list: &str) -> Policy {
        policy.allow_list(list).unwrap();
        policy
    }

    #[tokio::test]
    async fn an_answer_is_read_up_to_its_limit_on_a_connection_that_is_kept() {
        let (address, connections) = server("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
        let clients = dev();
        for _ in 0..3 {
            let answer = clients.fetch(to(format!("http://{address}/hook"))).await.unwrap();
            assert_eq!((answer.status, answer.body.as_slice()), (200, &b"hello"[..]));
        }
        assert_eq!(connections.load(SeqCst), 1);
        let (address, _) = server("HTTP/1.1 500 No\r\ncontent-length: 20\r\n\r\n01234567890123456789");
        let answer = clients.fetch(to(format!("http://{address}/hook"))).await.unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (500, &b"01234567"[..]));
    }

    #[tokio::test]
    async fn headers_come_back_that_are_wanted() {
        let (address, _) = server("HTTP/1.1 200 OK\r\nX-Kept: é\r\nx-other: 1\r\ncontent-length: 0\r\n\r\n");
        let answer = dev().fetch(to(format!("http://{address}/hook"))).await.unwrap();
        assert_eq!(answer.headers, [("x-kept".to_owned(), "é".to_owned())]);
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer_like_any_other() {
        let (address, _) = server("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n");
        assert_eq!(dev().fetch(to(format!("http://{address}/hook"))).await.unwrap().status, 302);
    }

    #[tokio::test]
    async fn failures_are_explained_without_secrets() {
        let (silent, _) = server("");
        let (half, _) = server("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhe");
        let (other, _) = server("SSH-2.0-OpenSSH_9\r\n");
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        for (url, why) in [
            (format!("http://{silent}/?token=s3cret"), "no answer within 500 ms"),
            (format!("http://{half}/?token=s3cret"), "no answer within 500 ms"),
            (format!("http://{other}/?token=s3cret"), "invalid HTTP version"),
            (format!("http://{closed}/?token=s3cret"), "refused"),
            (format!("http://user:s3cret@{closed}/"), "user name or password"),
            (format!("https://{silent}/?token=s3cret"), "no answer within 500 ms"),
            ("ftp://s3cret@example.com/".to_owned(), "neither http nor https"),
            ("http://s3cret bad/".to_owned(), "cannot be used"),
        ] {
            let error = dev().fetch(to(url.clone())).await.unwrap_err();
            assert!(error.contains(why) && !error.contains("s3cret"), "{url}: {error}");
        }
    }

    /// Names that lead somewhere else than they should.
    const NAMES: &[(&str, &[&str])] = &[
        ("agents.example.com", &["10.0.0.7"]),
        ("mapped.example.com", &["::ffff:192.168.0.1", "fd00::1"]),
        ("here.example.com", &["127.0.0.1"]),
        ("localhost", &["127.0.0.1"]),
        ("odd.localhost", &["10.0.0.7"]),
        ("agents.corp", &["127.0.0.1"]),
        ("two.localhost", &["10.0.0.7", "127.0.0.1", "1.1.1.1"]),
        // As the system reads it.
        ("127.1", &["127.0.0.1"]),
    ];

    #[tokio::test]
    async fn nothing_is_connected_to_that_may_not_be_called() {
        let (address, connections) = server("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        let port = address.port();
        let other = format!("127.0.0.1:{} agents.corp:{}", port ^ 1, port ^ 1);
        for (policy, url, why) in [
            (Policy::serve(), format!("http://127.0.0.1:{port}/"), "on the server's own machine".to_owned()),
            (Policy::serve(), format!("https://127.0.0.1:{port}/"), "on the server's own machine".to_owned()),
            (Policy::serve(), format!("http://[::ffff:127.0.0.1]:{port}/"), "on the server's own machine".to_owned()),
            (Policy::serve(), format!("http://127.1:{port}/"), "on the server's own machine".to_owned()),
            (Policy::serve(), format!("https://localhost:{port}/"), "on the server's own machine".to_owned()),
            (Policy::serve(), format!("http://here.example.com:{port}/"), "by https only".to_owned()),
            (Policy::serve(), format!("https://here.example.com:{port}/"), "resolves to an address".to_owned()),
            (allowing(Policy::serve(), &other), format!("http://127.0.0.1:{port}/"), "own machine".to_owned()),
            (allowing(Policy::serve(), &other), format!("http://agents.corp:{port}/"), "not public".to_owned()),
            (Policy::dev(), format!("http://odd.localhost:{port}/"), "resolves to an address".to_owned()),
            (Policy::dev(), format!("https://mapped.example.com:{port}/"), "resolves to an address".to_owned()),
            (
                Policy::dev(),
                "https://agents.example.com/".to_owned(),
                "`agents.example.com` may not be called: it resolves to an address that may not be called; \
                 allow it with `--allow-webhook agents.example.com`"
                    .to_owned(),
            ),
        ] {
            let error = clients(policy, NAMES).fetch(to(url.clone())).await.unwrap_err();
            assert!(error.contains(&why), "{url}: {error}");
        }
        assert_eq!(connections.load(SeqCst), 0);
    }

    #[tokio::test]
    async fn what_may_be_called_is_connected_to() {
        let (address, connections) = server("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        let port = address.port();
        let exact = format!("AGENTS.corp.:{port}");
        let listed = [
            (Policy::dev(), "localhost"),
            (Policy::dev(), "127.1"),
            (allowing(Policy::serve(), "localhost"), "localhost"),
            (allowing(Policy::serve(), "127.0.0.1"), "127.0.0.1"),
            (allowing(Policy::serve(), &exact), "agents.corp"),
            (allowing(Policy::serve(), "here.example.com"), "here.example.com"),
            (Policy::dev(), "two.localhost"),
        ];
        let count = listed.len();
        for (policy, host) in listed {
            let answer = clients(policy, NAMES).fetch(to(format!("http://{host}:{port}/"))).await;
            assert_eq!(answer.as_ref().map(|a| a.status), Ok(200), "{host}: {answer:?}");
        }
        assert_eq!(connections.load(SeqCst), count);
    }
}
