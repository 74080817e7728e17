//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use reveille::reveille_core::config::StreamRoot;
use reveille::reveille_core::egress::Allowed;
use reveille::reveille_core::limits::WAKES_A_MINUTE;
use reveille::reveille_core::observe::webhook_sources::{BadCatalogue, Catalogue};

use crate::{ask, run};

/// The control plane that wakes agents.
///
/// Reveille keeps entities (long-lived, addressable agents), the durable streams they read and write, the conditions
/// under which they must wake, and who runs them: a webhook, or a runner that pulls its work.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, max_term_width = 100, after_help = EXAMPLES)]
pub(crate) struct Cli {
    /// What to log on standard error: a level, or levels by target
    #[arg(long, global = true, default_value = "info", value_name = "FILTER", help_heading = "Logging")]
    pub(crate) log: String,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a server with two small agents beside it and watch them wake each other
    #[command(after_help = DEMO)]
    Demo(At),
    /// Start a server for development: no authentication, on loopback
    #[command(after_help = DEV)]
    Dev(Dev),
    /// Start a server for production: it needs a way to know its callers
    #[command(after_help = SERVE)]
    Serve(Serve),
    /// Make any program an agent: it gets each wake as JSON on standard input
    #[command(after_long_help = run::HELP)]
    Run(run::Args),
    /// Say why an entity is awake or asleep, what it waits for, and what happens next
    #[command(after_help = ask::EXPLAIN)]
    Explain(ask::Explain),
    /// Look whether every entity is dispatched in exactly one way and nothing was forgotten
    #[command(after_help = ask::CHECK)]
    Check(ask::Check),
    /// Take back what was given up because nobody answered
    #[command(after_help = ask::REVIVE)]
    Revive(ask::Revive),
}

/// Where a server listens, keeps its data, and may call.
#[derive(Args, Debug)]
pub(crate) struct At {
    /// The address to listen on
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    pub(crate) host: String,

    /// The port to listen on; 0 takes any that is free
    #[arg(long, default_value_t = 4437)]
    pub(crate) port: u16,

    /// Where the database lives; made when it does not exist
    #[arg(long, default_value = ".reveille", value_name = "DIR")]
    pub(crate) data_dir: PathBuf,

    /// The URL under which agents and clients reach this server [default: http://HOST:PORT, or https]
    #[arg(long, value_name = "URL", value_parser = http_url)]
    pub(crate) public_url: Option<String>,

    /// Serve /metrics on this address instead, without authentication
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) metrics_addr: Option<SocketAddr>,

    /// How many wakes an entity may begin in a minute before it is slowed down, with ten minutes' worth at once; 0 for
    /// as many as come
    #[arg(long, default_value_t = WAKES_A_MINUTE, value_name = "N")]
    pub(crate) wakes_per_minute: u32,

    /// Let webhooks call this host, by http and https, wherever it is; once for each host
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) allow_webhook: Vec<Allowed>,

    /// Serve the built web app in this directory, such as the agents dashboard, under /__agent_ui/
    #[arg(long, value_name = "DIR")]
    pub(crate) ui_dir: Option<PathBuf>,

    /// The webhook sources that agents may subscribe to: a file with their catalogue, as JSON
    #[arg(long, value_name = "FILE", value_parser = catalogue)]
    pub(crate) webhook_sources: Option<Catalogue>,
}

/// How streams are served.
#[derive(Args, Debug)]
pub(crate) struct Streams {
    /// The path under which streams are served; with another than / there is nothing else, no agents and no runners
    #[arg(long, default_value = "/", value_name = "PATH")]
    pub(crate) stream_root: StreamRoot,

    /// How long a long-poll waits for something new
    #[arg(long, default_value = "30", value_name = "SECONDS", value_parser = seconds)]
    pub(crate) long_poll: Duration,
}

#[derive(Args, Debug)]
pub(crate) struct Dev {
    #[command(flatten)]
    pub(crate) at: At,

    #[command(flatten)]
    pub(crate) streams: Streams,

    /// Speak HTTPS, so HTTP/2, under a certificate of its own that it keeps in the data directory
    #[arg(long)]
    pub(crate) https: bool,

    /// For tests: time moves only by POST /_reveille/dev/clock {"advance_ms": n}, and ids follow from a seed
    #[arg(long = "virtual")]
    pub(crate) virtual_time: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) at: At,

    #[command(flatten)]
    pub(crate) streams: Streams,

    /// Callers send `authorization: Bearer KEY`; each line of FILE holds a key and a principal
    #[arg(long, value_name = "FILE", conflicts_with = "trust_proxy_header")]
    pub(crate) api_keys: Option<PathBuf>,

    /// A proxy in front has authenticated the caller and names the principal in this header
    #[arg(long, value_name = "NAME")]
    pub(crate) trust_proxy_header: Option<String>,
}

/// The catalogue in a file.
fn catalogue(path: &str) -> Result<Catalogue, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    text.parse().map_err(|error: BadCatalogue| error.to_string())
}

/// A base URL, without a slash at its end.
pub(crate) fn http_url(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    match rest {
        Some(rest) if !rest.is_empty() && !rest.starts_with('/') => Ok(text.trim_end_matches('/').to_owned()),
        _ => Err("a URL such as http://127.0.0.1:4437".to_owned()),
    }
}

/// A positive number of seconds, up to an hour.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.001..=3600.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "a number of seconds such as 30 or 0.5, up to 3600".to_owned())
}

const EXAMPLES: &str = "\
Examples:
  reveille demo                                     watch agents wake each other
  reveille dev                                      a server to develop against, on http://127.0.0.1:4437
  reveille serve --api-keys keys.txt                a server that knows its callers
  reveille run --type worker -- ./agent.sh          take the work of `worker` entities with a program of yours
  reveille explain /worker/a                        why it is awake or asleep, and what comes next";

const DEMO: &str = "\
Nothing is needed beside this binary. When the timeline has run, the server stays up and prints what to try next.";

const DEV: &str = "\
Whoever reaches a development server may do everything: keep it on loopback.

Webhooks go to this machine and to public hosts by https; --allow-webhook lets them go elsewhere.

A browser opens six connections to a server over plain HTTP, and one page with live data may use them all. With --https
it needs one. The certificate signs for itself: it is made once, for localhost, the address that is listened on and the
host of --public-url, and its file and fingerprint are said at the start. Trust it once in the browser, and elsewhere by
its file:

  reveille dev --https
  curl --cacert .reveille/https-certificate.pem https://127.0.0.1:4437/_electric/health
  NODE_EXTRA_CA_CERTS=.reveille/https-certificate.pem node agent.js
  reveille explain /worker/a --server https://127.0.0.1:4437 --cacert .reveille/https-certificate.pem

Examples:
  reveille dev
  reveille dev --port 8080 --data-dir /tmp/play
  curl http://127.0.0.1:4437/_electric/health";

const SERVE: &str = "\
One of --api-keys and --trust-proxy-header is required.

A key file holds a key and the principal that it stands for on each line:

  # the key of our own backend
  1c9f…e2 service:backend

Examples:
  reveille serve --host 0.0.0.0 --public-url https://agents.example.com --api-keys keys.txt
  reveille serve --trust-proxy-header x-authenticated-principal --metrics-addr 127.0.0.1:9100
  reveille serve --api-keys keys.txt --allow-webhook agents.internal --allow-webhook 10.0.0.5:8080

Webhooks go to public hosts by https; --allow-webhook lets them go elsewhere.

/metrics needs authentication like everything else, unless --metrics-addr gives it a listener of its own.";
