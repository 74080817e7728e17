//! The `reveille` binary: reads the command line, starts what it asks for, stops when told.

mod ask;
mod cli;
mod client;
mod demo;
mod run;
mod terminal;

use std::future::Future;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use reveille::reveille_core::Virtual;
use reveille::reveille_core::dispatch::Budget;
use reveille::reveille_core::tenant::{ApiKeys, Authentication};
use reveille::{Running, Server, StartError};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::cli::{At, Cli, Command, Dev, Serve, Streams};

fn main() -> ExitCode {
    let start = Instant::now();
    let cli = Cli::parse();
    if let Err(error) = log(&cli.log) {
        return complain(&format!("--log: {error}"), REFUSED);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&format!("cannot start: {error}"), FAILURE),
    };
    runtime.block_on(async {
        match cli.command {
            Command::Dev(Dev { at, streams, https, virtual_time }) => {
                warn_if_open(&at.host);
                let server = streams.apply(at.apply(Server::dev()));
                let server = if https { server.https() } else { server };
                let server = if virtual_time { server.virtual_time(Virtual::default()) } else { server };
                serve(server, start).await
            }
            Command::Serve(args) => match authentication(&args) {
                Ok(auth) => serve(args.streams.apply(args.at.apply(Server::serve(auth))), start).await,
                Err(message) => complain(&message, REFUSED),
            },
            Command::Demo(at) => demo::run(at.apply(Server::dev()), start).await,
            Command::Run(args) => run::run(args).await,
            Command::Explain(args) => ask::explain(args).await,
            Command::Check(args) => ask::check(args).await,
            Command::Revive(args) => ask::revive(args).await,
        }
    })
}

impl At {
    fn apply(self, server: Server) -> Server {
        let mut server = server.host(self.host).port(self.port).data_dir(self.data_dir);
        server = server.wakes(Budget::a_minute(self.wakes_per_minute));
        if let Some(url) = self.public_url {
            server = server.public_url(url);
        }
        if let Some(address) = self.metrics_addr {
            server = server.metrics_addr(address);
        }
        if let Some(directory) = self.ui_dir {
            server = server.ui_dir(directory);
        }
        if let Some(catalogue) = self.webhook_sources {
            server = server.webhook_sources(catalogue);
        }
        self.allow_webhook.into_iter().fold(server, Server::allow_webhook)
    }
}

impl Streams {
    fn apply(self, server: Server) -> Server {
        server.stream_root(self.stream_root).long_poll(self.long_poll)
    }
}

/// A development server is open to whoever reaches it.
fn warn_if_open(host: &str) {
    let loopback = host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback());
    if !loopback {
        tracing::warn!(
            host,
            "whoever reaches this development server may do everything; `reveille serve` knows its callers"
        );
    }
}

/// How callers are known. A production server does not start without an answer.
fn authentication(args: &Serve) -> Result<Authentication, String> {
    match (&args.api_keys, &args.trust_proxy_header) {
        (Some(file), _) => {
            let text =
                std::fs::read_to_string(file).map_err(|error| format!("--api-keys {}: {error}", file.display()))?;
            let keys = ApiKeys::parse(&text).map_err(|error| format!("--api-keys {}: {error}", file.display()))?;
            Ok(Authentication::ApiKeys(keys))
        }
        (None, Some(header)) => match header.parse::<http::HeaderName>() {
            Ok(name) => Ok(Authentication::TrustedHeader(name.as_str().to_owned())),
            Err(_) => Err(format!("--trust-proxy-header: `{header}` cannot be a header's name")),
        },
        (None, None) => Err(NO_AUTHENTICATION.to_owned()),
    }
}

/// Serves until a signal, then stops gracefully.
async fn serve(server: Server, start: Instant) -> ExitCode {
    // From here a signal ends the server and not the process, so that one that comes early is not less graceful.
    let stop = signal();
    tokio::pin!(stop);
    let mut running = match server.start().await {
        Ok(running) => running,
        Err(error) => {
            return complain(
                &error.to_string(),
                if matches!(error, StartError::Held { .. }) { REFUSED } else { FAILURE },
            );
        }
    };
    greet(&running, start);
    // A thousand open files, the usual limit, is a thousand live readers; a server may have more.
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "the limit on open files stays as it is");
    }
    tokio::select! {
        () = &mut stop => {}
        () = running.failed() => return complain("the engine has ended; its log says why", FAILURE),
    }
    tracing::info!("stopping: answering what was accepted");
    // A second signal does not wait.
    tokio::select! {
        () = running.shutdown() => ExitCode::SUCCESS,
        () = signal() => ExitCode::from(130),
    }
}

/// Says that the server is up: a line for people, or for the program that started it.
#[allow(clippy::print_stdout, reason = "what the command prints is its output")]
fn greet(running: &Running, start: Instant) {
    let (url, data, took) = (running.url(), running.data_dir().display().to_string(), start.elapsed());
    if std::io::stdout().is_terminal() {
        println!("Reveille is up at {url} · data in {data} · ready in {:.0?} · Ctrl-C stops it", took);
        if let Some(certificate) = running.certificate() {
            let file = certificate.file().display();
            println!("Its certificate signs for itself; SHA-256 {}", certificate.fingerprint());
            println!("  a browser asks once; others trust it by its file:");
            println!("  curl --cacert {file} {url}/_electric/health");
            println!("  NODE_EXTRA_CA_CERTS={file} node agent.js");
            println!("  reveille check --server {url} --cacert {file}");
        }
    } else {
        let mut ready = serde_json::json!({ "ready": url, "data_dir": data, "pid": std::process::id(), "ready_ms": took.as_millis() as u64 });
        if let Some(certificate) = running.certificate() {
            let file = certificate.file().display().to_string();
            ready["certificate"] = serde_json::json!({ "file": file, "sha256": certificate.fingerprint() });
        }
        println!("{ready}");
    }
}

/// Completes at the first SIGINT or SIGTERM from now on.
fn signal() -> impl Future<Output = ()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let signals =
            signal(SignalKind::interrupt()).and_then(|interrupt| Ok((interrupt, signal(SignalKind::terminate())?)));
        async move {
            match signals {
                Ok((mut interrupt, mut terminate)) => tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                },
                Err(_) => std::future::pending().await,
            }
        }
    }
    #[cfg(not(unix))]
    async {
        let _ = tokio::signal::ctrl_c().await;
    }
}

/// Logs go to standard error; what a panic says goes with them.
fn log(filter: &str) -> Result<(), String> {
    let targets: Targets =
        filter.parse().map_err(|_| format!("`{filter}` is no filter; try info, or warn,reveille=debug"))?;
    let lines =
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    tracing_subscriber::registry().with(lines.with_target(false)).with(targets).init();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let reason = panic.payload_as_str().unwrap_or("no reason given");
        tracing::error!(place, reason, "panicked");
    }));
    Ok(())
}

#[allow(clippy::print_stderr, reason = "why the command failed is for whoever typed it")]
fn complain(message: &str, code: u8) -> ExitCode {
    eprintln!("reveille: {message}");
    ExitCode::from(code)
}

/// What was asked for cannot be, and asking differently helps.
const REFUSED: u8 = 2;
/// Something broke.
const FAILURE: u8 = 1;
const NO_AUTHENTICATION: &str = "`serve` does not start without a way to know its callers. Either of these will do:
  --api-keys FILE              callers send `authorization: Bearer KEY`; FILE holds `KEY PRINCIPAL` lines
  --trust-proxy-header NAME    a proxy in front authenticates callers and names them in this header
For a server without authentication on this machine, there is `reveille dev`.";
