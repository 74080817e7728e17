//! Where the server may call: one policy for every URL that a client can make it call.
//!
//! | | `dev` | `serve` | on the allow list |
//! |---|---|---|---|
//! | public addresses and names | `https` | `https` | `http`, `https` |
//! | loopback: `localhost`, `*.localhost`, 127.0.0.0/8, `::1` | `http`, `https` | | `http`, `https` |
//! | every other address and name | | | `http`, `https` |
//!
//! Public are the addresses that the internet routes, and the names that the public name system may know: those of one
//! label, and those under a suffix that only private networks use, are not. An IPv6 address that stands for an IPv4
//! address is judged as that. A URL that is read in two ways is refused rather than guessed at: user names, hosts with
//! escapes or other letters than ASCII's, ports that are none. Every spelling that the URL standard takes for an IPv4
//! address is that address.
//!
//! [`judge`] reads a URL when a client asks for it, and again at each call, since the configuration may have changed.
//! [`judge_address`] reads what a name resolved to, in a host that resolves names itself. Nothing here resolves any.

mod host;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use http::StatusCode;

use self::host::{Host, Reach};
use crate::http::{Error, Refusal};

/// What the configuration says about calling out.
#[derive(Clone, Debug)]
pub struct Policy {
    loopback: bool,
    allowed: Vec<Allowed>,
}

impl Policy {
    /// A development server's: this machine, and public hosts by https.
    #[must_use]
    pub fn dev() -> Self {
        Self { loopback: true, allowed: Vec::new() }
    }

    /// A production server's: public hosts by https.
    #[must_use]
    pub fn serve() -> Self {
        Self { loopback: false, allowed: Vec::new() }
    }

    /// Allows one more host, by http and https, wherever it is.
    pub fn allow(&mut self, allowed: Allowed) {
        self.allowed.push(allowed);
    }

    /// Allows each host of a list, parted by commas or white space.
    ///
    /// # Errors
    /// The first entry that is no host.
    pub fn allow_list(&mut self, list: &str) -> Result<(), NotAHost> {
        for entry in list.split(|c: char| c == ',' || c.is_whitespace()).filter(|entry| !entry.is_empty()) {
            self.allow(entry.parse()?);
        }
        Ok(())
    }

    fn allows(&self, host: &Host, port: u16) -> bool {
        self.allowed.iter().any(|a| a.host == *host && a.port.is_none_or(|p| p == port))
    }
}

/// An entry of the allow list, read from `HOST` or `HOST:PORT`: a name or an address, an IPv6 address in brackets.
/// Without a port it allows them all. The names below a name need entries of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    host: Host,
    port: Option<u16>,
}

/// The text is no entry of an allow list.
#[derive(Clone, Debug, thiserror::Error)]
#[error("`{0}` is not HOST or HOST:PORT: a name or an address, an IPv6 address in brackets, without scheme or path")]
pub struct NotAHost(String);

impl FromStr for Allowed {
    type Err = NotAHost;

    fn from_str(text: &str) -> Result<Self, NotAHost> {
        let parsed = split_port(text).and_then(|(host, port)| Ok((Host::parse(host).ok_or(Why::Host)?, port)));
        let (host, port) = parsed.map_err(|_| NotAHost(shown(text)))?;
        Ok(Self { host, port })
    }
}

/// Judges a URL: at its creation, and again before each call.
///
/// # Errors
/// Why it may not be called, and the way out where there is one.
pub fn judge(policy: &Policy, url: &str) -> Result<(), Refused> {
    let target = Target::parse(url)?;
    if policy.allows(&target.host, target.port) {
        return Ok(());
    }
    let why = match target.host.reach() {
        Reach::Loopback if policy.loopback => return Ok(()),
        Reach::Public if target.secure => return Ok(()),
        Reach::Public => Why::Unencrypted,
        reach => Why::Closed(reach),
    };
    Err(Refused { shown: target.to_string(), why, allow: Some(target.entry()) })
}

