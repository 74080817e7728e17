//! Connections to where the policy lets them go. A name is resolved here and each of its addresses judged, so that what
//! was judged is what is connected to; an address that a URL says itself is judged with the URL.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioIo;
use reveille_core::egress::{Policy, judge, judge_address};
use tokio::net::TcpStream;
use tower_service::Service;

use crate::limits::CONNECT;

/// Connects to the host of a URL, for http as for the connection below https.
#[derive(Clone)]
pub(crate) struct Connector {
    policy: Arc<Policy>,
    resolve: Resolve,
}

/// What turns a name into addresses. Their ports mean nothing.
pub(crate) type Resolve = Arc<dyn Fn(String) -> Boxed<io::Result<Vec<SocketAddr>>> + Send + Sync>;

pub(crate) type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Connector {
    pub(crate) fn new(policy: Arc<Policy>, resolve: Resolve) -> Self {
        Self { policy, resolve }
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// The resolver of the operating system.
pub(crate) fn system() -> Resolve {
    Arc::new(|name| Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) }))
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = Failure;
    type Future = Boxed<Result<Self::Response, Failure>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move {
            judge(&connector.policy, &uri.to_string())?;
            let usual_port = if uri.scheme_str() == Some("https") { 443 } else { 80 };
            let (host, port) = (uri.host().unwrap_or_default().to_owned(), uri.port_u16().unwrap_or(usual_port));
            let mut connect = HttpConnector::new_with_resolver(Judged { connector, host, port });
            connect.set_connect_timeout(Some(CONNECT));
            connect.set_nodelay(true);
            connect.enforce_http(false);
            Ok(connect.call(uri).await?)
        })
    }
}

/// Resolves one host's name to those of its addresses that may be connected to.
#[derive(Clone)]
struct Judged {
    connector: Connector,
    host: String,
    port: u16,
}

impl Service<Name> for Judged {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Failure;
    type Future = Boxed<Result<Self::Response, Failure>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let Self { connector, host, port } = self.clone();
        Box::pin(async move {
            let mut fit = Vec::new();
            let mut refused = None;
            for address in (connector.resolve)(name.as_str().to_owned()).await? {
                match judge_address(&connector.policy, &host, port, address.ip()) {
                    Ok(()) => fit.push(address),
                    Err(why) => refused = Some(why),
                }
            }
            match refused {
                Some(refused) if fit.is_empty() => Err(refused.into()),
                _ => Ok(fit.into_iter()),
            }
        })
    }
}
