//! Starting a server and stopping it: from Rust as from the command line.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reveille_core::config::StreamRoot;
use reveille_core::dispatch::Budget;
use reveille_core::egress::Allowed;
use reveille_core::observe::webhook_sources::Catalogue;
use reveille_core::permission::Authorise;
use reveille_core::store::{Sql, SqlError};
use reveille_core::tenant::Authentication;
use reveille_core::{Config, Span, Virtual};
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};

use crate::address::{listen, names, url};
use crate::driver::Driver;
use crate::host::{self, Surroundings};
use crate::https::{Certificate, Https};
use crate::hub::Hub;
use crate::limits::{CONNECTIONS, DELIVERY_GRACE, LIVE_READERS, Patience, QUEUE, READERS};
use crate::lock::{Lock, NotLocked};
use crate::metrics::Metrics;
use crate::queue::Queue;
use crate::readers::Readers;
use crate::server::{self, Shared};
use crate::ui::Ui;
use crate::webhook::Fetcher;

/// A server to be started.
///
/// ```no_run
/// # async fn start() -> Result<(), reveille::StartError> {
/// let server = reveille::Server::dev().data_dir("/var/lib/reveille").port(0).start().await?;
/// println!("agents may call {}", server.url());
/// server.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Server {
    config: Config,
    data_dir: PathBuf,
    host: String,
    port: u16,
    metrics: Option<SocketAddr>,
    ui: Option<PathBuf>,
    https: bool,
    patience: Patience,
}

/// Why a server did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The web app's directory cannot be read.
    #[error("the web app in `{}` cannot be served: {error}", .directory.display())]
    Ui {
        /// The directory.
        directory: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// There can be no certificate for HTTPS.
    #[error("HTTPS cannot be served: {0}")]
    Https(io::Error),
    /// Another server has the data directory.
    #[error("the data directory `{}` is in use by {holder}; stop that one, or choose another with --data-dir", .directory.display())]
    Held {
        /// The data directory.
        directory: PathBuf,
        /// What the other one says about itself.
        holder: String,
    },
    /// The data directory cannot be made or locked.
    #[error("the data directory `{}` cannot be used: {error}", .directory.display())]
    DataDir {
        /// The data directory.
        directory: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address.
        address: String,
        /// Why.
        error: io::Error,
    },
    /// The database cannot be opened.
    #[error("the database `{}` cannot be opened: {error}", .path.display())]
    Store {
        /// The database file.
        path: PathBuf,
        /// Why.
        error: SqlError,
    },
}

impl Server {
    /// A development server: open to whoever reaches it, on loopback.
    #[must_use]
    pub fn dev() -> Self {
        Self::new(Config::dev())
    }

    /// A production server that believes callers as `auth` says.
    #[must_use]
    pub fn serve(auth: Authentication) -> Self {
        Self::new(Config::serve(auth))
    }

    fn new(config: Config) -> Self {
        let (data_dir, host) = (PathBuf::from(".reveille"), "127.0.0.1".to_owned());
        Self {
            config,
            data_dir,
            host,
            port: 4437,
            metrics: None,
            ui: None,
            https: false,
            patience: Patience::default(),
        }
    }

    /// Where the database lives; `.reveille` by default. It is made when it does not exist.
    #[must_use]
    pub fn data_dir(self, directory: impl Into<PathBuf>) -> Self {
        Self { data_dir: directory.into(), ..self }
    }

    /// The address to listen on; `127.0.0.1` by default.
    #[must_use]
    pub fn host(self, host: impl Into<String>) -> Self {
        Self { host: host.into(), ..self }
    }

    /// The port to listen on; 4437 by default, 0 for any that is free.
    #[must_use]
    pub fn port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// The URL under which agents and clients reach the server, when it differs from where it listens.
    #[must_use]
    pub fn public_url(mut self, url: impl AsRef<str>) -> Self {
        self.config.public_url = Some(url.as_ref().trim_end_matches('/').to_owned());
        self
    }

    /// Gives the host the last word on who may do what: it is asked after owners and grants have decided, for everybody
    /// but built-in system principals, and answers at once.
    #[must_use]
    pub fn authorise(mut self, authorise: Authorise) -> Self {
        self.config.authorise = Some(authorise);
        self
    }