/// Judges an address that `host`, as the URL spells it, has resolved to: as the URL would be judged that had it for a
/// host. A name on the allow list may resolve to anything, and a name of this machine to nothing but loopback.
///
/// # Errors
/// Why it may not be connected to, and the way out.
pub fn judge_address(policy: &Policy, host: &str, port: u16, address: IpAddr) -> Result<(), Refused> {
    let refused = |why, allow| Refused { shown: shown(host), why, allow };
    let name = Host::parse(host).ok_or_else(|| refused(Why::Host, None))?;
    let address = Host::Address(address.to_canonical());
    if policy.allows(&name, port) || policy.allows(&address, port) {
        return Ok(());
    }
    let fits = match (name.reach(), address.reach()) {
        (Reach::Loopback, Reach::Loopback) | (Reach::Public, Reach::Loopback) => policy.loopback,
        (Reach::Public, Reach::Public) => true,
        _ => false,
    };
    let allow = Allowed { host: name, port: Some(port).filter(|p| ![80, 443].contains(p)) };
    if fits { Ok(()) } else { Err(refused(Why::Resolves, Some(allow))) }
}

/// A URL or an address may not be called. Its text says which, why, and the way out; of the URL it shows nothing but
/// scheme, host and port, and of a name not where it leads: callers read this, and are told nothing of the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    shown: String,
    why: Why,
    /// What to put on the allow list, where that helps.
    allow: Option<Allowed>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Why {
    NotAUrl,
    Credentials,
    Port,
    Host,
    Unencrypted,
    Closed(Reach),
    Resolves,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ", self.shown)?;
        match &self.why {
            Why::NotAUrl => f.write_str("is not an absolute http or https URL"),
            Why::Credentials => f.write_str("may not be called with a user name or password in its URL"),
            Why::Port => f.write_str("may not be called: its port is not a number from 1 to 65535"),
            Why::Host => f.write_str("may not be called: its host is neither a plain ASCII name nor an address"),
            Why::Unencrypted => f.write_str("may be called by https only"),
            Why::Closed(Reach::Loopback) => f.write_str("may not be called: it is on the server's own machine"),
            Why::Closed(_) => f.write_str("may not be called: it is not public"),
            Why::Resolves => f.write_str("may not be called: it resolves to an address that may not be called"),
        }?;
        self.allow.as_ref().map_or(Ok(()), |entry| write!(f, "; allow it with `--allow-webhook {entry}`"))
    }
}

impl std::error::Error for Refused {}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_REQUEST", refused.to_string())
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused.into())
    }
}

/// What of a URL matters here.
struct Target {
    secure: bool,
    host: Host,
    port: u16,
}

impl Target {
    fn parse(url: &str) -> Result<Self, Refused> {
        let refused = |why| Refused { shown: shown(url), why, allow: None };
        let (scheme, rest) = url.split_once("://").ok_or_else(|| refused(Why::NotAUrl))?;
        let secure = match scheme {
            s if s.eq_ignore_ascii_case("http") => false,
            s if s.eq_ignore_ascii_case("https") => true,
            _ => return Err(refused(Why::NotAUrl)),
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err(refused(Why::Credentials));
        }
        let (host, port) = split_port(authority).map_err(&refused)?;
        let host = Host::parse(host).ok_or_else(|| refused(Why::Host))?;
        // What is left of it must be something that every host's client can send.
        url.parse::<http::Uri>().map_err(|_| refused(Why::NotAUrl))?;
        Ok(Self { secure, host, port: port.unwrap_or(if secure { 443 } else { 80 }) })
    }

    /// The entry that would allow it, as wide as its URL.
    fn entry(&self) -> Allowed {
        Allowed { host: self.host.clone(), port: Some(self.port).filter(|p| *p != self.usual_port()) }
    }

    fn usual_port(&self) -> u16 {
        if self.secure { 443 } else { 80 }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.secure { "https" } else { "http" }, self.entry())
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// Parts `host` or `host:port`.
fn split_port(authority: &str) -> Result<(&str, Option<u16>), Why> {
    let end = if authority.starts_with('[') { authority.find(']').ok_or(Why::Host)? + 1 } else { 0 };
    let Some(colon) = authority[end..].find(':') else { return Ok((authority, None)) };
    let (host, port) = authority.split_at(end + colon);
    let digits = port.get(1..).filter(|port| port.bytes().all(|b| b.is_ascii_digit()));
    let port = digits.and_then(|digits| digits.parse().ok()).filter(|port| *port != 0);
    Ok((host, Some(port.ok_or(Why::Port)?)))
}

/// What may be shown of a URL: its scheme, host and port. Where anything in it may be a password, not even the host.
fn shown(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.rsplit_once('@') {
        Some((_, host)) => split_port(host).ok().and_then(|(host, _)| Host::parse(host)).map(|host| host.to_string()),
        None => Some(authority.to_owned()).filter(|_| !rest.contains('@')),
    };
    let host = host.unwrap_or_else(|| "…".to_owned());
    let text = if scheme.is_empty() { host } else { format!("{scheme}://{host}") };
    text.chars().filter(|c| !c.is_control()).take(SHOWN).collect()
}

/// The most characters of a refused URL that are shown.
const SHOWN: usize = 300;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn allowing(mut policy: Policy, list: &str) -> Policy {
        policy.allow_list(list).expect("a list");
        policy
    }

