//! The guard against server-side request forgery: which addresses a webhook may reach.
//!
//! Who may name a URL could otherwise have Segno call what only Segno can reach: services on its own
//! machine, its private network, a cloud's metadata service. [`check`] judges an address, [`check_url`] a
//! URL before any name is resolved. A sender with the guard on also filters what names resolve to, at the
//! moment of connecting, so a name that changes its address between check and use gains nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

mod resolver;

pub(crate) use resolver::Resolver;

/// An address that is not on the public internet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not allowed")]
pub struct Blocked(&'static str);

/// What is not public in IPv4, by the IANA special-purpose registry, with what else is never a webhook's
/// receiver.
const BLOCKED_V4: [(Ipv4Addr, u8, &str); 17] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8, "an unspecified address"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "a private address"),
    (
        Ipv4Addr::new(100, 64, 0, 0),
        10,
        "a shared (carrier-grade NAT) address",
    ),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "a loopback address"),
    (
        Ipv4Addr::new(168, 63, 129, 16),
        32,
        "a cloud platform's own address",
    ),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "a link-local address"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "a private address"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "a protocol-assignment address"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "a documentation address"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "a 6to4 relay address"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "a private address"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "a benchmarking address"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "a documentation address"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "a documentation address"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "a multicast address"),
    (Ipv4Addr::new(255, 255, 255, 255), 32, "a broadcast address"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "a reserved address"),
];

/// Names for what is not public in IPv6; what is in none of them and not in 2000::/3 is reserved.
const BLOCKED_V6: [(Ipv6Addr, u8, &str); 9] = [
    (Ipv6Addr::UNSPECIFIED, 128, "an unspecified address"),
    (Ipv6Addr::LOCALHOST, 128, "a loopback address"),
    (
        Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0),
        7,
        "a private (unique local) address",
    ),
    (
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0),
        10,
        "a link-local address",
    ),
    (
        Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0),
        8,
        "a multicast address",
    ),
    // Protocol assignments; 2001::/32 in it is Teredo, which hides IPv4 addresses.
    (
        Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0),
        23,
        "a protocol-assignment address",
    ),
    (
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0),
        32,
        "a documentation address",
    ),
    (
        Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0),
        20,
        "a documentation address",
    ),
    (
        Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0),
        48,
        "a private NAT64 address",
    ),
];

/// Is this an address on the public internet? IPv6 forms that carry an IPv4 address (mapped, NAT64, 6to4)
/// are judged by that.
///
/// # Errors
///
/// [`Blocked`] with the kind of address, if not.
pub fn check(address: IpAddr) -> Result<(), Blocked> {
    match address {
        IpAddr::V4(v4) => check_v4(v4),
        IpAddr::V6(v6) => check_v6(v6),
    }
}

/// Does this URL, as far as can be seen without resolving its name, lead to the public internet? Refuses
/// the addresses of [`check`], however written, and `localhost` with all below it.
///
/// # Errors
///
/// [`Blocked`] if not.
pub fn check_url(url: &Url) -> Result<(), Blocked> {
    match url.host() {
        Some(Host::Ipv4(v4)) => check_v4(v4),
        Some(Host::Ipv6(v6)) => check_v6(v6),
        Some(Host::Domain(name)) => {
            let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
            if name == "localhost" || name.ends_with(".localhost") {
                return Err(Blocked("a loopback address"));
            }
            Ok(())
        }
        None => Err(Blocked("a URL without a host")),
    }
}

fn check_v4(address: Ipv4Addr) -> Result<(), Blocked> {
    let within = |(net, length, _): &&(Ipv4Addr, u8, &str)| {
        (address.to_bits() ^ net.to_bits()).leading_zeros() >= u32::from(*length)
    };
    BLOCKED_V4
        .iter()
        .find(within)
        .map_or(Ok(()), |(_, _, kind)| Err(Blocked(kind)))
}

fn check_v6(address: Ipv6Addr) -> Result<(), Blocked> {
    let within = |(net, length, _): &&(Ipv6Addr, u8, &str)| {
        (address.to_bits() ^ net.to_bits()).leading_zeros() >= u32::from(*length)
    };
    if let Some((_, _, kind)) = BLOCKED_V6.iter().find(within) {
        return Err(Blocked(kind));
    }
    if let Some(v4) = embedded_v4(address) {
        return check_v4(v4);
    }
    // Global unicast addresses are all in 2000::/3.
    if address.segments()[0] >> 13 == 1 {
        Ok(())
    } else {
        Err(Blocked("a reserved address"))
    }
}

/// The IPv4 address inside an IPv6 one that a host or a gateway would turn into a packet to it.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let last = Ipv4Addr::from_bits((address.to_bits() & 0xffff_ffff) as u32);
    match address.segments() {
        // IPv4-mapped (::ffff:a.b.c.d), IPv4-translated (::ffff:0:a.b.c.d), NAT64 (64:ff9b::a.b.c.d).
        [0, 0, 0, 0, 0, 0xffff, _, _] | [0, 0, 0, 0, 0xffff, 0, _, _] | [0x64, 0xff9b, 0, 0, 0, 0, _, _] => {
            Some(last)
        }
        // 6to4: 2002:aabb:ccdd::
        [0x2002, high, low, ..] => Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
