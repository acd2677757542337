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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn blocked(address: &str) -> bool {
        check(address.parse().unwrap()).is_err()
    }

    #[test]
    fn addresses_of_every_kind() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "168.63.129.16",
            "::",
            "::1",
            "::7f00:1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
            "3fff::1",
            "2001::1",
            "100::1",
            "64:ff9b:1::1",
            "::ffff:127.0.0.1",
            "::ffff:10.1.2.3",
            "::ffff:0:10.1.2.3",
            "64:ff9b::192.168.0.1",
            "2002:7f00:1::1",
            "2002:a9fe:a9fe::",
            "4000::1",
            "::8.8.8.8",
        ] {
            assert!(blocked(address), "{address} must be refused");
        }
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450:4001::1",
            "2001:4860:4860::8888",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
        ] {
            assert!(!blocked(address), "{address} must be allowed");
        }
    }

    #[test]
    fn urls_however_the_address_is_written() {
        for url in [
            "http://localhost/",
            "http://LOCALHOST:80/",
            "http://localhost./",
            "http://a.localhost/",
            "http://127.1/",
            "http://0x7f.0.0.1/",
            "http://2130706433/",
            "http://0177.0.0.1/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://user@10.0.0.1/",
            "http://0/",
            "http://127.0.0.1./",
            "http://①②⑦.0.0.1/",
            "data:text/plain,x",
        ] {
            assert!(
                check_url(&Url::parse(url).unwrap()).is_err(),
                "{url} must be refused"
            );
        }
        for url in [
            "https://example.com/",
            "http://8.8.8.8:8080/x",
            "http://notlocalhost/",
        ] {
            assert_eq!(
                check_url(&Url::parse(url).unwrap()),
                Ok(()),
                "{url} must be allowed"
            );
        }
    }

    /// The standard library's own words for the kinds it knows.
    fn known_private(v4: Ipv4Addr) -> bool {
        v4.is_private()
            || v4.is_loopback()
            || v4.is_link_local()
            || v4.is_broadcast()
            || v4.is_documentation()
            || v4.is_multicast()
            || v4.is_unspecified()
    }

    fn forms(v4: Ipv4Addr) -> [Ipv6Addr; 4] {
        let bits = v4.to_bits();
        let (high, low) = ((bits >> 16) as u16, bits as u16);
        [
            v4.to_ipv6_mapped(),
            Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low),
            Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
            Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
        ]
    }

    proptest! {
        #[test]
        fn an_ipv4_address_is_judged_alike_in_every_form(bits in any::<u32>()) {
            let v4 = Ipv4Addr::from_bits(bits);
            for form in forms(v4) {
                prop_assert_eq!(check(form.into()), check(v4.into()));
            }
            if known_private(v4) {
                prop_assert!(check(v4.into()).is_err());
            }
        }

        #[test]
        fn all_of_a_blocked_net_is_blocked(which in 0..BLOCKED_V4.len(), host in any::<u32>()) {
            let (net, length, _) = BLOCKED_V4[which];
            let mask = u32::MAX.checked_shr(u32::from(length)).unwrap_or(0);
            let v4 = Ipv4Addr::from_bits(net.to_bits() | host & mask);
            prop_assert!(check(v4.into()).is_err());
        }

        #[test]
        fn ipv6_outside_of_global_unicast_is_blocked_unless_it_carries_public_ipv4(bits in any::<u128>()) {
            let v6 = Ipv6Addr::from_bits(bits);
            if bits >> 125 != 1 && embedded_v4(v6).is_none() {
                prop_assert!(check(v6.into()).is_err());
            }
        }

        #[test]
        fn unique_local_and_link_local_are_blocked(bits in any::<u128>()) {
            let low = bits >> 16;
            for prefix in [0xfc00u128, 0xfdff, 0xfe80, 0xfebf, 0xff0e] {
                prop_assert!(check(Ipv6Addr::from_bits(prefix << 112 | low).into()).is_err());
            }
        }
    }
}