    /// Why a URL is refused, or nothing.
    fn refusal(policy: &Policy, url: &str) -> String {
        judge(policy, url).err().map(|refused| refused.to_string()).unwrap_or_default()
    }

    #[test]
    fn who_may_be_called() {
        let (dev, serve) = (Policy::dev(), Policy::serve());
        let both = [&dev, &serve].map(|p| allowing(p.clone(), "localhost 127.0.0.1 [::1]:8443 10.0.0.1 wiki.corp"));
        // Each: the URL; whether `dev` and `serve` may call it; whether both may with the list.
        for (url, in_dev, in_serve, listed) in [
            ("https://example.com", true, true, true),
            ("https://agents.example.com:8443/hook?token=x#y", true, true, true),
            ("HTTPS://Agents.Example.COM./", true, true, true),
            ("https://1.1.1.1/", true, true, true),
            ("https://[2606:4700::1111]/", true, true, true),
            ("https://[::ffff:1.1.1.1]/", true, true, true),
            ("https://xn--bcher-kva.example/", true, true, true),
            ("https://a_b.example.com", true, true, true),
            ("http://example.com", false, false, false),
            ("http://1.1.1.1", false, false, false),
            ("http://localhost:3000/x", true, false, true),
            ("https://LocalHost./", true, false, true),
            ("http://127.0.0.1:9", true, false, true),
            ("http://a.localhost", true, false, false),
            ("http://127.9.9.9", true, false, false),
            ("https://[::1]:8443", true, false, true),
            ("http://[::1]:8444", true, false, false),
            ("http://[::ffff:127.0.0.1]/", true, false, true),
            ("http://[::ffff:7f00:1]/", true, false, true),
            ("https://10.0.0.1", false, false, true),
            ("http://10.0.0.1:8080", false, false, true),
            ("https://10.0.0.2", false, false, false),
            ("http://wiki.corp", false, false, true),
            ("http://WIKI.corp.:1", false, false, true),
            ("https://other.wiki.corp", false, false, false),
        ] {
            let got = [&dev, &serve, &both[0], &both[1]].map(|policy| judge(policy, url).is_ok());
            let in_both = [in_dev || listed, in_serve || listed];
            assert_eq!(got, [in_dev, in_serve, in_both[0], in_both[1]], "{url}");
        }
    }

    #[test]
    fn every_spelling_of_an_address_is_that_address() {
        let refused = |url: &str, why: &str| {
            let got = refusal(&Policy::serve(), url);
            assert!(got.contains(why), "{url}: {got}");
        };
        for host in "127.0.0.1 127.0.0.1. 127.1 127.0.1 2130706433 0x7f000001 0x7F.1 017700000001 0177.0.0.1 \
             0x7f.0x0.0x0.0x1 [::ffff:127.0.0.1]"
            .split(' ')
        {
            refused(
                &format!("https://{host}"),
                "`https://127.0.0.1` may not be called: it is on the server's own machine",
            );
            assert_eq!(refusal(&Policy::dev(), &format!("http://{host}")), "", "{host}");
        }
        for (host, address) in [
            ("0", "0.0.0.0"),
            ("0x", "0.0.0.0"),
            ("10.1", "10.0.0.1"),
            ("0xa9fea9fe", "169.254.169.254"),
            ("2852039166", "169.254.169.254"),
            ("169.254.43518", "169.254.169.254"),
            ("0300.0250.1", "192.168.0.1"),
        ] {
            refused(&format!("https://{host}"), &format!("`https://{address}` may not be called: it is not public"));
        }
        // Last labels that are numbers, and yet no address.
        for host in "1.2.3.4.5 256.1.1.1 1.1.1.256 4294967296 09 1.2.3.08 example.1 1.0xfffffffffffffffff 0x1.a.0x7 \
             99999999999999999999"
            .split(' ')
        {
            refused(&format!("https://{host}/"), "its host is neither");
        }
        assert!(judge(&Policy::serve(), "https://0x1.0xg.example").is_ok(), "a name like any other");
    }

