//! Which server to call, and as whom: what every command that is a client takes.

use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::Client;
use crate::cli::http_url;

#[derive(clap::Args, Debug)]
pub(crate) struct Caller {
    /// The server to call
    #[arg(long, default_value = "http://127.0.0.1:4437", value_name = "URL", value_parser = http_url)]
    pub(crate) server: String,

    /// As whom to call a development server, such as user:alice
    #[arg(long, value_name = "PRINCIPAL")]
    pub(crate) principal: Option<String>,

    /// The API key for a production server
    #[arg(long, value_name = "KEY", env = "REVEILLE_API_KEY", hide_env_values = true)]
    pub(crate) api_key: Option<String>,

    /// A file that holds the API key, where other users cannot see it in the list of processes
    #[arg(long, value_name = "FILE")]
    pub(crate) api_key_file: Option<PathBuf>,

    /// Trust the certificates in this file, and no others; `reveille dev --https` says where its own is
    #[arg(long, value_name = "FILE", env = "REVEILLE_CACERT")]
    pub(crate) cacert: Option<PathBuf>,
}

/// The certificates in a file.
fn roots(file: &Path) -> Result<RootCertStore, String> {
    let refuse = |why: String| format!("--cacert {}: {why}", file.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| refuse(error.to_string()))? {
        let certificate = certificate.map_err(|error| refuse(error.to_string()))?;
        roots.add(certificate).map_err(|error| refuse(error.to_string()))?;
    }
    if roots.is_empty() { Err(refuse("there is no certificate in it".to_owned())) } else { Ok(roots) }
}

impl Caller {
    /// A client for the server, as the caller that was asked for.
    pub(crate) fn client(&self) -> Result<Client, String> {
        let mut client = match &self.cacert {
            Some(file) => Client::trusting(&self.server, &roots(file)?),
            None => Client::new(&self.server),
        }
        .map_err(|error| format!("--server {}: {error}", self.server))?;
        if let Some(principal) = &self.principal {
            let refuse = |_| format!("--principal: `{principal}` cannot be a header's value");
            client = client.principal(principal).map_err(refuse)?;
        }
        let key = match &self.api_key_file {
            Some(file) => {
                let refuse = |error| format!("--api-key-file {}: {error}", file.display());
                Some(std::fs::read_to_string(file).map_err(refuse)?)
            }
            None => self.api_key.clone(),
        };
        match key {
            Some(key) => client.api_key(key.trim()).map_err(|_| "the API key cannot be a header's value".to_owned()),
            None => Ok(client),
        }
    }
}
