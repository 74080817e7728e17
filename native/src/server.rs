//! The HTTP server: connections in, every request handed on raw. It has no routes of its own but `/metrics`.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use reveille_core::Config;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use crate::connection;
use crate::https::Https;
use crate::hub::Hub;
use crate::limits::{CONNECTIONS, GRACE, HEAD, Patience};
use crate::metrics::Metrics;
use crate::queue::Queue;
use crate::readers::Readers;
use crate::respond::metrics_alone;
use crate::ui::Ui;

/// What every request needs.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Arc<Config>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) readers: Arc<Readers>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) live_readers: Arc<Semaphore>,
    /// A place for each connection, and for each request of those that carry several at once.
    pub(crate) places: Arc<Semaphore>,
    pub(crate) patience: Patience,
    /// HTTPS, if that is spoken.
    pub(crate) https: Option<Https>,
    /// Where the server is reached from this machine.
    pub(crate) url: String,
    /// The web app beside the server, if there is one.
    pub(crate) ui: Option<Ui>,
    /// Whether `/metrics` has a listener of its own and is not served here.
    pub(crate) metrics_apart: bool,
    /// True once the server is shutting down.
    pub(crate) stopping: watch::Receiver<bool>,
}

/// Serves until told to stop, then answers what it accepted.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut stopping = shared.stopping.clone();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &shared.places) => accepted,
            _ = stopping.wait_for(|stopping| *stopping) => break,
        };
        let (socket, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Most likely out of file descriptors: those that are open must end first.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let counted = shared.metrics.connections.hold();
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let _held = (place, counted);
            if let Err(error) = connection::serve(socket, &shared).await {
                tracing::debug!(error, "a connection ended early");
            }
        });
    }
    drop(listener);
    let ended = shared.places.acquire_many(CONNECTIONS as u32);
    if tokio::time::timeout(GRACE, ended).await.is_err() {
        tracing::warn!("some requests were still unanswered at the end of the grace period");
    }
}

/// Serves nothing but `/metrics`, until told to stop.
pub(crate) async fn serve_metrics(listener: TcpListener, shared: Arc<Shared>) {
    let mut stopping = shared.stopping.clone();
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopping.wait_for(|stopping| *stopping) => return,
        };
        let Ok((socket, _)) = accepted else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let shared = Arc::clone(&shared);
        let service = service_fn(move |request| {
            let answer = metrics_alone(&request, &shared);
            async move { Ok::<_, Infallible>(answer) }
        });
        tokio::spawn(builder.serve_connection(TokioIo::new(socket), service));
    }
}

type Place = tokio::sync::OwnedSemaphorePermit;

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> io::Result<(TcpStream, Place)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (socket, _) = listener.accept().await?;
    // Answers are small and each is waited for.
    socket.set_nodelay(true)?;
    Ok((socket, place))
}

/// How long to wait after a connection could not be accepted.
const PAUSE: Duration = Duration::from_millis(100);
