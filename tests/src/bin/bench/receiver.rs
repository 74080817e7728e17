//! The webhook that agents are: a server of its own, on a thread of its own, so that the load does not delay it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use reveille_tests::Result;
use serde_json::Value as Json;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// The receiver of webhooks.
#[derive(Debug)]
pub(crate) struct Receiver {
    address: SocketAddr,
    count: Arc<AtomicU64>,
    arrivals: UnboundedReceiver<Arrival>,
    _until_dropped: oneshot::Sender<()>,
}

/// A webhook that came.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// When its body was complete.
    pub(crate) at: Instant,
    pub(crate) body: Bytes,
}

/// What an agent does with a wake.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Agent {
    /// Answers `{"done":true}` at once; its wakes are counted.
    Done,
    /// The same; each of its wakes is told to [`Receiver::next`].
    Told,
    /// Takes the wake and leaves what follows to whoever calls [`Receiver::next`].
    Claims,
}

impl Receiver {
    pub(crate) async fn start() -> Result<Self> {
        let (told, arrivals) = unbounded_channel();
        let (up, listening) = oneshot::channel();
        let (_until_dropped, mut dropped) = oneshot::channel::<()>();
        let count = Arc::<AtomicU64>::default();
        let counter = Arc::clone(&count);
        std::thread::Builder::new().name("receiver".to_owned()).spawn(move || -> Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await?;
                let _ = up.send(listener.local_addr()?);
                tokio::select! {
                    served = serve(listener, counter, told) => served,
                    _ = &mut dropped => Ok(()),
                }
            })
        })?;
        Ok(Self { address: listening.await?, count, arrivals, _until_dropped })
    }

    /// The URL of an agent.
    pub(crate) fn url(&self, agent: Agent) -> String {
        format!("http://{}{}", self.address, agent.path())
    }

    /// How many webhooks have come.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Relaxed)
    }

    /// The next wake of an agent that tells.
    pub(crate) async fn next(&mut self) -> Result<Arrival> {
        let arrival = timeout(PATIENCE, self.arrivals.recv()).await.map_err(|_| "no webhook came within 30 s")?;
        arrival.ok_or_else(|| "the receiver has ended".into())
    }
}

impl Arrival {
    pub(crate) fn json(&self) -> Result<Json> {
        Ok(serde_json::from_slice(&self.body)?)
    }
}

impl Agent {
    fn path(self) -> &'static str {
        match self {
            Self::Done => "/done",
            Self::Told => "/told",
            Self::Claims => "/claims",
        }
    }
}

async fn serve(listener: TcpListener, count: Arc<AtomicU64>, told: UnboundedSender<Arrival>) -> Result<()> {
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let (count, told) = (Arc::clone(&count), told.clone());
        let service = service_fn(move |request| {
            let (count, told) = (Arc::clone(&count), told.clone());
            async move { Ok::<_, Infallible>(answer(request, &count, &told).await) }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), service));
    }
}

async fn answer(
    request: Request<Incoming>,
    count: &AtomicU64,
    told: &UnboundedSender<Arrival>,
) -> Response<Full<Bytes>> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    count.fetch_add(1, Relaxed);
    if path != Agent::Done.path() {
        let _ = told.send(Arrival { at: Instant::now(), body });
    }
    let answer = if path == Agent::Claims.path() { r#"{"ok":true}"# } else { r#"{"done":true}"# };
    Response::new(Full::from(answer))
}

const PATIENCE: Duration = Duration::from_secs(30);