    #[test]
    fn what_is_not_public() {
        for host in
            "0.1.2.3 10.255.255.255 100.64.0.1 100.127.255.255 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1 \
             192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 \
             239.1.1.1 240.0.0.1 255.255.255.255 [::] [::7f00:1] [fc00::1] [fd12:3456::1] [fe80::1] [fec0::1] \
             [ff02::1] [2001:db8::1] [2001::1] [3fff::1] [100::1] [64:ff9b::10.0.0.1] [64:ff9b:1::1] [2002:a00:1::] \
             [::ffff:192.168.0.1] [4000::1] db db. metadata.google.internal printer.local local a.home.arpa nas.lan \
             x.corp host.localdomain"
                .split(' ')
        {
            for policy in [Policy::dev(), Policy::serve()] {
                let got = refusal(&policy, &format!("https://{host}:8443/a?b"));
                assert!(
                    got.contains("may not be called: it is not public; allow it with `--allow-webhook "),
                    "{host}: {got}"
                );
                let entry = format!("{host}:8443");
                assert_eq!(refusal(&allowing(policy, &entry), &format!("http://{entry}/")), "", "{host}");
            }
        }
        for host in
            "9.255.255.255 11.0.0.1 100.63.255.255 100.128.0.1 172.15.0.1 172.32.0.1 192.0.1.1 198.17.0.1 198.20.0.1 \
             223.255.255.255 [2001:200::1] [2a00::1] [64:ff9b::1.1.1.1] [2002:101:101::] thelocal.example \
             internal.example.com lan.de 10.0.0.1.nip.io"
                .split(' ')
        {
            assert_eq!(refusal(&Policy::serve(), &format!("https://{host}")), "", "{host}");
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        for (url, why) in [
            ("", "not an absolute"),
            ("not a url", "not an absolute"),
            ("/relative", "not an absolute"),
            ("//example.com", "not an absolute"),
            ("https:example.com", "not an absolute"),
            (" https://example.com", "not an absolute"),
            ("ftp://example.com", "not an absolute"),
            ("file:///etc/passwd", "not an absolute"),
            ("https://example.com/a b", "not an absolute"),
            ("https://", "its host"),
            ("https:///example.com", "its host"),
            ("https://?", "its host"),
            ("https://.", "its host"),
            ("https://a..example", "its host"),
            ("https://example.com..", "its host"),
            ("https://exa\tmple.com", "its host"),
            ("https://example.com\\@10.0.0.1/", "user name"),
            ("https://example.com\\.evil.example/", "its host"),
            ("https://ex%61mple.com", "its host"),
            ("https://%31%30.0.0.1", "its host"),
            ("https://１０.0.0.1", "its host"),
            ("https://127。0。0。1", "its host"),
            ("https://bücher.example", "its host"),
            ("https://[::1", "its host"),
            ("https://[::1]x", "its host"),
            ("https://[fe80::1%25eth0]", "its host"),
            ("https://[127.0.0.1]", "its host"),
            ("https://::1/", "its port"),
            ("https://example.com:", "its port"),
            ("https://example.com:0", "its port"),
            ("https://example.com:65536", "its port"),
            ("https://example.com:+80", "its port"),
            ("https://example.com:80:80", "its port"),
            ("https://user@example.com", "user name"),
            ("https://@example.com", "user name"),
            ("http://user:word@127.0.0.1/", "user name"),
        ] {
            for policy in [Policy::dev(), Policy::serve()] {
                let got = refusal(&policy, url);
                assert!(got.contains(why), "{url}: {got}");
            }
        }
    }

    #[test]
    fn a_refusal_shows_no_secret_and_the_way_out() {
        for (url, said) in [
            (
                "https://user:s3cret@example.com:1/",
                "`https://example.com` may not be called with a user name or password in its URL",
            ),
            (
                "https://s3cret:s3cret@s3cret@bad host/",
                "`https://…` may not be called with a user name or password in its URL",
            ),
            (
                "https://user:s3/cret@example.com/",
                "`https://…` may not be called: its port is not a number from 1 to 65535",
            ),
            ("ftp://example.com/s3cret?s3cret#s3cret", "`ftp://example.com` is not an absolute http or https URL"),
            (
                "http://10.0.0.1/s3cret?s3cret",
                "`http://10.0.0.1` may not be called: it is not public; allow it with `--allow-webhook 10.0.0.1`",
            ),
            (
                "http://Localhost:3000/s3cret",
                "`http://localhost:3000` may not be called: it is on the server's own machine; allow it with `--allow-webhook localhost:3000`",
            ),
            (
                "http://[FD00::1]:443/s3cret",
                "`http://[fd00::1]:443` may not be called: it is not public; allow it with `--allow-webhook [fd00::1]:443`",
            ),
            (
                "http://example.com/s3cret",
                "`http://example.com` may be called by https only; allow it with `--allow-webhook example.com`",
            ),
        ] {
            assert_eq!(refusal(&Policy::serve(), url), said, "{url}");
        }
        assert!(refusal(&Policy::serve(), &format!("https://{}", "a".repeat(100_000))).len() < 500);
    }

    #[test]
    fn an_address_is_judged_as_if_the_url_had_said_it() {
        let (dev, serve) = (Policy::dev(), Policy::serve());
        let listed = allowing(Policy::serve(), "db.internal:5000 10.0.0.7 [fd00::7]:443");
        for (policy, host, port, address, fits) in [
            (&serve, "example.com", 443, "1.1.1.1", true),
            (&serve, "example.com", 443, "2606:4700::1111", true),
            (&serve, "example.com", 443, "10.0.0.7", false),
            (&serve, "example.com", 443, "127.0.0.1", false),
            (&serve, "example.com", 443, "::1", false),
            (&serve, "example.com", 443, "::ffff:10.0.0.7", false),
            (&serve, "example.com", 443, "fe80::1", false),
            (&dev, "example.com", 443, "10.0.0.7", false),
            (&dev, "example.com", 443, "127.0.0.1", true),
            (&dev, "localhost", 80, "127.0.0.1", true),
            (&dev, "localhost", 80, "::1", true),
            (&dev, "a.localhost", 80, "1.1.1.1", false),
            (&dev, "a.localhost", 80, "10.0.0.7", false),
            (&dev, "db.internal", 443, "1.1.1.1", false),
            (&dev, "bad host", 443, "1.1.1.1", false),
            (&listed, "db.internal", 5000, "10.9.9.9", true),
            (&listed, "DB.internal.", 5000, "127.0.0.1", true),
            (&listed, "db.internal", 5001, "10.9.9.9", false),
            (&listed, "example.com", 443, "10.0.0.7", true),
            (&listed, "example.com", 443, "::ffff:10.0.0.7", true),
            (&listed, "example.com", 443, "10.0.0.8", false),
            (&listed, "example.com", 443, "fd00::7", true),
            (&listed, "example.com", 8443, "fd00::7", false),
        ] {
            let got = judge_address(policy, host, port, address.parse().expect("an address"));
            assert_eq!(got.is_ok(), fits, "{host}:{port} {address}: {got:?}");
        }
        let refused = |port| {
            judge_address(&serve, "Hook.example.com", port, Ipv4Addr::new(10, 0, 0, 7).into()).expect_err("refused")
        };
        assert_eq!(
            refused(443).to_string(),
            "`Hook.example.com` may not be called: it resolves to an address that may not be called; allow it with `--allow-webhook hook.example.com`"
        );
        assert!(refused(8443).to_string().ends_with("`--allow-webhook hook.example.com:8443`"));
    }

    #[test]
    fn the_allow_list_takes_hosts_and_nothing_else() {
        for (text, read) in [
            ("example.com", "example.com"),
            ("EXAMPLE.com.:8080", "example.com:8080"),
            ("db", "db"),
            ("10.0.0.1:80", "10.0.0.1:80"),
            ("10.1", "10.0.0.1"),
            ("[FD00::1]", "[fd00::1]"),
            ("[::ffff:10.0.0.1]:1", "10.0.0.1:1"),
        ] {
            assert_eq!(text.parse::<Allowed>().expect("an entry").to_string(), read, "{text}");
        }
        for bad in [
            "",
            "*",
            "*.example.com",
            "https://example.com",
            "example.com/x",
            "10.0.0.0/8",
            "::1",
            "fd00::1",
            "[::1",
            "example.com:",
            "example.com:0",
            "example.com:65536",
            "example.com:x",
            "user@example.com",
            "a b",
            "bücher.example",
        ] {
            let error = bad.parse::<Allowed>().expect_err(bad).to_string();
            assert!(error.contains("is not HOST or HOST:PORT"), "{error}");
        }
        let mut policy = Policy::serve();
        policy.allow_list(" a.example, [::1]:1\n10.0.0.1,,").expect("a list");
        assert_eq!(policy.allowed.len(), 3);
        assert!(policy.allow_list("a.example https://b.example").is_err());
    }
}
