//! The HTTP server: connections in, every request handed on raw. It has no routes of its own but `/metrics`.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use reveille_core::Config;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_io_timeout::TimeoutStream;

use crate::hub::Hub;
use crate::limits::{CONNECTIONS, GRACE, HEAD, Patience};
use crate::metrics::Metrics;
use crate::queue::Queue;
use crate::readers::Readers;
use crate::respond::{metrics_alone, respond};
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
    pub(crate) patience: Patience,
    /// The web app beside the server, if there is one.
    pub(crate) ui: Option<Ui>,
    /// Whether `/metrics` has a listener of its own and is not served here.
    pub(crate) metrics_apart: bool,
    /// True once the server is shutting down.
    pub(crate) stopping: watch::Receiver<bool>,
}

/// Serves until told to stop, then answers what it accepted.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut stopping = shared.stopping.clone();
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
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
        let patience = shared.patience;
        let shared = Arc::clone(&shared);
        let service = service_fn(move |request| {
            let shared = Arc::clone(&shared);
            async move { Ok::<_, Infallible>(respond(request, &shared).await) }
        });
        // What is sent to a client that has stopped reading is kept for it, but not for ever.
        let mut socket = TimeoutStream::new(socket);
        socket.set_write_timeout(Some(patience.stall));
        let connection = graceful.watch(builder.serve_connection(TokioIo::new(Box::pin(socket)), service));
        tokio::spawn(async move {
            let _held = (place, counted);
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
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
