//! HTTPS: what a new connection speaks, and the handshake. Whoever comes without TLS is told where to go.

mod certificate;
mod plain;

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

pub use self::certificate::Certificate;
pub(crate) use self::plain::elsewhere;
use crate::limits::HANDSHAKES;

/// A socket whose reader is not waited for without end.
pub(crate) type Patient = Pin<Box<TimeoutStream<TcpStream>>>;

/// What takes connections in.
pub(crate) struct Https {
    acceptor: TlsAcceptor,
    certificate: Certificate,
    turns: Semaphore,
}

/// A connection, by what it speaks.
pub(crate) enum Spoken {
    /// Plain HTTP: it is at the wrong door.
    Plain(Patient),
    Http1(Box<TlsStream<Patient>>),
    Http2(Box<TlsStream<Patient>>),
}

impl Https {
    /// HTTPS under the certificate of a data directory, made for `names` when there is none that will do.
    pub(crate) fn of(directory: &Path, names: &[String]) -> io::Result<Self> {
        let (certificate, config) = certificate::keep(directory, names)?;
        Ok(Self { acceptor: Arc::new(config).into(), certificate, turns: Semaphore::new(HANDSHAKES) })
    }

    pub(crate) fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Finds out what a connection speaks. Its client may take as long as `patience` for its first byte, and again for the
    /// handshake.
    pub(crate) async fn open(&self, socket: Patient, patience: Duration) -> io::Result<Spoken> {
        let mut first = [0];
        if timeout(patience, socket.get_ref().peek(&mut first)).await?? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if first[0] != HANDSHAKE_RECORD {
            return Ok(Spoken::Plain(socket));
        }
        let _turn = self.turns.acquire().await.map_err(io::Error::other)?;
        let stream = Box::new(timeout(patience, self.acceptor.accept(socket)).await??);
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP2);
        Ok(if is_http2 { Spoken::Http2(stream) } else { Spoken::Http1(stream) })
    }
}

impl std::fmt::Debug for Https {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Https").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// How TLS is spoken under a certificate. Fails when the key is another's.
fn config(certificate: CertificateDer<'static>, key: PrivateKeyDer<'static>) -> Result<ServerConfig, rustls::Error> {
    let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let mut config = builder.with_no_client_auth().with_single_cert(vec![certificate], key)?;
    config.alpn_protocols = vec![HTTP2.to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

const HTTP2: &[u8] = b"h2";
/// The first byte of TLS. No method of HTTP begins with it.
const HANDSHAKE_RECORD: u8 = 22;