    /// Allows webhooks to one more host, by http and https, wherever it is: `"10.0.0.5:8080".parse()`. Without it a
    /// development server calls its own machine and public hosts by https, and a production server only the latter.
    #[must_use]
    pub fn allow_webhook(mut self, host: Allowed) -> Self {
        self.config.egress.allow(host);
        self
    }

    /// The webhook sources that agents may subscribe to, and what subscriptions are checked against; none by default.
    #[must_use]
    pub fn webhook_sources(mut self, catalogue: Catalogue) -> Self {
        self.config.webhook_sources = Some(catalogue);
        self
    }

    /// The path under which streams are served; `/` by default.
    #[must_use]
    pub fn stream_root(mut self, root: StreamRoot) -> Self {
        self.config.stream_root = root.into();
        self
    }

    /// How long a long-poll waits before it is answered 204; 30 seconds by default, in whole milliseconds.
    #[must_use]
    pub fn long_poll(mut self, wait: Duration) -> Self {
        self.config.long_poll = Span::millis(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
        self
    }

    /// How many wakes an entity may begin before it is slowed down; 60 a minute by default, and ten minutes' worth at once.
    #[must_use]
    pub fn wakes(mut self, budget: Budget) -> Self {
        self.config.wakes = budget;
        self
    }

    /// A clock that only `POST /_reveille/dev/clock` moves, and ids that follow from a seed; for tests.
    #[must_use]
    pub fn virtual_time(mut self, virtual_time: Virtual) -> Self {
        self.config.virtual_time = Some(virtual_time);
        self
    }

    /// Serves the built web app in a directory under `/__agent_ui/`, where `/` leads then.
    #[must_use]
    pub fn ui_dir(self, directory: impl Into<PathBuf>) -> Self {
        Self { ui: Some(directory.into()), ..self }
    }

    /// Speaks HTTPS, HTTP/2 as HTTP/1.1, under a certificate that signs for itself: for `localhost`, the address that is
    /// listened on and the host of the public URL. It is made once and kept in the data directory.
    #[must_use]
    pub fn https(self) -> Self {
        Self { https: true, ..self }
    }

    /// Serves `/metrics` on a listener of its own, without authentication, and not beside everything else.
    #[must_use]
    pub fn metrics_addr(self, address: SocketAddr) -> Self {
        Self { metrics: Some(address), ..self }
    }

    /// How long a request's body may be silent before it is answered 408; 10 seconds by default.
    #[must_use]
    pub fn body_silence(mut self, silence: Duration) -> Self {
        self.patience.silence = silence;
        self
    }

    /// How long an answer may wait for its reader to take any more of it before the connection is ended; 30 seconds by
    /// default.
    #[must_use]
    pub fn write_stall(mut self, stall: Duration) -> Self {
        self.patience.stall = stall;
        self
    }

    /// How long a connection may take for its first byte where HTTPS is spoken, and then for its handshake; 10 seconds each
    /// by default.
    #[must_use]
    pub fn handshake(mut self, patience: Duration) -> Self {
        self.patience.handshake = patience;
        self
    }

    /// Starts the server on the current Tokio runtime. When this returns, requests are answered.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(self) -> Result<Running, StartError> {
        self.start_over(|driver| driver).await
    }

