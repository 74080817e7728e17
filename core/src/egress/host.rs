//! Hosts as URLs spell them, and how far away they are. The tests of the policy hold the tables of both.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A host, however it was spelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    /// A name, in lower case, without a dot at its end.
    Name(String),
    /// An address; one of IPv4 even where it was written as one of IPv6.
    Address(IpAddr),
}

/// How far a host is away, as far as its spelling tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    Loopback,
    Private,
    Public,
}

impl Host {
    /// Reads a host as it stands in a URL; nothing when it is none, or not the same to everyone.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Some(rest) = text.strip_prefix('[') {
            let address: Ipv6Addr = rest.strip_suffix(']')?.parse().ok()?;
            return Some(Self::Address(IpAddr::V6(address).to_canonical()));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let is_label = |label: &str| {
            let plain = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
            plain && (1..=63).contains(&label.len())
        };
        let last = name.rsplit('.').next()?;
        if name.len() > 253 || !name.split('.').all(is_label) {
            return None;
        }
        // The URL standard takes a host whose last label is a number for an IPv4 address, or for nothing.
        if is_number(last) { ipv4(&name).map(|address| Self::Address(address.into())) } else { Some(Self::Name(name)) }
    }

    pub(super) fn reach(&self) -> Reach {
        match self {
            Self::Name(name) => name_reach(name),
            Self::Address(IpAddr::V4(address)) => ipv4_reach(*address),
            Self::Address(IpAddr::V6(address)) => ipv6_reach(*address),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

/// An IPv4 address as the URL standard reads it: one to four numbers, the last of which fills what is left.
fn ipv4(name: &str) -> Option<Ipv4Addr> {
    let numbers: Vec<u64> = name.split('.').map(number).collect::<Option<_>>()?;
    let (last, bytes) = numbers.split_last()?;
    let left = 4_u32.checked_sub(u32::try_from(bytes.len()).ok()?).filter(|left| *left > 0)?;
    if bytes.iter().any(|byte| *byte > 255) || *last >= 256_u64.pow(left) {
        return None;
    }
    let high = bytes.iter().enumerate().fold(0, |sum, (i, byte)| sum + (byte << (8 * (3 - i))));
    u32::try_from(high + last).ok().map(Ipv4Addr::from_bits)
}

fn is_number(label: &str) -> bool {
    let hex = label.strip_prefix("0x").is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
    hex || label.bytes().all(|b| b.is_ascii_digit())
}

/// A number in decimal, in octal after `0`, in hexadecimal after `0x`.
fn number(label: &str) -> Option<u64> {
    match label.strip_prefix("0x") {
        Some("") => Some(0),
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None if label.len() > 1 && label.starts_with('0') => u64::from_str_radix(label, 8).ok(),
        None => label.parse().ok(),
    }
}

fn name_reach(name: &str) -> Reach {
    let under = |suffix: &str| name.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    if under("localhost") {
        Reach::Loopback
    } else if !name.contains('.') || PRIVATE_SUFFIXES.into_iter().any(under) {
        Reach::Private
    } else {
        Reach::Public
    }
}

fn ipv4_reach(address: Ipv4Addr) -> Reach {
    let inside = |(net, bits): &(Ipv4Addr, u32)| address.to_bits() >> (32 - bits) == net.to_bits() >> (32 - bits);
    if address.is_loopback() {
        Reach::Loopback
    } else if PRIVATE_IPV4.iter().any(inside) {
        Reach::Private
    } else {
        Reach::Public
    }
}

fn ipv6_reach(address: Ipv6Addr) -> Reach {
    let embedded = |a: u16, b: u16| ipv4_reach(Ipv4Addr::from_bits(u32::from(a) << 16 | u32::from(b)));
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Reach::Loopback,
        // An IPv4 address: as such, through NAT64, through 6to4.
        [0, 0, 0, 0, 0, 0xffff, a, b] | [0x64, 0xff9b, 0, 0, 0, 0, a, b] | [0x2002, a, b, ..] => embedded(a, b),
        // Protocols and their tunnels, and documentation, within the space that is routed.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Reach::Private,
        [0x2000..=0x3fff, ..] => Reach::Public,
        _ => Reach::Private,
    }
}

/// Suffixes of names that only private networks resolve: RFC 6762 (with its appendix G), RFC 8375, and ICANN's
/// `internal`.
const PRIVATE_SUFFIXES: [&str; 9] =
    ["local", "internal", "localdomain", "home.arpa", "lan", "home", "corp", "private", "intranet"];

/// The networks of IANA's registry of special-purpose addresses that are not globally reachable, and multicast; loopback
/// stands by itself.
const PRIVATE_IPV4: [(Ipv4Addr, u32); 14] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];
