//! The certificate: it signs for itself, is made once, and is kept in the data directory, so that whoever has come to
//! trust it goes on trusting it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{RootCertStore, ServerConfig};
use sha2::{Digest, Sha256};

/// The certificate that a server shows.
#[derive(Clone, Debug)]
pub struct Certificate {
    file: PathBuf,
    fingerprint: String,
}

impl Certificate {
    /// The file that has it, as PEM: for whoever is to trust it.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Its SHA-256 fingerprint, as browsers show it.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

/// The certificate of a directory, with its key as a configuration: the one that is there, or a new one when that does
/// not name all of `names` or will not do for a month.
pub(super) fn keep(directory: &Path, names: &[String]) -> io::Result<(Certificate, ServerConfig)> {
    let (file, key) = (directory.join(CERTIFICATE), directory.join(KEY));
    let kept = match read(&file, &key, names) {
        Ok(kept) => kept,
        Err(why) => {
            if file.exists() {
                tracing::warn!(why, "the certificate is replaced: whoever trusted it must trust the new one");
            }
            make(&file, &key, names)?;
            read(&file, &key, names).map_err(io::Error::other)?
        }
    };
    let (certificate, config) = kept;
    let bytes: Vec<String> = Sha256::digest(&certificate).iter().map(|byte| format!("{byte:02X}")).collect();
    Ok((Certificate { file, fingerprint: bytes.join(":") }, config))
}

/// What the files hold, or why it will not do.
fn read(file: &Path, key: &Path, names: &[String]) -> Result<(CertificateDer<'static>, ServerConfig), String> {
    let unreadable = |path: &Path, error| format!("`{}` cannot be read: {error}", path.display());
    let certificate = CertificateDer::from_pem_file(file).map_err(|error| unreadable(file, error))?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, error))?;
    private(key).map_err(|error| format!("`{}` cannot be kept private: {error}", key.display()))?;
    let config = super::config(certificate.clone(), secret).map_err(|error| error.to_string())?;
    let trusting = trusting(&certificate).map_err(|error| error.to_string())?;
    let now = UnixTime::now();
    let later = UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs()) + MARGIN);
    for name in names {
        let server = ServerName::try_from(name.as_str()).map_err(|error| format!("`{name}`: {error}"))?;
        for time in [now, later] {
            // As a client would that trusts it: this finds whether it is for the name, and until when.
            let verified = trusting.verify_server_cert(&certificate, &[], &server, &[], time);
            verified.map_err(|error| format!("`{}` for `{name}`: {error}", file.display()))?;
        }
    }
    Ok((certificate, config))
}

/// What trusts this certificate and no other.
fn trusting(certificate: &CertificateDer<'static>) -> Result<Arc<WebPkiServerVerifier>, io::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).map_err(io::Error::other)?;
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), super::provider());
    verifier.build().map_err(io::Error::other)
}

/// Makes a certificate for `names`, and its key.
fn make(file: &Path, key: &Path, names: &[String]) -> io::Result<()> {
    let mut params = CertificateParams::new(names.to_vec()).map_err(io::Error::other)?;
    params.distinguished_name.push(DnType::CommonName, "Reveille, for development");
    // It vouches for nobody else: whoever steals the key of who trusted it can be this server, and no other.
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let now = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(UnixTime::now().as_secs());
    params.not_before = now - SLACK;
    params.not_after = params.not_before + VALID;
    let pair = KeyPair::generate().map_err(io::Error::other)?;
    let certificate = params.self_signed(&pair).map_err(io::Error::other)?;
    write(key, &pair.serialize_pem())?;
    write(file, &certificate.pem())
}

/// Writes a file whole or not at all, for its owner's eyes alone.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_extension("new");
    let _ = fs::remove_file(&new);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)
}

/// Hides a key from other users, if a copy of the directory has forgotten to.
fn private(key: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mut permissions = fs::metadata(key)?.permissions();
        if permissions.mode() & 0o077 != 0 {
            permissions.set_mode(0o600);
            fs::set_permissions(key, permissions)?;
        }
    }
    #[cfg(not(unix))]
    let _ = key;
    Ok(())
}

const CERTIFICATE: &str = "https-certificate.pem";
const KEY: &str = "https-key.pem";
const DAY: Duration = Duration::from_secs(24 * 3600);
/// How long it is valid: longer, and browsers refuse it.
const VALID: Duration = Duration::from_secs(397 * DAY.as_secs());
/// Where clocks differ, it is valid already.
const SLACK: Duration = DAY;
/// How long it must still be valid to be kept.
const MARGIN: Duration = Duration::from_secs(30 * DAY.as_secs());

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn names(more: &[&str]) -> Vec<String> {
        ["localhost", "127.0.0.1", "::1"].iter().chain(more).map(ToString::to_string).collect()
    }

    fn fingerprint(directory: &Path, more: &[&str]) -> String {
        keep(directory, &names(more)).unwrap().0.fingerprint
    }

    #[test]
    fn it_is_made_once() {
        let directory = tempfile::tempdir().unwrap();
        let first = fingerprint(directory.path(), &[]);
        assert_eq!(first.len(), 95);
        assert_eq!(fingerprint(directory.path(), &[]), first);
    }

    #[test]
    fn it_is_made_anew_when_it_will_not_do() {
        let directory = tempfile::tempdir().unwrap();
        let mut last = fingerprint(directory.path(), &[]);
        let mut anew = |more: &[&str]| {
            let next = fingerprint(directory.path(), more);
            assert_ne!(next, last);
            last = next;
        };
        anew(&["agents.example"]);
        fs::write(directory.path().join(CERTIFICATE), "not a certificate").unwrap();
        anew(&[]);
        fs::write(directory.path().join(KEY), KeyPair::generate().unwrap().serialize_pem()).unwrap();
        anew(&[]);
        fs::remove_file(directory.path().join(KEY)).unwrap();
        anew(&[]);
    }

    #[test]
    fn it_is_made_anew_a_month_before_it_ends() {
        let directory = tempfile::tempdir().unwrap();
        let at = |days: u64| {
            let (file, key) = (directory.path().join(CERTIFICATE), directory.path().join(KEY));
            let pair = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(names(&[])).unwrap();
            params.not_after =
                rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(UnixTime::now().as_secs()) + DAY * days as u32;
            write(&key, &pair.serialize_pem()).unwrap();
            write(&file, &params.self_signed(&pair).unwrap().pem()).unwrap();
            read(&file, &key, &names(&[])).map(|_| ())
        };
        assert_eq!(at(31), Ok(()));
        assert!(at(29).unwrap_err().contains("expired"));
    }

    #[cfg(unix)]
    #[test]
    fn the_key_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let key = directory.path().join(KEY);
        let mode = || fs::metadata(&key).unwrap().permissions().mode() & 0o777;
        let first = fingerprint(directory.path(), &[]);
        assert_eq!(mode(), 0o600);
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!((fingerprint(directory.path(), &[]), mode()), (first, 0o600));
    }
}