    /// The same over a store of the caller's own making around the driver, which writes: for tests that break it.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start_over<S: Sql + 'static>(
        mut self,
        wrap: impl FnOnce(Driver) -> S + Send + 'static,
    ) -> Result<Running, StartError> {
        let app = |directory: PathBuf| Ui::of(&directory).map_err(|error| StartError::Ui { directory, error });
        let ui = self.ui.take().map(app).transpose()?;
        let mut lock = Lock::take(&self.data_dir).map_err(|error| self.not_locked(error))?;
        let listener = listen(&self.host, self.port).await?;
        let address =
            listener.local_addr().map_err(|error| StartError::Listen { address: self.host.clone(), error })?;
        let url = url(if self.https { "https" } else { "http" }, &self.host, address.port());
        lock.serving(&url).map_err(|error| self.not_locked(NotLocked::Io(error)))?;
        let metrics_listener = match self.metrics {
            Some(address) => Some(listen(&address.ip().to_string(), address.port()).await?),
            None => None,
        };
        let config =
            Config { public_url: Some(self.config.public_url.take().unwrap_or_else(|| url.clone())), ..self.config };

        let https = self.https.then(|| Https::of(&self.data_dir, &names(&url, &config)));
        let https = https.transpose().map_err(StartError::Https)?;
        let certificate = https.as_ref().map(|https| https.certificate().clone());

        let database = self.data_dir.join("reveille.sqlite");
        let failed = |error| StartError::Store { path: database.clone(), error };
        let metrics = Arc::new(Metrics::new(database.clone()));
        let queue = Arc::new(Queue::new(QUEUE, Arc::clone(&metrics)));
        let hub = Arc::new(Hub::default());
        let policy = config.egress.clone();
        let fetcher = Fetcher::new(policy, Arc::clone(&queue), Arc::clone(&metrics), Handle::current());
        let around =
            Surroundings { queue: Arc::clone(&queue), hub: Arc::clone(&hub), metrics: Arc::clone(&metrics), fetcher };
        let (path, commits) = (database.clone(), Arc::clone(&metrics.commit_seconds));
        let open = move || Driver::open(&path).map(|driver| wrap(driver.timing_commits(commits)));
        let engine = host::start(open, config.clone(), around, lock).await.map_err(failed)?;
        let readers = Arc::new(Readers::open(&database, READERS).map_err(failed)?);

        let (stop, stopping) = watch::channel(false);
        let shared = Arc::new(Shared {
            config: Arc::new(config),
            queue: Arc::clone(&queue),
            readers,
            hub,
            metrics: Arc::clone(&metrics),
            live_readers: Arc::new(Semaphore::new(LIVE_READERS)),
            places: Arc::new(Semaphore::new(CONNECTIONS)),
            patience: self.patience,
            https,
            url: url.clone(),
            ui,
            metrics_apart: metrics_listener.is_some(),
            stopping,
        });
        if let Some(listener) = metrics_listener {
            tokio::spawn(server::serve_metrics(listener, Arc::clone(&shared)));
        }
        let serving = tokio::spawn(server::serve(listener, shared));
        let (data_dir, queue) = (self.data_dir, CloseOnDrop(queue));
        Ok(Running { url, address, data_dir, certificate, stop, serving, engine, metrics, queue })
    }

    fn not_locked(&self, error: NotLocked) -> StartError {
        let directory = self.data_dir.clone();
        match error {
            NotLocked::Held(holder) => StartError::Held { directory, holder },
            NotLocked::Io(error) => StartError::DataDir { directory, error },
        }
    }
}

/// A server that is running. Dropped, it stops without waiting.
#[derive(Debug)]
pub struct Running {
    url: String,
    address: SocketAddr,
    data_dir: PathBuf,
    certificate: Option<Certificate>,
    stop: watch::Sender<bool>,
    serving: tokio::task::JoinHandle<()>,
    engine: host::Thread,
    metrics: Arc<Metrics>,
    queue: CloseOnDrop,
}

impl Running {
    /// Where it is reached from this machine.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its database lives.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The certificate that it shows, when it speaks HTTPS.
    #[must_use]
    pub fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_ref()
    }

    /// Waits until the engine has ended by itself, which only a fault in it can bring about.
    pub async fn failed(&mut self) {
        self.engine.ended().await;
    }

    /// Stops: starts no delivery and accepts nothing more, answers what was accepted, ends live reads, folds the log into the database.
    pub async fn shutdown(self) {
        let Self { stop, serving, mut engine, metrics, queue, .. } = self;
        queue.0.stop();
        let _ = stop.send(true);
        let _ = serving.await;
        let idle = async {
            while metrics.deliveries.value() > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        // Deliveries are rows: those that do not land now are made again.
        let _ = tokio::time::timeout(DELIVERY_GRACE, idle).await;
        drop(queue);
        engine.ended().await;
    }
}

/// The engine's thread ends once its queue is closed and empty.
#[derive(Debug)]
struct CloseOnDrop(Arc<Queue>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}
