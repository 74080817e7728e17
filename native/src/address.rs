//! Where a server listens, and what it is called.

use reveille_core::Config;
use tokio::net::TcpListener;

use crate::start::StartError;

/// Listens on an address or a name.
pub(crate) async fn listen(host: &str, port: u16) -> Result<TcpListener, StartError> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    TcpListener::bind((bare, port))
        .await
        .map_err(|error| StartError::Listen { address: format!("{host}:{port}"), error })
}

/// Where a server that listens on `host` is reached from this machine.
pub(crate) fn url(scheme: &str, host: &str, port: u16) -> String {
    match host {
        "0.0.0.0" => format!("{scheme}://127.0.0.1:{port}"),
        "::" | "[::]" => format!("{scheme}://[::1]:{port}"),
        host if host.contains(':') && !host.starts_with('[') => format!("{scheme}://[{host}]:{port}"),
        host => format!("{scheme}://{host}:{port}"),
    }
}

/// What a server is called in its own URL and its public one, and on its machine.
pub(crate) fn names(url: &str, config: &Config) -> Vec<String> {
    let urls = [Some(url), config.public_url.as_deref()].into_iter().flatten();
    let hosts = urls.filter_map(|url| Some(url.parse::<hyper::Uri>().ok()?.host()?.to_owned()));
    let mut names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    for host in hosts {
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_lowercase();
        if !names.contains(&bare) {
            names.push(bare);
        }
    }
    names
}
