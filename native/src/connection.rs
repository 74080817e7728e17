//! One connection, from its first byte to its end.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::pin::pin;
use std::sync::Arc;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;

use crate::answer::{Answer, Busy, refuse};
use crate::body;
use crate::https::{Https, Patient, Spoken, elsewhere};
use crate::limits::{HEAD, HEADERS, PING};
use crate::respond::respond;
use crate::server::Shared;
use crate::streams::{Streams, paced};

/// Why a connection ended early.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// Serves a connection until it ends, or until the server stops and what was asked is answered.
pub(crate) async fn serve(socket: TcpStream, shared: &Arc<Shared>) -> Result<(), Failure> {
    // What is sent to a client that has stopped reading is kept for it, but not for ever.
    let mut socket = TimeoutStream::new(socket);
    socket.set_write_timeout(Some(shared.patience.stall));
    let socket = Box::pin(socket);
    let service = service_fn(|request| async { Ok(respond(request, shared).await) });
    let Some(https) = &shared.https else { return http1(socket, shared, service).await };
    match open(https, socket, shared).await? {
        Spoken::Http2(stream) => http2(stream, shared).await,
        Spoken::Http1(stream) => http1(stream, shared, service).await,
        Spoken::Plain(socket) => {
            let service = service_fn(|request: Request<Incoming>| async {
                let answer = elsewhere(&request, &shared.url);
                body::drain(request.into_body());
                Ok(answer)
            });
            http1(socket, shared, service).await
        }
    }
}

/// What it speaks, if it says so in time.
async fn open(https: &Https, socket: Patient, shared: &Shared) -> io::Result<Spoken> {
    let mut stopping = shared.stopping.clone();
    tokio::select! {
        opened = https.open(socket, shared.patience.handshake) => opened,
        _ = stopping.wait_for(|stopping| *stopping) => Err(io::ErrorKind::ConnectionAborted.into()),
    }
}

async fn http1<I, S>(io: I, shared: &Shared, service: S) -> Result<(), Failure>
where
    I: AsyncRead + AsyncWrite + Unpin,
    S: Service<Request<Incoming>, Response = Answer, Error = Infallible>,
{
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(io), service));
    let mut stopping = shared.stopping.clone();
    tokio::select! {
        end = connection.as_mut() => return Ok(end?),
        _ = stopping.wait_for(|stopping| *stopping) => connection.as_mut().graceful_shutdown(),
    }
    Ok(connection.await?)
}

/// A connection over which nothing is asked for as long as one over HTTP/1.1 may be silent is ended, too.
async fn http2<I>(io: I, shared: &Arc<Shared>) -> Result<(), Failure>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let streams = Streams::new(shared.patience.stall);
    let mut builder = http2::Builder::new(streams.clone());
    builder.timer(TokioTimer::new()).max_header_list_size(HEADERS).keep_alive_interval(PING);
    let service = service_fn(|request: Request<Incoming>| {
        let shared = Arc::clone(shared);
        async move {
            let Ok(place) = Arc::clone(&shared.places).try_acquire_owned() else {
                shared.metrics.turned_away.add(1);
                let busy = if *shared.stopping.borrow() { Busy::Stopping } else { Busy::Queue };
                return Ok::<_, Infallible>(paced(refuse(busy, request.uri().path()), None));
            };
            Ok(paced(respond(request, &shared).await, Some(place)))
        }
    });
    let mut connection = pin!(builder.serve_connection(TokioIo::new(io), service));
    let mut stopping = shared.stopping.clone();
    tokio::select! {
        end = connection.as_mut() => return Ok(end?),
        _ = stopping.wait_for(|stopping| *stopping) => {}
        () = streams.idle(HEAD) => {}
    }
    connection.as_mut().graceful_shutdown();
    Ok(timeout(HEAD, connection).await??)
}
